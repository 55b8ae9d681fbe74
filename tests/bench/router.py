"""What the router itself costs: its CPU a unary request against that of a process that only passes the call on.

Both answer the same calls of the same load and ask the same adapter, which is a process of its own and answers at once.
What the relay costs is gRPC's; what the router costs beyond it is the router's own. Failover is one call more: how much
later an answer comes when the first target fails at once, less what the second call itself takes.

``cd tests && python -m bench.router``
"""

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import grpc
import psutil
from grpc_status import rpc_status
from omnix.common.v1.caller_pb2 import Caller
from omnix.completion.v1 import completion_pb2
from omnix.provider.v1 import provider_pb2, provider_service_pb2_grpc
from omnix.provider.v1 import provider_service_pb2 as wire
from omnix.router.v1 import router_service_pb2, router_service_pb2_grpc
from omnix_kit.convert import error_to_status
from omnix_kit.errors import Reason, error_for
from omnix_kit.ids import uuid7
from omnix_kit.testing import free_port, nats_server
from rich.console import Console
from rich.table import Column, Table

from bench.processes import leave_on_signals, spawned

_FAILING: Final = "bad"
_PROVIDERS: Final = ("openai", _FAILING)
_MODEL: Final = "sandbox-bench"
_AT_ONCE: Final = 32
_READY_WITHIN: Final = 20.0


class Adapter(provider_service_pb2_grpc.ProviderServiceServicer):
    """Answers at once; the provider ``bad`` fails at once."""

    async def Complete(self, request: wire.CompleteRequest, context: grpc.aio.ServicerContext) -> wire.CompleteResponse:
        if request.attempt.provider == _FAILING:
            error = error_for(Reason.PROVIDER_AUTH_FAILED, "It fails.", provider=_FAILING, provider_status=401)
            await context.abort_with_status(rpc_status.to_status(error_to_status(error)))
        answer = wire.CompleteResponse(cost_micros=17)
        answer.completion.completion_id = request.attempt.completion_id
        choice = answer.completion.choices.add(finish_reason=completion_pb2.FINISH_REASON_STOP)
        choice.message.role = completion_pb2.ROLE_ASSISTANT
        choice.message.parts.add().text = "An answer of a few words."
        return answer

    async def ListModels(
        self, request: wire.ListModelsRequest, context: grpc.aio.ServicerContext
    ) -> wire.ListModelsResponse:
        return wire.ListModelsResponse(
            providers=[provider_pb2.Provider(name=name, kind="openai") for name in _PROVIDERS],
            models=[provider_pb2.ProviderModel(provider=name, model=_MODEL) for name in _PROVIDERS],
        )


class Relay(router_service_pb2_grpc.RouterServiceServicer):
    """Passes each call on, and nothing else."""

    def __init__(self, adapter: provider_service_pb2_grpc.ProviderServiceStub) -> None:
        self._adapter = adapter

    async def Complete(
        self, request: router_service_pb2.CompleteRequest, context: grpc.aio.ServicerContext
    ) -> router_service_pb2.CompleteResponse:
        attempt = provider_pb2.Attempt(
            attempt_id=request.completion_id,
            completion_id=request.completion_id,
            number=1,
            caller=request.caller,
            provider="openai",
            model=_MODEL,
        )
        answer = await self._adapter.Complete(wire.CompleteRequest(request=request.request, attempt=attempt))
        return router_service_pb2.CompleteResponse(completion=answer.completion, model=f"openai/{_MODEL}")


async def _serve(what: str, port: int, adapter: int) -> None:
    server = grpc.aio.server()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{adapter}") as channel:
        if what == "adapter":
            provider_service_pb2_grpc.add_ProviderServiceServicer_to_server(Adapter(), server)  # type: ignore[abstract]
        else:
            stub = provider_service_pb2_grpc.ProviderServiceStub(channel)
            router_service_pb2_grpc.add_RouterServiceServicer_to_server(Relay(stub), server)  # type: ignore[abstract]
        server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        await server.wait_for_termination()


@dataclass(frozen=True, slots=True)
class Under:
    """A process that is measured."""

    pid: int
    port: int

    def cpu(self) -> float:
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)


@contextlib.contextmanager
def _processes(folder: Path) -> Iterator[tuple[Under, Under]]:
    """The relay and the router, each of which asks the adapter."""
    adapter, relay, router = free_port(), free_port(), free_port()
    routes = folder / "routes.toml"
    routes.write_text(
        f'providers = ["{_FAILING}"]\n[routes.over]\ntargets = ["{_FAILING}/{_MODEL}", "openai/{_MODEL}"]\n'
    )
    own = [sys.executable, "-m", "bench.router", "--port"]
    with contextlib.ExitStack() as stack:
        nats = stack.enter_context(nats_server(folder / "nats"))
        stack.enter_context(spawned([*own, str(adapter), "--serve", "adapter"], log=folder / "adapter.log"))
        relaying = [*own, str(relay), "--serve", "relay", "--adapter", str(adapter)]
        relay_process = stack.enter_context(spawned(relaying, log=folder / "relay.log"))
        variables = {
            "OMNIX_ADAPTERS": f"openai=127.0.0.1:{adapter}",
            "OMNIX_NATS_URL": nats.url,
            "OMNIX_GRPC_PORT": str(router),
            "OMNIX_OPS_PORT": str(free_port()),
            "OMNIX_DATA_DIR": str(folder),
            "OMNIX_ROUTES_FILE": str(routes),
            "OMNIX_CIRCUIT_FAILURES": "1000",
            "OMNIX_CIRCUIT_CALLS": "1000000",
            "OMNIX_LOG_LEVEL": "WARNING",
        }
        router_process = stack.enter_context(
            spawned([sys.executable, "-m", "omnix_router"], log=folder / "router.log", env={**os.environ, **variables})
        )
        yield Under(relay_process.pid, relay), Under(router_process.pid, router)


