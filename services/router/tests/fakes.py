"""Adapters that do as they are told, and a router as a real process."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import grpc
from google.rpc import status_pb2
from grpc_status import rpc_status
from omnix.common.v1.caller_pb2 import Caller
from omnix.completion.v1 import completion_pb2
from omnix.embedding.v1 import embedding_pb2
from omnix.provider.v1 import provider_pb2, provider_service_pb2_grpc
from omnix.provider.v1 import provider_service_pb2 as wire
from omnix.router.v1 import router_service_pb2, router_service_pb2_grpc
from omnix_kit.convert import error_to_status
from omnix_kit.errors import OmnixError, Reason, error_for
from omnix_kit.ids import uuid7
from omnix_kit.rpc import Remote
from omnix_kit.testing import NatsServer, eventually, free_port

LONG = timedelta(seconds=20)
Act = Callable[["Call"], Awaitable[None]]


@dataclass
class Call:
    """One attempt that reached the adapter."""

    attempt: provider_pb2.Attempt
    request: completion_pb2.CompletionRequest | embedding_pb2.EmbeddingRequest
    stream: wire.StartCompletionRequest | None = None
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    """The call itself was cancelled."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """`CancelCompletion` came for it."""
    purpose: int | None = None
    """What it turned out to be for, by that word."""


def fail(reason: Reason, retry_after: float | None = None, status: int | None = None, provider: str = "openai") -> Act:
    async def act(_: Call) -> None:
        delay = None if retry_after is None else timedelta(seconds=retry_after)
        raise error_for(reason, "As told.", provider=provider, provider_status=status, retry_after=delay)

    return act


async def answer(_: Call) -> None:
    """Succeed."""


async def hang(call: Call) -> None:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        call.cancelled.set()
        raise


async def until_ended(call: Call) -> None:
    """As adapters do when `CancelCompletion` comes."""
    await call.ended.wait()
    raise error_for(Reason.CANCELLED, "As told.")


class FakeAdapter(provider_service_pb2_grpc.ProviderServiceServicer):
    """Answers attempts by a script, then always well."""

    def __init__(self, *providers: str, sandbox: bool = False, models: tuple[tuple[str, str], ...] = ()) -> None:
        self.providers = providers
        self.sandbox = sandbox
        self.models = models
        self.problem = ""
        self.script: list[Act] = []
        self.calls: list[Call] = []
        self.asked = 0
        """How often it was asked what it serves."""
        self.port = free_port()
        self._server: grpc.aio.Server | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def forget(self) -> None:
        """Be as new."""
        self.script = []
        self.calls = []

    async def __aenter__(self) -> "FakeAdapter":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        provider_service_pb2_grpc.add_ProviderServiceServicer_to_server(self, self._server)
        self._server.add_insecure_port(self.address)
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    async def _act(self, call: Call, context: grpc.aio.ServicerContext) -> None:
        self.calls.append(call)
        act = self.script.pop(0) if self.script else answer
        try:
            await act(call)
        except OmnixError as exc:
            status: status_pb2.Status = error_to_status(exc)
            await context.abort_with_status(rpc_status.to_status(status))

    async def Complete(self, request: wire.CompleteRequest, context: grpc.aio.ServicerContext) -> wire.CompleteResponse:
        await self._act(Call(request.attempt, request.request), context)
        completion = completion_pb2.Completion(
            completion_id=request.attempt.completion_id, vendor_model=f"{request.attempt.model}-vendor"
        )
        priced = request.attempt.HasField("price")
        return wire.CompleteResponse(completion=completion, cost_micros=42 if priced else None, sandbox=self.sandbox)

    async def StartCompletion(
        self, request: wire.StartCompletionRequest, context: grpc.aio.ServicerContext
    ) -> wire.StartCompletionResponse:
        await self._act(Call(request.attempt, request.request, request), context)
        return wire.StartCompletionResponse(sender_id=f"sender-{self.port}", sandbox=self.sandbox)

    async def Embed(self, request: wire.EmbedRequest, context: grpc.aio.ServicerContext) -> wire.EmbedResponse:
        await self._act(Call(request.attempt, request.request), context)
        embeddings = embedding_pb2.Embeddings(vectors=[b"\0\0\x80?"] * len(request.request.inputs))
        priced = request.attempt.HasField("price")
        return wire.EmbedResponse(embeddings=embeddings, cost_micros=7 if priced else None, sandbox=self.sandbox)

    async def CancelCompletion(
        self, request: wire.CancelCompletionRequest, context: grpc.aio.ServicerContext
    ) -> wire.CancelCompletionResponse:
        for call in self.calls:
            if call.attempt.attempt_id == request.attempt_id:
                call.purpose = request.purpose if request.HasField("purpose") else None
                call.ended.set()
        return wire.CancelCompletionResponse(found=True)

    async def ListModels(
        self, request: wire.ListModelsRequest, context: grpc.aio.ServicerContext
    ) -> wire.ListModelsResponse:
        self.asked += 1
        return wire.ListModelsResponse(
            providers=[
                provider_pb2.Provider(name=name, kind="openai", sandbox=self.sandbox, problem=self.problem)
                for name in self.providers
            ],
            models=[provider_pb2.ProviderModel(provider=provider, model=model) for provider, model in self.models],
        )


class Router:
    """The router's process, and a stub to talk to it."""

    def __init__(self, process: "subprocess.Popen[bytes]", grpc_port: int, ops_port: int, log: Path) -> None:
        self.process = process
        self._ops_port = ops_port
        self._log = log
        self.remote = Remote("router", f"127.0.0.1:{grpc_port}")
        self.stub = router_service_pb2_grpc.RouterServiceStub(self.remote.channel)

    async def complete(
        self, model: str, timeout: timedelta = LONG, request: completion_pb2.CompletionRequest | None = None
    ) -> router_service_pb2.CompleteResponse:
        """Ask for a whole answer; ``request`` is what is asked beyond the usual."""
        call = router_service_pb2.CompleteRequest(
            completion_id=uuid7(), caller=Caller(tenant_id="t", key_id="k"), request=asked(model, request)
        )
        return await self.remote.call(self.stub.Complete, call, timeout=timeout)

    async def start(
        self,
        model: str,
        timeout: timedelta = LONG,
        completion_id: str = "",
        request: completion_pb2.CompletionRequest | None = None,
        chunk_subject: str = "omnix.v1.completion.chunk.g.c",
    ) -> router_service_pb2.StartCompletionResponse:
        call = router_service_pb2.StartCompletionRequest(
            completion_id=completion_id or uuid7(),
            caller=Caller(tenant_id="t", key_id="k"),
            request=asked(model, request),
            chunk_subject=chunk_subject,
        )
        return await self.remote.call(self.stub.StartCompletion, call, timeout=timeout)

    async def embed(
        self, model: str, dimensions: int | None = None, timeout: timedelta = LONG
    ) -> router_service_pb2.EmbedResponse:
        inputs = [embedding_pb2.EmbeddingInput(text="Grüße"), embedding_pb2.EmbeddingInput(text="b")]
        call = router_service_pb2.EmbedRequest(
            completion_id=uuid7(),
            caller=Caller(tenant_id="t", key_id="k"),
            request=embedding_pb2.EmbeddingRequest(model=model, inputs=inputs, dimensions=dimensions),
        )
        return await self.remote.call(self.stub.Embed, call, timeout=timeout)

    async def cancel(self, completion_id: str, cause: str) -> None:
        request = router_service_pb2.CancelCompletionRequest(completion_id=completion_id, cause=cause)
        await self.remote.call(self.stub.CancelCompletion, request, timeout=LONG)

    async def models(self) -> dict[str, router_service_pb2.GetModelResponse]:
        listed = await self.remote.call(self.stub.ListModels, router_service_pb2.ListModelsRequest(), timeout=LONG)
        return {model.id: router_service_pb2.GetModelResponse(model=model) for model in listed.models}

    async def model(self, name: str) -> router_service_pb2.GetModelResponse:
        return await self.remote.call(self.stub.GetModel, router_service_pb2.GetModelRequest(name=name), timeout=LONG)

    async def lacking(self) -> dict[str, str]:
        status, body = await asyncio.to_thread(self._probe, "/readyz")
        return {"process": "is away"} if status == 0 else dict(json.loads(body)["lacking"])

    async def metric(self, sample: str) -> float:
        """The value of one sample, such as ``name{label="x"}``; 0 while there is none."""
        text = (await asyncio.to_thread(self._probe, "/metrics"))[1]
        return next((float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(f"{sample} ")), 0)

    async def ready(self) -> None:
        async def nothing_lacks() -> bool:
            return not await self.lacking()

        await eventually(nothing_lacks, within=20)

    def log(self) -> str:
        return self._log.read_text()

    def _probe(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._ops_port}{path}", timeout=5) as got:
                return got.status, got.read().decode()
        except urllib.error.HTTPError as exc:
            return exc.code, exc.read().decode()
        except OSError:
            return 0, ""


