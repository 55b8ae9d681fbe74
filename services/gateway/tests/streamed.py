"""Asking for streams, and saying what one must be."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from .conftest import Gateway
from .events import Event, all_events, error_in, joined
from .publisher import Publisher

BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}], "stream": True}


@asynccontextmanager
async def asked(gateway: Gateway, headers: dict[str, str] | None = None, **more: Any) -> AsyncIterator[httpx.Response]:
    body = {**BODY, **more}
    async with gateway.http.stream("POST", "/v1/chat/completions", json=body, headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        yield response


async def answer_of(gateway: Gateway, **more: Any) -> list[Event]:
    async with asyncio.timeout(15):
        async with asked(gateway, **more) as response:
            return await all_events(response)


def assert_whole(found: list[Event], text: str) -> None:
    assert joined(found) == text
    assert found[-1].data == "[DONE]"
    assert [event.json["choices"][0]["finish_reason"] for event in found[:-1]][-1] == "stop"


def assert_cut(found: list[Event], code: str) -> None:
    assert error_in(found)["code"] == code
    finishes = [event.json["choices"][0]["finish_reason"] for event in found[:-1] if event.id]
    assert set(finishes) <= {None}
    assert all(event.data != "[DONE]" for event in found)


class Steps:
    """A play that a test takes step by step."""

    def __init__(self, *texts: str) -> None:
        self._texts = texts
        self.go = asyncio.Event()
        self.publisher: asyncio.Future[Publisher] = asyncio.get_running_loop().create_future()

    async def __call__(self, publisher: Publisher) -> None:
        await publisher.text(*self._texts)
        self.publisher.set_result(publisher)
        await self.go.wait()


async def watched(gateway: Gateway, stream_id: str, last: str) -> list[Event]:
    async with gateway.http.stream("GET", f"/v1/streams/{stream_id}", params={"last_event_id": last}) as response:
        assert response.status_code == 200, await response.aread()
        return await all_events(response)