def _asked(model: str) -> router_service_pb2.CompleteRequest:
    request = completion_pb2.CompletionRequest(model=model)
    message = request.messages.add(role=completion_pb2.ROLE_USER)
    message.parts.add().text = "A question of about as many words as people ask."
    caller = Caller(tenant_id="default", key_id="bench")
    return router_service_pb2.CompleteRequest(completion_id=uuid7(), caller=caller, request=request)


@contextlib.asynccontextmanager
async def _stub(under: Under) -> AsyncIterator[router_service_pb2_grpc.RouterServiceStub]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{under.port}") as channel:
        stub = router_service_pb2_grpc.RouterServiceStub(channel)
        ends = time.monotonic() + _READY_WITHIN
        while True:
            try:
                await stub.Complete(_asked(f"openai/{_MODEL}"), timeout=2)
                break
            except grpc.aio.AioRpcError:
                if time.monotonic() > ends:
                    raise
                await asyncio.sleep(0.1)
        yield stub


async def _cpu_a_request(under: Under, requests: int) -> float:
    """Microseconds of the process's CPU, with 32 calls at a time."""
    async with _stub(under) as stub:
        left = iter(range(requests))

        async def call() -> None:
            for _ in left:
                await stub.Complete(_asked(f"openai/{_MODEL}"), timeout=10)

        before = under.cpu()
        await asyncio.gather(*(call() for _ in range(_AT_ONCE)))
        return (under.cpu() - before) / requests * 1e6


async def _latency(under: Under, model: str, requests: int) -> float:
    """Median milliseconds, one call at a time; calls that pay for the retries of the budget lie between."""
    taken = []
    async with _stub(under) as stub:
        for _ in range(requests):
            for _ in range(5):
                await stub.Complete(_asked(f"openai/{_MODEL}"), timeout=10)
            began = time.perf_counter()
            await stub.Complete(_asked(model), timeout=10)
            taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1000


async def _measure(relay: Under, router: Under, requests: int, rounds: int) -> dict[str, float]:
    cpu: dict[str, list[float]] = {"relay": [], "router": []}
    for _ in range(rounds):
        for name, under in (("relay", relay), ("router", router)):
            cpu[name].append(await _cpu_a_request(under, requests))
    plain = await _latency(router, f"openai/{_MODEL}", 200)
    over = await _latency(router, "over", 200)
    passed = await _latency(relay, f"openai/{_MODEL}", 200)
    least = {name: min(found) for name, found in cpu.items()}
    return {
        "relay_us": least["relay"],
        "router_us": least["router"],
        "own_us": least["router"] - least["relay"],
        "plain_ms": plain,
        "failover_ms": over,
        "one_call_ms": passed / 2,
        "own_failover_ms": over - plain - passed / 2,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.router", description=__doc__)
    parser.add_argument("--requests", type=int, default=5000, help="calls of one round")
    parser.add_argument("--rounds", type=int, default=4, help="rounds of each, taking turns; the least counts")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", choices=["adapter", "relay"], help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--adapter", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(_serve(arguments.serve, arguments.port, arguments.adapter))
        return
    leave_on_signals()
    with TemporaryDirectory() as folder, _processes(Path(folder)) as (relay, router):
        found = asyncio.run(_measure(relay, router, arguments.requests, arguments.rounds))
    if arguments.json:
        sys.stdout.write(json.dumps(found) + "\n")
        return
    table = Table(Column("what"), Column("", justify="right"), title="The router's own cost, the least of all rounds")
    table.add_row("CPU a unary request, 32 at a time, of a process that passes it on", f"{found['relay_us']:.0f} µs")
    table.add_row("of the router", f"{found['router_us']:.0f} µs")
    table.add_row("the router's own", f"{found['own_us']:.0f} µs")
    table.add_row("an answer, one at a time", f"{found['plain_ms']:.2f} ms")
    table.add_row("with the first target failing at once", f"{found['failover_ms']:.2f} ms")
    table.add_row("one call more", f"{found['one_call_ms']:.2f} ms")
    table.add_row("failover's own", f"{found['own_failover_ms']:.2f} ms")
    Console().print(table)


if __name__ == "__main__":
    main()
