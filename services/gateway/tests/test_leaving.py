"""What becomes of an answer whose client leaves, or that cannot be sent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest
from omnix_gateway.chat.sse import Encoder
from omnix_gateway.metrics import OPEN_STREAMS
from omnix_kit.errors import Reason, error_for
from omnix_kit.testing import eventually

from .conftest import Gateway
from .events import Event, all_events, events
from .fakes import Backends
from .publisher import Publisher
from .streamed import BODY, Steps, answer_of, asked, assert_cut, assert_whole


async def test_a_client_that_leaves_cancels(gateway: Gateway, behind: Backends) -> None:
    behind.router.play = Steps("a")
    async with asked(gateway) as response:
        await anext(events(response))
    await eventually(lambda: behind.cancels == [behind.router.started[0].completion_id], within=1)


async def test_what_others_watch_is_cancelled_when_the_last_of_them_leaves(gateway: Gateway, behind: Backends) -> None:
    behind.router.play = Steps("a")
    async with AsyncExitStack() as first, AsyncExitStack() as last:
        read: list[AsyncIterator[Event]] = []  # whoever drops one closes its connection

        async def watch(until: AsyncExitStack) -> None:
            response = await until.enter_async_context(gateway.http.stream("GET", f"/v1/streams/{stream_id}"))
            read.append(events(response))
            assert (await anext(read[-1])).text == "a"

        async with asked(gateway) as response:
            stream_id = (await anext(events(response))).json["id"]
            await watch(first)
        await eventually(lambda: OPEN_STREAMS._value.get() == 1)
        await watch(last)
        assert OPEN_STREAMS._value.get() == 2
        await first.aclose()
        await eventually(lambda: OPEN_STREAMS._value.get() == 1)
        assert behind.cancels == []
    await eventually(lambda: behind.cancels == [behind.router.started[0].completion_id])


async def test_a_client_may_wish_that_the_answer_goes_on(gateway: Gateway, behind: Backends) -> None:
    steps = Steps("a", "b")
    behind.router.play = steps
    async with asked(gateway, {"x-omnix-on-disconnect": "continue"}) as response:
        first = await anext(events(response))
        stream_id = first.json["id"]
    publisher = await steps.publisher
    await publisher.text("c")
    await publisher.finish()
    async with gateway.http.stream("GET", f"/v1/streams/{stream_id}", headers={"last-event-id": "0"}) as response:
        assert_whole(await all_events(response), "bc")
    assert behind.cancels == []


async def test_a_client_that_leaves_before_the_first_content_cancels(gateway: Gateway, behind: Backends) -> None:
    behind.router.hold = asyncio.Event()
    with pytest.raises(httpx.ReadTimeout):
        await gateway.http.post("/v1/chat/completions", json=BODY, timeout=0.5)
    completion_id = behind.router.started[0].completion_id
    await eventually(lambda: behind.router.cancelled == [completion_id] and behind.cancels == [completion_id])


async def test_an_answer_that_the_router_began_and_could_not_tell_of_is_cancelled(
    gateway: Gateway, behind: Backends
) -> None:
    async def before(publisher: Publisher) -> None:
        await publisher.text("a")
        raise error_for(Reason.UNAVAILABLE, "The router is being stopped.")

    behind.router.before = before
    refused = await gateway.http.post("/v1/chat/completions", json=BODY)
    assert refused.status_code == 503
    await eventually(lambda: behind.cancels == [behind.router.started[0].completion_id])


async def test_an_answer_that_the_gateway_fails_to_send_is_cancelled(
    gateway: Gateway, behind: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("a defect")

    monkeypatch.setattr(Encoder, "write", broken)
    behind.router.play = Steps("a")
    assert_cut(await answer_of(gateway), "internal")
    await eventually(lambda: behind.cancels == [behind.router.started[0].completion_id])
