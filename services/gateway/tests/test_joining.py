"""Identical requests that are under way at the same time make one call, and none of them spoils it for the others."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Literal

import httpx
import pytest
from omnix_gateway.metrics import OPEN_STREAMS
from omnix_kit.errors import OmnixError, Reason, error_for
from omnix_kit.testing import eventually

from .cached import ON, PATH, Counted, ask, ask_streamed, body, kept, outcome, sharing, stranger, subjects_kept, text
from .conftest import Gateway, Start
from .events import Event, events, joined
from .fakes import ADMIN, OTHER, Backends
from .publisher import Publisher, whole_answer
from .streamed import Steps, assert_cut, assert_whole

JOIN = {"x-omnix-cache": "join"}
OF_OTHER = {"authorization": f"Bearer {OTHER}"}


class Hold(asyncio.Event):
    """Holds calls back, and fails as many of them as there are errors."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[OmnixError] = []

    async def wait(self) -> Literal[True]:
        await super().wait()
        if self.errors:
            raise self.errors.pop()
        return True


def calls(behind: Backends) -> int:
    return len(behind.router.asked) + len(behind.router.started)


@asynccontextmanager
async def streaming(
    gateway: Gateway, headers: Mapping[str, str] = JOIN
) -> AsyncIterator[tuple[httpx.Response, AsyncIterator[Event]]]:
    """A stream, opened; whoever drops its events closes its connection."""
    async with gateway.http.stream("POST", PATH, json=body(stream=True), headers=dict(headers)) as response:
        assert response.status_code == 200, await response.aread()
        yield response, events(response)


@pytest.mark.parametrize("wish", ["join", "on"])
async def test_requests_at_the_same_time_make_one_call(gateway: Gateway, behind: Backends, wish: str) -> None:
    behind.router.hold = asyncio.Event()
    asking = [asyncio.create_task(ask(gateway, headers={"x-omnix-cache": wish})) for _ in range(5)]
    asking.append(asyncio.create_task(ask(gateway, headers={"x-omnix-cache": wish} | OF_OTHER)))
    await sharing(5)
    behind.router.hold.set()
    answers = await asyncio.gather(*asking)
    assert calls(behind) == 1
    leads = "bypass" if wish == "join" else "miss"
    assert sorted(map(outcome, answers)) == sorted(["joined"] * 5 + [leads])
    assert len({each.text for each in answers}) == 1
    assert {each.headers["x-omnix-completion-id"] for each in answers} == {answers[0].json()["id"]}
    if wish == "join":
        assert await subjects_kept(behind) == []


async def test_those_who_did_not_ask_or_ask_otherwise_make_their_own(gateway: Gateway, behind: Backends) -> None:
    behind.router.hold = asyncio.Event()
    refresh = {"x-omnix-cache": "on,no-cache"}
    asking = [
        asyncio.create_task(ask(gateway, content, headers))
        for content, headers in (
            ("Hello", JOIN),
            ("Hello", {}),
            ("Hello", refresh),
            ("Hello", JOIN | stranger(behind)),
            ("Hello!", JOIN),
            ("Hello", {"x-omnix-cache": "join,namespace=a"}),
            ("Hello", {"x-omnix-cache": "off"}),
        )
    ]
    await eventually(lambda: calls(behind) == len(asking))
    behind.router.hold.set()
    answers = await asyncio.gather(*asking)
    assert all(each.headers.get("x-omnix-cache") in (None, "bypass") for each in answers)


@pytest.mark.parametrize("streamed", [False, True])
async def test_what_goes_wrong_is_told_to_all(gateway: Gateway, behind: Backends, streamed: bool) -> None:
    behind.router.hold = hold = Hold()
    sent = body(stream=streamed)
    asking = [asyncio.create_task(gateway.http.post(PATH, json=sent, headers=JOIN)) for _ in range(3)]
    await sharing(2)
    hold.errors.append(error_for(Reason.RATE_LIMITED, "Slow.", provider="openai"))
    hold.set()
    answers = await asyncio.gather(*asking)
    assert [each.status_code for each in answers] == [429] * 3
    assert calls(behind) == 1
    assert outcome(await ask(gateway, headers=JOIN)) == "bypass"