def asked(model: str, more: completion_pb2.CompletionRequest | None = None) -> completion_pb2.CompletionRequest:
    message = completion_pb2.Message(
        role=completion_pb2.ROLE_USER, parts=[completion_pb2.Part(text="Grüße"), completion_pb2.Part(text="")]
    )
    request = completion_pb2.CompletionRequest(
        model=model, messages=[message], metadata={"a": "b"}, vendor_parameters={"x": "[1]"}
    )
    if more is not None:
        request.MergeFrom(more)
    return request


def spawn(folder: Path, nats_url: str, adapters: str, **variables: str) -> Router:
    """Start the process; its log goes to a file, because nobody reads a pipe while it runs."""
    grpc_port, ops_port = free_port(), free_port()
    log = folder / f"router-{grpc_port}.log"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("OMNIX_")},
        "OMNIX_GRPC_PORT": str(grpc_port),
        "OMNIX_OPS_PORT": str(ops_port),
        "OMNIX_NATS_URL": nats_url,
        "OMNIX_ADAPTERS": adapters,
        "OMNIX_GRACE": "5s",
        "OMNIX_DATA_DIR": str(folder / "data"),
        # Tests share a router and fail targets as they like; those about circuits say otherwise.
        "OMNIX_CIRCUIT_FAILURES": "1000",
        "OMNIX_CIRCUIT_CALLS": "100000",
        # Fake adapters say nothing of how their streams end; those about recovery say otherwise.
        "OMNIX_RECOVERY_COMPLETIONS": "0",
        **variables,
    }
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "omnix_router"], env=environment, stderr=out)
    return Router(process, grpc_port, ops_port, log)


@asynccontextmanager
async def running(folder: Path, nats: NatsServer, adapters: str, **variables: str) -> AsyncIterator[Router]:
    """A router that is ready, and that leaves with code 0 on SIGTERM."""
    router = spawn(folder, nats.url, adapters, **variables)
    try:
        await router.ready()
        yield router
        router.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(router.process.wait, 15) == 0
    finally:
        router.process.kill()
        router.process.wait(10)
        await router.remote.close()
