"""A stream with a key is made once: whoever comes again, anywhere and whenever, gets the same events."""

import asyncio
import time
from typing import Any

import httpx
import msgspec
import pytest
from omnix_gateway.idempotency.keys import fingerprint, place_of
from omnix_gateway.idempotency.records import Record, State, to_bytes
from omnix_gateway.identity import Identity, Role
from omnix_gateway.routes.completions import PATH as ROUTE
from omnix_gateway.routes.completions import _decoder
from omnix_kit import streams, subjects
from omnix_kit.errors import Reason, error_for
from omnix_kit.ids import uuid7
from omnix_kit.testing import eventually

from .conftest import Gateway, Start
from .events import events
from .fakes import Backends
from .keyed import KEY, PATH, ask, body, calls, state_becomes, streamed
from .publisher import ROUTER, Publisher
from .streamed import Steps

USAGE: dict[str, Any] = {"stream_options": {"include_usage": True}}


async def forgotten(behind: Backends) -> None:
    """The recording's ten minutes are over."""
    assert streams.CHUNKS.name is not None
    await behind.messaging.jetstream.purge_stream(streams.CHUNKS.name)


async def test_stream_is_given_again_byte_for_byte(start: Start, behind: Backends) -> None:
    one, other = await start(), await start()
    first_headers, first = await streamed(one, **USAGE)
    assert first.endswith(b"data: [DONE]\n\n")
    assert "idempotent-replayed" not in first_headers
    for gateway in (one, other):
        headers, again = await streamed(gateway, **USAGE)
        assert again == first
        assert headers["idempotent-replayed"] == "true"
        for same in ("x-omnix-completion-id", "x-omnix-model", "content-type"):
            assert headers[same] == first_headers[same]
    await state_becomes(behind, State.DONE)
    await forgotten(behind)
    headers, kept = await streamed(other, **USAGE)
    assert kept == first
    assert headers["x-omnix-model"] == first_headers["x-omnix-model"]
    assert calls(behind) == 1


async def test_stream_that_goes_on_is_followed_from_its_beginning(start: Start, behind: Backends) -> None:
    one, other = await start(), await start()
    steps = Steps("Hel", "lo")
    behind.router.play = steps
    asking = [asyncio.create_task(streamed(one))]
    publisher = await steps.publisher
    asking += [asyncio.create_task(streamed(gateway)) for gateway in (one, other, other)]
    await eventually(lambda: len(one.process.readiness.lacking()) == 0)
    await publisher.text(" world")
    await publisher.finish()
    steps.go.set()
    bodies = [told for _, told in await asyncio.gather(*asking)]
    assert len(set(bodies)) == 1
    assert bodies[0].endswith(b"data: [DONE]\n\n")
    assert calls(behind) == 1


async def test_client_that_left_in_the_middle_comes_back_for_the_whole(gateway: Gateway, behind: Backends) -> None:
    steps = Steps("Hel", "lo")
    behind.router.play = steps
    async with gateway.http.stream("POST", PATH, json=body(stream=True), headers=KEY) as answer:
        async for event in events(answer):
            if "lo" in event.data:
                break
    publisher = await steps.publisher
    again = asyncio.create_task(streamed(gateway))
    await publisher.text("!")
    await publisher.finish()
    steps.go.set()
    _, told = await again
    assert told.endswith(b"data: [DONE]\n\n")
    assert behind.cancels == []
    assert calls(behind) == 1
    await state_becomes(behind, State.DONE)


async def test_client_that_left_before_the_beginning_comes_back_for_the_whole(
    gateway: Gateway, behind: Backends
) -> None:
    behind.router.hold = asyncio.Event()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await gateway.http.post(PATH, json=body(stream=True), headers=KEY)
    await eventually(lambda: calls(behind) == 1)
    again = asyncio.create_task(streamed(gateway))
    behind.router.hold.set()
    headers, told = await again
    assert headers["idempotent-replayed"] == "true"
    assert told.endswith(b"data: [DONE]\n\n")
    assert (behind.cancels, behind.router.cancelled) == ([], [])
    assert calls(behind) == 1