@pytest.mark.parametrize("streamed", [False, True])
async def test_the_call_goes_on_when_the_one_that_leads_leaves(
    gateway: Gateway, behind: Backends, streamed: bool
) -> None:
    behind.router.hold = asyncio.Event()
    leading = asyncio.create_task(gateway.http.post(PATH, json=body(stream=streamed), headers=JOIN))
    await eventually(lambda: calls(behind) == 1)
    following = asyncio.create_task(gateway.http.post(PATH, json=body(stream=streamed), headers=JOIN))
    await sharing(1)
    leading.cancel()
    await sharing(0)
    behind.router.hold.set()
    answered = await following
    assert outcome(answered) == "joined"
    if streamed:
        assert answered.text.endswith("data: [DONE]\n\n")
    else:
        assert text(answered) == "Hello!"
    assert calls(behind) == 1
    assert behind.router.cancelled == behind.cancels == []


@pytest.mark.parametrize("streamed", [False, True])
async def test_the_call_ends_when_all_have_left(gateway: Gateway, behind: Backends, streamed: bool) -> None:
    behind.router.hold = asyncio.Event()
    sent = body(stream=streamed)
    asking = [asyncio.create_task(gateway.http.post(PATH, json=sent, headers=JOIN)) for _ in range(3)]
    await sharing(2)
    await eventually(lambda: calls(behind) == 1)
    for each in asking:
        each.cancel()
    await eventually(lambda: len(behind.router.cancelled) == 1)
    if streamed:
        await eventually(lambda: behind.cancels == behind.router.cancelled)
    behind.router.hold.set()
    answered = await ask(gateway, headers=JOIN)
    assert (outcome(answered), calls(behind)) == ("bypass", 2)


@pytest.mark.parametrize("streamed", [False, True])
async def test_when_time_is_over_for_the_one_that_leads_another_one_leads(
    gateway: Gateway, behind: Backends, streamed: bool
) -> None:
    behind.router.hold = asyncio.Event()
    sent = body(stream=streamed)
    hurried = asyncio.create_task(gateway.http.post(PATH, json=sent | {"timeout": 0.3}, headers=JOIN))
    await eventually(lambda: calls(behind) == 1)
    following = [asyncio.create_task(gateway.http.post(PATH, json=sent, headers=JOIN)) for _ in range(3)]
    await sharing(3)
    assert (await hurried).status_code == 504
    await eventually(lambda: calls(behind) == 2)
    behind.router.hold.set()
    answers = await asyncio.gather(*following)
    assert sorted(map(outcome, answers)) == ["bypass", "joined", "joined"]
    assert calls(behind) == 2


async def test_one_that_waits_keeps_its_own_time(gateway: Gateway, behind: Backends) -> None:
    behind.router.hold = asyncio.Event()
    leading = asyncio.create_task(ask(gateway, headers=JOIN))
    await eventually(lambda: calls(behind) == 1)
    late = await gateway.http.post(PATH, json=body(timeout=0.1), headers=JOIN)
    assert (late.status_code, late.json()["error"]["code"]) == (504, "deadline_exceeded")
    behind.router.hold.set()
    assert text(await leading) == "Hello!"
    assert calls(behind) == 1


async def test_what_concerns_a_key_alone_concerns_no_other(gateway: Gateway, behind: Backends) -> None:
    behind.router.hold = hold = Hold()
    leading = asyncio.create_task(gateway.http.post(PATH, json=body(), headers=JOIN))
    await eventually(lambda: calls(behind) == 1)
    colleague = asyncio.create_task(ask(gateway, headers=JOIN | OF_OTHER))
    await sharing(1)
    hold.errors.append(error_for(Reason.QUOTA_EXHAUSTED, "The key has used its quota up."))
    hold.set()
    assert (await leading).status_code == 429
    assert text(await colleague) == "Hello!"
    assert calls(behind) == 2


async def test_only_so_many_wait_for_one_call(start: Start, behind: Backends) -> None:
    gateway: Gateway = await start(join_waiters=2)
    behind.router.hold = asyncio.Event()
    asking = [asyncio.create_task(ask(gateway, headers=JOIN)) for _ in range(5)]
    await sharing(2)
    await eventually(lambda: calls(behind) == 3)
    behind.router.hold.set()
    answers = await asyncio.gather(*asking)
    assert sorted(map(outcome, answers)) == ["bypass"] * 3 + ["joined"] * 2


