"""Limits across a fleet of four gateways: never more than the limit, and all of it where it is demanded."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from omnix_kit.testing import eventually, free_port
from support.suite import Suite, environment

pytestmark = [pytest.mark.suite, pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="session")]

_CLIENTS = 50
_USABLE = 0.95
_PATIENCE = 5.0
"""Seconds after the first refusal for which clients go on to demand: what idle gateways hold is given back by then."""


@asynccontextmanager
async def gateway(suite: Suite, folder: Path, **more: str) -> AsyncIterator[str]:
    """Another gateway of the suite; answers where."""
    state, port = suite.state(), free_port()
    address = {name: f"127.0.0.1:{service.ports.get('grpc', 0)}" for name, service in state.services.items()}
    variables = {
        "OMNIX_DATA_DIR": str(folder),
        "OMNIX_HTTP_PORT": str(port),
        "OMNIX_NATS_URL": state.nats_url,
        "OMNIX_ROUTER_ADDRESS": address["router"],
        "OMNIX_ACCOUNTS_ADDRESS": address["accounts"],
        "OMNIX_USAGE_METERING_ADDRESS": address["usage-metering"],
        "OMNIX_GRACE": "1s",
        **more,
    }
    url = f"http://127.0.0.1:{port}"
    with (folder / f"gateway-{port}.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: ASYNC220 - it returns at once
            [sys.executable, "-m", "omnix_gateway"], env=environment(folder, **variables), stderr=log
        )
    try:

        async def ready() -> bool:
            try:
                return (await suite.http.get(f"{url}/readyz")).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(ready, 30)
        yield url
    finally:
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, 10)
        except subprocess.TimeoutExpired:
            process.kill()


@asynccontextmanager
async def fleet(suite: Suite, folder: Path) -> AsyncIterator[list[str]]:
    async with AsyncExitStack() as stack:
        others = [stack.enter_async_context(gateway(suite, folder)) for _ in range(3)]
        yield [suite.url, *await asyncio.gather(*others)]


@dataclass
class Key:
    """A key of its own, with a limit of its own."""

    suite: Suite
    id: str
    secret: str

    async def limit(self, kind: str, **how_much: Any) -> None:
        body = {"subject": "key", "subject_id": self.id, "kind": kind, **how_much}
        url = f"{self.suite.url}/v1/limits/{kind}-{self.id}"
        made = await self.suite.http.put(url, json=body, headers=self.suite.headers)
        assert made.status_code == 201, made.text

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.secret}"}

    async def ask(self, url: str, content: str, **more: Any) -> httpx.Response:
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": content}], **more}
        return await self.suite.http.post(f"{url}/v1/chat/completions", json=body, headers=self.headers)

    async def used(self) -> int:
        answer = await self.suite.http.get(f"{self.suite.url}/v1/limits/usage", headers=self.headers)
        [told] = answer.json()["data"]
        return int(told["used"])


async def key_of(suite: Suite) -> Key:
    made = (await suite.http.post(f"{suite.url}/v1/keys", json={"name": "limited"}, headers=suite.headers)).json()
    return Key(suite, made["id"], made["key"])


async def demand(key: Key, gateways: Sequence[str], content: str, **more: Any) -> list[httpx.Response]:
    """Fifty clients ask on until nothing more is to be had; answers what they got."""
    got: list[httpx.Response] = []
    first_refusal: float | None = None

    async def client(number: int) -> None:
        nonlocal first_refusal
        while first_refusal is None or time.monotonic() < first_refusal + _PATIENCE:
            answer = await key.ask(gateways[number % len(gateways)], content, **more)
            if answer.status_code == 200:
                got.append(answer)
                continue
            assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limit_exceeded"), answer.text
            assert "retry-after" in answer.headers
            first_refusal = first_refusal or time.monotonic()
            await asyncio.sleep(0.1)  # as a client that is told to wait

    await asyncio.gather(*(client(number) for number in range(_CLIENTS)))
    return got


async def a_fresh_minute() -> None:
    """Wait until the present minute has time enough left for a test in one window."""
    over = time.time() % 60
    if over > 20:
        await asyncio.sleep(60.2 - over)


async def test_requests_of_a_minute_are_the_limit_to_the_last_one(suite: Suite, tmp_path: Path) -> None:
    key = await key_of(suite)
    async with fleet(suite, tmp_path) as gateways:
        await key.limit("requests_per_minute", amount=400)
        await a_fresh_minute()
        minute = int(time.time()) // 60
        got = await demand(key, gateways, "[[tokens=1]] [[burst]]")
        assert int(time.time()) // 60 == minute, "the machine was too slow for one window"
        assert 400 * _USABLE <= len(got) <= 400

        async def told() -> bool:
            return await key.used() == len(got)

        await eventually(told, 5)


async def test_tokens_of_a_minute_are_no_more_than_the_limit(suite: Suite, tmp_path: Path) -> None:
    key = await key_of(suite)
    async with fleet(suite, tmp_path) as gateways:
        await key.limit("tokens_per_minute", amount=20_000)
        await a_fresh_minute()
        minute = int(time.time()) // 60
        got = await demand(key, gateways, "[[tokens=100]] [[burst]]", max_tokens=100)
        assert int(time.time()) // 60 == minute, "the machine was too slow for one window"
        used = sum(answer.json()["usage"]["total_tokens"] for answer in got)
        assert 20_000 * _USABLE <= used <= 20_000 + 4 * _CLIENTS * 20  # estimates of prompts are off by some tokens


async def test_requests_at_the_same_time_are_never_more_than_the_limit(suite: Suite, tmp_path: Path) -> None:
    key = await key_of(suite)
    async with fleet(suite, tmp_path) as gateways:
        await key.limit("concurrent_requests", amount=12)
        before = len(suite.record())
        got = await demand(key, gateways, "[[tokens=10]] [[pace=40/s]]")
        calls = suite.record()[before:]
        moments = [(call.accepted_time, 1) for call in calls]
        moments += [(call.finished_time, -1) for call in calls if call.finished_time is not None]
        now = most = 0
        for _, step in sorted(moments):
            now += step
            most = max(most, now)
        assert len(got) == len(calls)
        assert most == 12


async def test_gateways_live_on_their_leases_and_then_do_as_they_are_told(suite: Suite, tmp_path: Path) -> None:
    key = await key_of(suite)
    async with gateway(suite, tmp_path, OMNIX_LIMITS_WITHOUT_METERING="closed") as closed:
        await key.limit("requests_per_minute", amount=1000)
        for url in (suite.url, closed):
            assert (await key.ask(url, "[[tokens=1]]")).status_code == 200
        async with suite.stopped("usage-metering"):
            answers = [await key.ask(closed, "[[tokens=1]]") for _ in range(5)]
            assert [answer.status_code for answer in answers] == [200] * 5
            over = time.monotonic() + 40
            while answers[-1].status_code == 200 and time.monotonic() < over:
                answers.append(await key.ask(closed, "[[tokens=1]]"))
            assert (answers[-1].status_code, answers[-1].json()["error"]["code"]) == (503, "unavailable")
            assert "retry-after" in answers[-1].headers
            assert len(answers) <= 1000
            assert (await key.ask(suite.url, "[[tokens=1]]")).status_code == 200

        async def back() -> bool:
            return (await key.ask(closed, "[[tokens=1]]")).status_code == 200

        await eventually(back, 20)


async def test_stream_that_uses_up_a_hard_budget_is_stopped(suite: Suite) -> None:
    key = await key_of(suite)
    await key.limit("cost_per_day", cost="0.01")  # about 1,000 tokens of gpt-4o
    listed = await asyncio.to_thread(suite.command, "limits", "list")
    assert f"cost_per_day-{key.id}" in listed.stdout, listed.stderr
    async with suite.open_stream(
        "[[tokens=6000]] [[pace=400/s]]", key=key.secret, max_tokens=8000, stream_options={"include_usage": True}
    ) as reader:
        seen = await reader.read()
        stream_id = reader.id
    [error] = seen.errors
    assert (error["code"], error["type"]) == ("insufficient_quota", "insufficient_quota")
    assert (seen.done, seen.finish_reasons) == (False, [])
    delivered = len(seen.events) - 1
    assert 100 < delivered < 3000
    [entry] = await suite.usage_of(stream_id.removeprefix("chatcmpl-"))
    assert entry["outcome"] == "cancelled"
    assert delivered - 64 <= entry["output_tokens"] < 4000

    async def refused() -> bool:
        answer = await key.ask(suite.url, "[[tokens=1]]")
        return answer.status_code == 429 and answer.json()["error"]["code"] == "insufficient_quota"

    await eventually(refused, 15)
