"""Calls with a key, and looking at what is remembered of them."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
from omnix_gateway.idempotency.records import Record, State, from_bytes
from omnix_kit import streams
from omnix_kit.testing import eventually
from prometheus_client import Counter

from .conftest import Gateway
from .fakes import Backends

PATH = "/v1/chat/completions"
KEY = {"idempotency-key": "order-4711"}


def body(content: str = "Hello", **more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": content}], **more}


async def ask(
    gateway: Gateway, content: str = "Hello", headers: Mapping[str, str] = KEY, **more: Any
) -> httpx.Response:
    async with asyncio.timeout(20):
        return await gateway.http.post(PATH, json=body(content, **more), headers=dict(headers))


async def streamed(
    gateway: Gateway, content: str = "Hello", headers: Mapping[str, str] = KEY, **more: Any
) -> tuple[httpx.Headers, bytes]:
    """Headers and body, without keep-alives."""
    async with asyncio.timeout(20):
        asked = body(content, stream=True, **more)
        async with gateway.http.stream("POST", PATH, json=asked, headers=dict(headers)) as answer:
            told = await answer.aread()
            assert answer.status_code == 200, told
            return answer.headers, told.replace(b": keep-alive\n\n", b"")


def calls(behind: Backends) -> int:
    router = behind.router
    return len(router.asked) + len(router.started) + len(router.embedded)


async def remembered(behind: Backends) -> list[Record]:
    jetstream = behind.messaging.jetstream
    name = streams.IDEMPOTENCY.name
    assert name is not None
    info = await jetstream.stream_info(name, subjects_filter=">")
    found = []
    for subject in info.state.subjects or {}:
        message = await jetstream.get_last_msg(name, subject)
        record = from_bytes(message.data or b"")
        assert record is not None
        found.append(record)
    return found


async def state_becomes(behind: Backends, *states: State) -> list[Record]:
    """Wait until this is what is remembered."""
    found: list[Record] = []

    async def holds() -> bool:
        nonlocal found
        found = await remembered(behind)
        return [record.state for record in found] == list(states)

    await eventually(holds)
    return found


def counted(counter: Counter, outcome: str) -> int:
    return int(counter.labels(outcome)._value.get())