async def test_streams_follow_the_one_that_leads_from_its_beginning(gateway: Gateway, behind: Backends) -> None:
    steps = Steps("Hel", "lo")
    behind.router.play = steps
    async with streaming(gateway, ON) as (first, leading), streaming(gateway, ON | OF_OTHER) as (second, following):
        assert (outcome(first), outcome(second)) == ("miss", "joined")
        seen = [[await anext(each), await anext(each)] for each in (leading, following)]
        publisher = await steps.publisher
        unary = asyncio.create_task(ask(gateway))
        await eventually(lambda: OPEN_STREAMS._value.get() == 3)
        await publisher.text(" world")
        await publisher.finish()
        for found, rest in zip(seen, (leading, following), strict=True):
            found += [event async for event in rest]
            assert_whole(found, "Hello world")
        assert [event.raw for event in seen[0]] == [event.raw for event in seen[1]]
    answered = await unary
    assert (outcome(answered), text(answered)) == ("joined", "Hello world")
    assert answered.json()["id"] == seen[0][0].json["id"]
    assert answered.json()["usage"]["prompt_tokens"] == 7
    assert calls(behind) == 1
    await kept(behind)
    assert outcome(await ask(gateway)) == "hit"


async def test_a_stream_may_follow_what_is_answered_whole(gateway: Gateway, behind: Backends) -> None:
    behind.router.hold = asyncio.Event()
    leading = asyncio.create_task(ask(gateway, headers=JOIN))
    await eventually(lambda: calls(behind) == 1)
    following = asyncio.create_task(ask_streamed(gateway, headers=JOIN))
    await sharing(1)
    behind.router.hold.set()
    headers, found = await following
    assert outcome(headers) == "joined"
    assert_whole(found, "Hello!")
    assert found[0].json["id"] == (await leading).json()["id"]
    assert calls(behind) == 1


async def test_a_stream_goes_on_until_the_last_one_leaves(gateway: Gateway, behind: Backends) -> None:
    behind.router.play = Steps("a")
    async with AsyncExitStack() as first, AsyncExitStack() as second, AsyncExitStack() as third:
        read = [
            (await until.enter_async_context(streaming(gateway, wish)))[1]
            for until, wish in ((first, JOIN), (second, JOIN | OF_OTHER), (third, JOIN))
        ]
        for each in read:
            assert (await anext(each)).text == "a"
        await first.aclose()
        await eventually(lambda: OPEN_STREAMS._value.get() == 2)
        await second.aclose()
        await eventually(lambda: OPEN_STREAMS._value.get() == 1)
        assert behind.cancels == []
    await eventually(lambda: behind.cancels == [behind.router.started[0].completion_id])
    behind.router.play = Steps("b")
    async with streaming(gateway) as (response, following):
        assert (outcome(response), (await anext(following)).text) == ("bypass", "b")


async def test_a_stream_that_began_after_its_leader_left_ends_with_the_last_one(
    gateway: Gateway, behind: Backends
) -> None:
    behind.router.hold = asyncio.Event()
    behind.router.play = Steps("a")
    leading = asyncio.create_task(gateway.http.post(PATH, json=body(stream=True), headers=JOIN))
    await eventually(lambda: calls(behind) == 1)
    async with AsyncExitStack() as until:
        opening = asyncio.create_task(until.enter_async_context(streaming(gateway)))
        await sharing(1)
        leading.cancel()
        await sharing(0)
        behind.router.hold.set()
        _, following = await opening
        assert (await anext(following)).text == "a"
        assert behind.cancels == []
    await eventually(lambda: behind.cancels == [behind.router.started[0].completion_id])


async def test_a_stream_that_any_wished_to_go_on_goes_on(gateway: Gateway, behind: Backends) -> None:
    steps = Steps("Hel")
    behind.router.play = steps
    goes_on = {"x-omnix-on-disconnect": "continue"}
    async with streaming(gateway, JOIN) as (_, leading), streaming(gateway, ON | goes_on) as (_, following):
        await anext(leading)
        await anext(following)
    await sharing(0)
    publisher = await steps.publisher
    await publisher.text("lo")
    await publisher.finish()
    await kept(behind)
    assert behind.cancels == []
    assert text(await ask(gateway)) == "Hello"


