"""Silence, lost senders, a message broker that is away, and keys revoked meanwhile."""

import asyncio
from collections.abc import AsyncIterator

from omnix.completion.v1 import completion_pb2 as pb
from omnix_kit import streams
from omnix_kit.testing import NatsServer, eventually

from .conftest import Gateway, Start
from .events import Event, events
from .fakes import Backends
from .streamed import BODY, Steps, answer_of, asked, assert_cut, assert_whole


async def test_silence_is_filled_with_comments(start: Start, behind: Backends) -> None:
    gateway: Gateway = await start(keep_alive=0.5)
    steps = Steps("a")
    behind.router.play = steps
    async with asked(gateway) as response:
        stream = events(response)
        assert (await anext(stream)).text == "a"
        assert (await anext(stream)).raw == ": keep-alive"
        steps.go.set()
        await (await steps.publisher).finish()
        assert [event.data async for event in stream if event.data][-1] == "[DONE]"


async def test_a_sender_that_falls_silent_ends_its_streams(start: Start, behind: Backends) -> None:
    gateway: Gateway = await start(sender_timeout=1)
    behind.router.play = Steps("a")
    async with asked(gateway) as response:
        stream = events(response)
        assert (await anext(stream)).text == "a"
        behind.heart.cancel()
        async with asyncio.timeout(8):
            found = [event async for event in stream]
    assert_cut(found, "provider_cut")


async def test_a_dead_sender_is_told_although_the_broker_comes_and_goes(
    start: Start, behind: Backends, nats: NatsServer
) -> None:
    gateway: Gateway = await start(sender_timeout=2)
    behind.router.play = Steps("a")
    async with asked(gateway) as response:
        stream = events(response)
        assert (await anext(stream)).text == "a"
        behind.heart.cancel()
        rest = asyncio.create_task(rest_of(stream))
        async with asyncio.timeout(30):
            while not rest.done():
                nats.kill()
                nats.start()
                await eventually(lambda: gateway.process.readiness.lacking() == {}, 10)
                await asyncio.wait({rest}, timeout=0.5)
    assert_cut(await rest, "provider_cut")


async def test_a_stream_ends_resumably_when_the_broker_stays_away(
    start: Start, behind: Backends, nats: NatsServer
) -> None:
    gateway: Gateway = await start(sender_timeout=1)
    behind.router.play = Steps("a")
    async with asked(gateway) as response:
        stream = events(response)
        assert (await anext(stream)).text == "a"
        nats.kill()
        async with asyncio.timeout(15):
            found = await rest_of(stream)
    assert_cut(found, "stream_lost")


async def rest_of(stream: AsyncIterator[Event]) -> list[Event]:
    return [event async for event in stream]


async def test_a_silent_stream_ends_at_last(start: Start, behind: Backends) -> None:
    gateway: Gateway = await start(idle_margin=0.3)
    behind.router.idle_timeout = 0.7
    behind.router.play = Steps("a")
    found = await answer_of(gateway)
    assert_cut(found, "stream_lost")


async def test_streams_of_a_revoked_key_end(gateway: Gateway, behind: Backends) -> None:
    behind.router.play = Steps("a")
    async with asked(gateway) as response:
        stream = events(response)
        await anext(stream)
        await behind.account_changed("member")
        async with asyncio.timeout(5):
            found = [event async for event in stream]
    assert_cut(found, "key_revoked")
    await eventually(lambda: len(behind.cancels) == 1)


async def test_nats_killed_in_mid_stream(gateway: Gateway, nats: NatsServer, behind: Backends) -> None:
    """The adapter publishes again what it kept, after its reconnection: the stream completes."""
    steps = Steps("a")
    behind.router.play = steps
    async with asked(gateway) as response:
        stream = events(response)
        assert (await anext(stream)).text == "a"
        publisher = await steps.publisher
        nats.kill()
        await eventually(lambda: not behind.messaging.client.is_connected)
        lost = publisher.message(pb.Chunk(text="b"))
        publisher.published.append(lost)
        nats.start()
        await eventually(lambda: behind.messaging.client.is_connected)
        await streams.ensure(behind.messaging.jetstream, streams.CHUNKS)
        for data in list(publisher.published):
            await behind.messaging.publish(publisher.subject, data)
        await publisher.text("c")
        await publisher.finish()
        async with asyncio.timeout(12):
            found = [event async for event in stream]
    assert_whole(found, "bc")


async def test_a_key_revoked_while_nats_was_away(gateway: Gateway, nats: NatsServer, behind: Backends) -> None:
    behind.router.play = Steps("a")
    async with asked(gateway) as response:
        stream = events(response)
        await anext(stream)
        nats.kill()
        for key in behind.accounts.keys.values():
            if key.key_id == "member":
                key.revoke_time.seconds = 1
        nats.start()
        async with asyncio.timeout(10):
            found = [event async for event in stream]
    assert_cut(found, "key_revoked")


async def test_no_stream_begins_while_nats_is_away(gateway: Gateway, nats: NatsServer, behind: Backends) -> None:
    nats.kill()
    await eventually(lambda: bool(gateway.process.readiness.lacking()))
    refused = await gateway.http.post("/v1/chat/completions", json=BODY)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "unavailable")
    assert behind.router.started == []
    nats.start()
