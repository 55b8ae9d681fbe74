"""The gateway as a process: its configuration, its log, and its end."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator

import httpx
import pytest
from omnix_kit.testing import NatsServer, eventually, free_port

from .events import error_in, events
from .fakes import MEMBER, Backends
from .publisher import Publisher

BODY = {"model": "m", "messages": [{"role": "user", "content": "secret words"}]}


class Running:
    def __init__(self, process: asyncio.subprocess.Process, http: httpx.AsyncClient) -> None:
        self.process = process
        self.http = http

    async def end(self) -> list[dict[str, object]]:
        """The log, after the process ended."""
        async with asyncio.timeout(15):
            _, errors = await self.process.communicate()
        return [json.loads(line) for line in errors.splitlines()]


@pytest.fixture
async def running(nats: NatsServer, behind: Backends) -> AsyncIterator[Running]:
    port = free_port()
    address = f"127.0.0.1:{behind.port}"
    environment = {
        "OMNIX_HTTP_PORT": str(port),
        "OMNIX_NATS_URL": nats.url,
        "OMNIX_ROUTER_ADDRESS": address,
        "OMNIX_ACCOUNTS_ADDRESS": address,
        "OMNIX_USAGE_METERING_ADDRESS": address,
        "OMNIX_GRACE": "1s",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "omnix_gateway", env={**os.environ, **environment}, stderr=subprocess.PIPE
    )
    headers = {"authorization": f"Bearer {MEMBER}"}
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=15) as http:

            async def ready() -> bool:
                try:
                    return (await http.get("/readyz")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(ready, within=40)
            yield Running(process, http)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_sigterm_finishes_what_can_and_ends_streams_so_that_they_can_be_resumed(
    running: Running, behind: Backends
) -> None:
    begun = asyncio.Event()

    async def play(publisher: Publisher) -> None:
        await publisher.text("a")
        begun.set()
        await asyncio.Event().wait()

    behind.router.play = play
    async with running.http.stream("POST", "/v1/chat/completions", json={**BODY, "stream": True}) as response:
        stream = events(response)
        await anext(stream)
        behind.router.hold = asyncio.Event()
        unary = asyncio.create_task(running.http.post("/v1/chat/completions", json=BODY))
        await eventually(lambda: len(behind.router.asked) == 1)
        running.process.send_signal(signal.SIGTERM)
        behind.router.hold.set()
        assert (await unary).status_code == 200
        found = [event async for event in stream]
    error = error_in(found)
    assert (error["code"], error["resumable"]) == ("shutting_down", True)
    log = await running.end()
    assert running.process.returncode == 0
    assert behind.cancels == []
    lines = [line for line in log if line["logger"] == "omnix_gateway.access" and "chat" in str(line["path"])]
    assert {(line["status"], line["key_id"], line.get("stream_end")) for line in lines} == {
        (200, "member", "shutting_down"),
        (200, "member", None),
    }
    assert MEMBER not in str(log)
    assert "secret words" not in str(log)
    assert not [line for line in log if line["level"] == "error"]


async def test_sigterm_answers_requests_that_take_longer_than_the_grace(running: Running, behind: Backends) -> None:
    behind.router.hold = asyncio.Event()
    unary = asyncio.create_task(running.http.post("/v1/chat/completions", json=BODY))
    await eventually(lambda: len(behind.router.asked) == 1)
    running.process.send_signal(signal.SIGTERM)
    refused = await unary
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "shutting_down")
    await running.end()
    assert running.process.returncode == 0
    await eventually(lambda: len(behind.router.cancelled) == 1)


@pytest.mark.parametrize(
    ("name", "value"), [("OMNIX_HTTP_PORT", "99999"), ("OMNIX_KEY_CACHE", "5m"), ("OMNIX_JSON_DEPTH", "x")]
)
def test_bad_configuration_is_named(name: str, value: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "omnix_gateway"],
        env={**os.environ, name: value},
        capture_output=True,
        text=True,
        timeout=15,
    )
    assert ended.returncode == 2
    assert name in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
