"""Watching and resuming an answer that another attempt went on with: the same events at any moment, on either side."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from .conftest import Gateway, Start
from .events import Event, events, joined
from .fakes import Backends
from .publisher import ROUTER, Publisher
from .streamed import Steps, answer_of, asked, assert_cut, assert_whole, watched


@pytest.fixture(autouse=True)
def _recoverable(behind: Backends) -> None:
    behind.router.router_id = ROUTER


def raw(found: list[Event]) -> list[str]:
    return [event.raw for event in found if event.data]


async def whole_of_two(publisher: Publisher) -> None:
    await publisher.text("a", "b")
    await publisher.break_off()
    second = publisher.successor()
    await second.text("c")
    await publisher.name(second)
    await second.text("d")
    await second.finish()


async def test_an_answer_of_two_attempts_is_resumed_at_every_event(
    gateway: Gateway, start: Start, behind: Backends
) -> None:
    other: Gateway = await start()
    behind.router.play = whole_of_two
    original = await answer_of(gateway)
    assert_whole(original, "abcd")
    stream_id = original[0].json["id"]
    assert raw(await watched(other, stream_id, "")) == raw(original)
    for position, event in enumerate(original[:-1]):
        assert event.id is not None
        assert raw(await watched(other, stream_id, event.id)) == raw(original[position + 1 :])
    # A number alone is of the attempt that began the answer.
    for number in ("0", "1"):
        assert raw(await watched(other, stream_id, number)) == raw(original[int(number) + 1 :])


async def test_whoever_has_what_does_not_stand_is_told(gateway: Gateway, start: Start, behind: Backends) -> None:
    other: Gateway = await start()

    async def play(publisher: Publisher) -> None:
        await Publisher(behind.messaging, publisher.request).text("of a dead attempt")
        publisher.attempt = 2
        await publisher.text("a", "b")
        await publisher.break_off()
        fourth = publisher.successor(4)
        await fourth.text("c")
        await publisher.name(fourth)
        await fourth.finish()

    async def before(publisher: Publisher) -> None:
        publisher.attempt = 2

    behind.router.before, behind.router.play = before, play
    original = await answer_of(gateway)
    assert_whole(original, "abc")
    stream_id = original[0].json["id"]
    for lost in ("1.0", "2.2", "2", "3.0", "5.0"):
        found = await watched(other, stream_id, lost)
        assert_cut(found, "stream_lost")
        assert joined(found) == ""
    assert_whole(await watched(other, stream_id, "2.1"), "c")


async def test_watchers_may_join_at_any_moment(gateway: Gateway, start: Start, behind: Backends) -> None:
    other: Gateway = await start()
    steps = Steps("a", "b")
    behind.router.play = steps
    watching: list[asyncio.Task[list[Event]]] = []

    async def joins(stream_id: str, last: str = "") -> None:
        for at in (gateway, other):
            watching.append(asyncio.create_task(watched(at, stream_id, last)))
        await until_joined(other, stream_id)

    async with asked(gateway) as response:
        stream = events(response)
        first = await anext(stream)
        stream_id = first.json["id"]
        publisher = await steps.publisher
        second = publisher.successor()
        moments: list[Callable[[], Awaitable[None]]] = [
            lambda: publisher.break_off(),
            lambda: second.text("c"),
            lambda: publisher.name(second),
            lambda: second.text("d"),
            lambda: second.finish(),
        ]
        for moment in moments:
            await joins(stream_id)
            await moment()
        await joins(stream_id)
        original = [first, *[event async for event in stream if event.data]]
    assert_whole(original, "abcd")
    async with asyncio.timeout(15):
        for found in await asyncio.gather(*watching):
            assert raw(found) == raw(original)


async def until_joined(gateway: Gateway, stream_id: str) -> None:
    """Another client has read something, so those that asked before it are being answered too."""
    async with gateway.http.stream("GET", f"/v1/streams/{stream_id}") as response:
        assert (await anext(events(response))).text == "a"


async def test_whoever_waits_may_leave_and_come_back(gateway: Gateway, start: Start, behind: Backends) -> None:
    other: Gateway = await start()
    steps = Steps("a")
    behind.router.play = steps
    async with asked(gateway, {"x-omnix-on-disconnect": "continue"}) as response:
        first = await anext(events(response))
    publisher = await steps.publisher
    await publisher.break_off()
    second = publisher.successor()
    await second.text("b")
    coming_back = asyncio.create_task(watched(other, first.json["id"], "1.0"))
    await until_joined(other, first.json["id"])
    await publisher.name(second)
    await second.finish()
    async with asyncio.timeout(15):
        found = await coming_back
    assert_whole(found, "b")
    assert [event.id for event in found] == ["2.0", "2.1", None]


async def test_whoever_joins_an_answer_that_was_given_up_gets_its_error(
    gateway: Gateway, start: Start, behind: Backends
) -> None:
    other: Gateway = await start()

    async def play(publisher: Publisher) -> None:
        await publisher.text("a")
        await publisher.break_off()
        second = publisher.successor()
        await second.text("b")
        await publisher.name(second)
        await second.break_off()
        await second.give_up()

    behind.router.play = play
    original = await answer_of(gateway)
    assert_cut(original, "provider_cut")
    found = await watched(other, original[0].json["id"], "")
    assert raw(found) == raw(original)
    assert joined(found) == "ab"
    for last, rest in (("1.0", "b"), ("2.0", "")):
        found = await watched(other, original[0].json["id"], last)
        assert_cut(found, "provider_cut")
        assert joined(found) == rest