async def test_stream_that_its_client_wished_cancelled_is_not_made_again(gateway: Gateway, behind: Backends) -> None:
    steps = Steps("Hel", "lo")
    behind.router.play = steps
    wish = {**KEY, "x-omnix-on-disconnect": "cancel"}
    async with gateway.http.stream("POST", PATH, json=body(stream=True), headers=wish) as answer:
        async for event in events(answer):
            if "lo" in event.data:
                break
    publisher = await steps.publisher
    await eventually(lambda: len(behind.cancels) == 1)
    await publisher.finish(error_for(Reason.CANCELLED, "The completion was cancelled."))
    steps.go.set()
    await state_becomes(behind, State.FAILED)
    await forgotten(behind)
    answered = await ask(gateway, stream=True)
    assert answered.status_code == 409
    assert answered.json()["error"]["code"] == "idempotency_cancelled"
    assert calls(behind) == 1


async def test_cut_stream_is_cut_again(start: Start, behind: Backends) -> None:
    one, other = await start(), await start()

    async def cut(publisher: Publisher) -> None:
        await publisher.text("Hel", "lo")
        await publisher.finish(error_for(Reason.PROVIDER_CUT, "Broken off.", provider="openai"))

    behind.router.play = cut
    _, first = await streamed(one)
    assert b"provider_cut" in first
    assert (await streamed(other))[1] == first
    await state_becomes(behind, State.FAILED)
    await forgotten(behind)
    answered = await ask(other, stream=True)
    assert answered.status_code == 502
    assert answered.json()["error"]["code"] == "provider_cut"
    assert answered.headers["idempotent-replayed"] == "true"
    assert calls(behind) == 1


async def test_stream_that_two_attempts_made_is_given_again(gateway: Gateway, behind: Backends) -> None:
    async def goes_on(publisher: Publisher) -> None:
        await publisher.text("Hel", "lo")
        await publisher.break_off()
        second = publisher.successor()
        await publisher.name(second)
        await second.text(" world")
        await second.finish()

    behind.router.router_id, behind.router.play = ROUTER, goes_on
    _, first = await streamed(gateway)
    assert b"recovered" in first
    assert (await streamed(gateway))[1] == first
    await state_becomes(behind, State.DONE)
    await forgotten(behind)
    assert (await streamed(gateway))[1] == first
    assert calls(behind) == 1


async def test_stream_that_never_began_frees_its_key(gateway: Gateway, behind: Backends) -> None:
    behind.router.error = error_for(Reason.RATE_LIMITED, "Too many.", provider="openai", provider_status=429)
    assert (await ask(gateway, stream=True)).status_code == 429
    behind.router.error = None
    _, told = await streamed(gateway)
    assert told.endswith(b"data: [DONE]\n\n")
    assert calls(behind) == 2


async def test_stream_outlives_its_gateway(start: Start, behind: Backends) -> None:
    other = await start()
    mortal: Gateway = await start(grace=0)
    steps = Steps("Hel", "lo")
    behind.router.play = steps
    first = asyncio.create_task(streamed(mortal))
    publisher = await steps.publisher
    await mortal.stop()
    await asyncio.gather(first, return_exceptions=True)
    again = asyncio.create_task(streamed(other))
    await publisher.text(" world")
    await publisher.finish()
    steps.go.set()
    headers, told = await again
    assert headers["idempotent-replayed"] == "true"
    assert told.endswith(b"data: [DONE]\n\n")
    # Whoever came for it also saw it to its end.
    await state_becomes(behind, State.DONE)
    await forgotten(behind)
    assert (await streamed(other))[1] == told
    assert calls(behind) == 1


@pytest.mark.parametrize("streams_it", [False, True])
async def test_claim_of_a_gateway_that_died_is_in_doubt(gateway: Gateway, behind: Backends, streams_it: bool) -> None:
    asked = body(stream=True) if streams_it else body()
    identity = Identity("member", "default", Role.MEMBER)
    now, completion_id = time.time(), uuid7()
    record = Record(
        State.CLAIMED,
        fingerprint(ROUTE, _decoder.decode(msgspec.json.encode(asked))),
        "dead-gateway",
        completion_id,
        streams_it,
        now,
        now + 3600,
    )
    subject = subjects.call_claimed("default", place_of(identity, KEY["idempotency-key"]))
    await behind.messaging.jetstream.publish(subject, to_bytes(record))
    behind.usage.answer.entries.add().event.provider = "openai"
    answered: httpx.Response = await gateway.http.post(PATH, json=asked, headers=KEY)
    assert answered.status_code == 409
    state = answered.json()["error"]["idempotency"]
    assert state["completion_id"] == f"chatcmpl-{completion_id}"
    assert state["state"] == "in_doubt"
    assert [attempt["provider"] for attempt in state["attempts"]] == ["openai"]
    assert calls(behind) == 0
