"""A process from start to SIGTERM, as a real process."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from omnix.account.v1 import account_service_pb2_grpc
from omnix.account.v1.account_service_pb2 import AuthenticateKeyRequest, ListKeysRequest
from omnix_kit import logs
from omnix_kit.errors import CallerError, PlatformError, Reason
from omnix_kit.rpc import Remote
from omnix_kit.runtime import Process, run
from omnix_kit.settings import ServiceSettings
from omnix_kit.testing import eventually, free_port

PATIENTLY = timedelta(seconds=20)
SERVICE = Path(__file__).with_name("little_service.py")


@pytest.fixture
def ports() -> dict[str, str]:
    return {"OMNIX_GRPC_PORT": str(free_port()), "OMNIX_OPS_PORT": str(free_port())}


def start(ports: dict[str, str], **more: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, str(SERVICE)], env={**os.environ, **ports, **more}, stderr=subprocess.PIPE, text=True
    )


def probe(ports: dict[str, str], path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{ports['OMNIX_OPS_PORT']}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as exc:
        return exc.code, exc.read().decode()
    except OSError:
        return 0, ""


async def test_service_tells_health_answers_errors_and_stops_on_sigterm(ports: dict[str, str]) -> None:
    process = start(ports)
    try:
        await eventually(lambda: probe(ports, "/livez")[0] == 200)
        status, body = probe(ports, "/readyz")
        assert (status, json.loads(body)["lacking"]) == (503, {"nats": "NATS at 127.0.0.1:9 is away"})
        _, measured = probe(ports, "/metrics")
        assert "omnix_ready 0.0" in measured.splitlines()
        assert {'omnix_lacking{need="nats"} 1.0', 'omnix_lacking{need="start"} 0.0'} <= set(measured.splitlines())
        async with Remote("accounts", f"127.0.0.1:{ports['OMNIX_GRPC_PORT']}") as remote:
            stub = account_service_pb2_grpc.AccountServiceStub(remote.channel)
            with pytest.raises(CallerError) as told:
                await remote.call(stub.AuthenticateKey, AuthenticateKeyRequest(), timeout=PATIENTLY)
            assert (told.value.reason, told.value.param, told.value.retry_after) == (
                Reason.RATE_LIMITED,
                "key",
                timedelta(seconds=1.5),
            )
            with pytest.raises(PlatformError) as defect:
                await remote.call(stub.ListKeys, ListKeysRequest(), timeout=PATIENTLY)
            assert defect.value.reason is Reason.INTERNAL
            assert "kaboom" not in defect.value.message
            health = health_pb2_grpc.HealthStub(remote.channel)
            answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=5)
            assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert 'code="RESOURCE_EXHAUSTED"' in probe(ports, "/metrics")[1]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
    assert process.stderr is not None
    lines = [json.loads(line) for line in process.stderr.read().splitlines()]
    assert [line["message"] for line in lines if line["logger"] == "omnix_kit.runtime"] == [
        "serving",
        "stopping",
        "stopped",
    ]


async def test_away_service_is_unavailable_within_the_connect_timeout() -> None:
    async with Remote("accounts", f"127.0.0.1:{free_port()}") as remote:
        stub = account_service_pb2_grpc.AccountServiceStub(remote.channel)
        with pytest.raises(PlatformError) as away:
            await remote.call(
                stub.ListKeys,
                ListKeysRequest(),
                timeout=PATIENTLY,
                connect_timeout=timedelta(milliseconds=200),
            )
        assert away.value.reason is Reason.UNAVAILABLE


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("OMNIX_GRPC_PORT", "99999", "OMNIX_GRPC_PORT: Input should be less than or equal to 65535"),
        ("OMNIX_GRACE", "soon", "OMNIX_GRACE: must be a duration"),
        ("OMNIX_GRPC_HOST", "0.0.0.0", "OMNIX_GRPC_TOKEN must be set"),
    ],
)
def test_bad_configuration_ends_with_code_2_and_names_the_variable(
    ports: dict[str, str], variable: str, value: str, told: str
) -> None:
    process = start({**ports, variable: value})
    assert process.wait(10) == 2
    assert process.stderr is not None
    text = process.stderr.read()
    assert told in text
    assert "Traceback" not in text


async def test_missing_or_wrong_service_token_is_refused(ports: dict[str, str]) -> None:
    process = start(ports, OMNIX_GRPC_TOKEN="correct horse")
    try:
        address = f"127.0.0.1:{ports['OMNIX_GRPC_PORT']}"
        for token, reason in (
            (None, Reason.INTERNAL),
            ("wrong", Reason.INTERNAL),
            ("correct horse", Reason.RATE_LIMITED),
        ):
            async with Remote("accounts", address, token) as remote:
                stub = account_service_pb2_grpc.AccountServiceStub(remote.channel)
                with pytest.raises((CallerError, PlatformError)) as told:
                    await remote.call(
                        stub.AuthenticateKey, AuthenticateKeyRequest(), timeout=PATIENTLY, connect_timeout=PATIENTLY
                    )
                assert told.value.reason is reason
                if isinstance(told.value.__cause__, grpc.aio.AioRpcError) and token != "correct horse":
                    assert told.value.__cause__.code() is grpc.StatusCode.UNAUTHENTICATED
    finally:
        process.kill()


def test_process_is_not_ready_before_it_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = []

    @asynccontextmanager
    async def serve(settings: ServiceSettings, process: Process) -> AsyncIterator[None]:
        lacking.append(process.readiness.lacking())
        asyncio.get_running_loop().call_later(0.05, lambda: lacking.append(process.readiness.lacking()))
        asyncio.get_running_loop().call_later(0.1, lambda: os.kill(os.getpid(), signal.SIGTERM))
        yield

    monkeypatch.setattr(logs, "configure", lambda service, level: None)
    with pytest.raises(SystemExit) as ended:
        run("little", ServiceSettings, serve)
    assert ended.value.code == 0
    assert lacking == [{"start": "the process is starting"}, {}]