async def test_a_stream_whose_leader_left_is_kept(gateway: Gateway, behind: Backends) -> None:
    steps = Steps("Hel")
    behind.router.play = steps
    async with AsyncExitStack() as first, streaming(gateway, ON | OF_OTHER) as (_, following):
        _, leading = await first.enter_async_context(streaming(gateway, ON))
        await anext(leading)
        found = [await anext(following)]
        await first.aclose()
        await eventually(lambda: OPEN_STREAMS._value.get() == 1)
        publisher = await steps.publisher
        await publisher.text("lo")
        await publisher.finish()
        found += [event async for event in following]
    assert_whole(found, "Hello")
    await kept(behind)
    assert behind.cancels == []


async def test_a_stream_that_is_cut_is_cut_for_all(gateway: Gateway, behind: Backends) -> None:
    steps = Steps("Hel")
    behind.router.play = steps
    async with streaming(gateway, ON) as (_, leading), streaming(gateway, ON) as (_, following):
        unary = asyncio.create_task(gateway.http.post(PATH, json=body(), headers=ON))
        await eventually(lambda: OPEN_STREAMS._value.get() == 3)
        await (await steps.publisher).finish(error_for(Reason.PROVIDER_CUT, "Broken off."))
        for each in (leading, following):
            assert_cut([event async for event in each], "provider_cut")
    told = await unary
    assert (told.status_code, told.json()["error"]["code"]) == (502, "provider_cut")
    assert await subjects_kept(behind) == []


async def test_a_stream_that_its_owner_cancels_is_asked_for_again_by_those_who_wait(
    gateway: Gateway, behind: Backends
) -> None:
    steps = Steps("Hel")
    behind.router.play = steps
    async with streaming(gateway) as (response, leading):
        await anext(leading)
        unary = asyncio.create_task(ask(gateway, headers=JOIN | OF_OTHER))
        await eventually(lambda: OPEN_STREAMS._value.get() == 2)
        stream_id = response.headers["x-omnix-completion-id"]
        headers = {"authorization": f"Bearer {ADMIN}"}
        assert (await gateway.http.delete(f"/v1/streams/{stream_id}", headers=headers)).status_code == 200
        await (await steps.publisher).finish(error_for(Reason.CANCELLED, "Cancelled."))
        assert_cut([event async for event in leading], "cancelled")
        assert text(await unary) == "Hello!"
    assert calls(behind) == 2


async def test_a_revoked_key_ends_its_own_stream_and_what_it_leads(gateway: Gateway, behind: Backends) -> None:
    steps = Steps("Hel")
    behind.router.play = steps
    async with streaming(gateway) as (_, leading), streaming(gateway, JOIN | OF_OTHER) as (_, following):
        await anext(leading)
        await anext(following)
        await behind.account_changed("other")
        assert_cut([event async for event in following], "key_revoked")
        assert behind.cancels == []
        async with streaming(gateway, JOIN | {"authorization": f"Bearer {ADMIN}"}) as (told, admin):
            assert outcome(told) == "joined"
            await anext(admin)
            await behind.account_changed("member")
            assert_cut([event async for event in leading], "key_revoked")
            await eventually(lambda: behind.cancels == [behind.router.started[0].completion_id])
            await (await steps.publisher).finish(error_for(Reason.CANCELLED, "Cancelled."))
            assert_cut([event async for event in admin], "cancelled")


async def test_without_the_recording_each_makes_its_own_call(gateway: Gateway, behind: Backends) -> None:
    async def before(publisher: Publisher) -> None:
        await behind.messaging.jetstream.delete_stream("OMNIX_CHUNKS")

    steps = Steps("a")
    behind.router.before, behind.router.play = before, steps
    async with streaming(gateway) as (_, leading):
        assert (await anext(leading)).text == "a"
        behind.router.before, behind.router.play = None, whole_answer
        headers, found = await ask_streamed(gateway, headers=JOIN)
        assert outcome(headers) == "bypass"
        assert joined(found) == "Hello wörld 🌍."


async def test_nothing_is_asked_twice_between_an_answer_and_its_keeping(gateway: Gateway, behind: Backends) -> None:
    counted = Counted()
    for number in range(20):
        asked = await ask(gateway, f"question {number}")
        again = await ask(gateway, f"question {number}")
        assert outcome(asked) == "miss"
        assert outcome(again) in ("joined", "hit")
        assert text(again) == text(asked)
    for number in range(20):
        await ask_streamed(gateway, f"streamed {number}")
        assert outcome(await ask(gateway, f"streamed {number}")) in ("joined", "hit")
    assert calls(behind) == 40
    await eventually(lambda: counted.since["stored"] == 40)
