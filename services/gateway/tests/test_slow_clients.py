"""Clients that read too slowly, or not at all."""

import asyncio
import json
from contextlib import suppress

from omnix_gateway.metrics import IN_HAND, OPEN_STREAMS
from omnix_kit.testing import eventually

from .conftest import Gateway, Start
from .events import Event
from .fakes import Backends
from .publisher import Publisher
from .streamed import assert_whole, watched

FLOOD = "x" * 50_000


async def flood(publisher: Publisher) -> None:
    for _ in range(200):
        await publisher.text(FLOOD)
    await publisher.finish()


async def stalled_client(gateway: Gateway) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Ask for a stream and read nothing."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.url.rpartition(":")[2]), limit=1024)
    body = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"a"}]}'
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-omnix-member\r\n"
        b"content-length: %d\r\n\r\n%b" % (len(body), body)
    )
    return reader, writer


async def test_a_slow_reader_is_cut_off_and_does_not_slow_others(start: Start, behind: Backends) -> None:
    gateway: Gateway = await start(stream_messages=32)
    behind.router.play = flood
    reader, writer = await stalled_client(gateway)
    await eventually(lambda: len(behind.router.playing) == 1)
    slow_id = behind.router.started[0].completion_id
    await asyncio.gather(*behind.router.playing)
    whole = await _watch_fast(gateway, slow_id)
    assert_whole(whole, FLOOD * 200)
    # The client reads again in time, and is told why it gets no more. The answer itself is not cancelled.
    received = b""
    async with asyncio.timeout(10):
        while not received.endswith(b"0\r\n\r\n"):
            received += await reader.read(65536)
    assert b'"code":"stream_too_slow"' in received
    assert len(received) < 200 * 50_000
    assert behind.cancels == []
    writer.close()


async def test_a_client_that_reads_no_more_is_given_up(start: Start, behind: Backends) -> None:
    gateway: Gateway = await start(stream_messages=4, stalled_client_timeout=0.2)
    behind.router.play = flood
    reader, writer = await stalled_client(gateway)
    await eventually(lambda: len(behind.router.playing) == 1)
    await asyncio.gather(*behind.router.playing)
    await eventually(lambda: OPEN_STREAMS._value.get() == 0)
    with suppress(ConnectionError):
        async with asyncio.timeout(10):
            while await reader.read(1024 * 1024):
                pass
    writer.close()


async def test_a_client_that_does_not_take_the_rest_of_an_ended_answer_is_given_up(
    start: Start, behind: Backends
) -> None:
    gateway: Gateway = await start(stream_bytes=64 * 1024 * 1024, stalled_client_timeout=0.2)
    behind.router.play = flood
    _, writer = await stalled_client(gateway)
    await eventually(lambda: len(behind.router.playing) == 1)
    await asyncio.gather(*behind.router.playing)
    await eventually(lambda: OPEN_STREAMS._value.get() == 0)
    writer.close()


async def test_a_client_that_does_not_read_its_embeddings_is_given_up(start: Start, behind: Backends) -> None:
    gateway: Gateway = await start(stalled_client_timeout=0.2)
    behind.router.vectors = [bytes(4 * 65_536)] * 100
    reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.url.rpartition(":")[2]), limit=1024)
    body = json.dumps({"model": "m", "input": ["a"] * 100}).encode()
    writer.write(
        b"POST /v1/embeddings HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-omnix-member\r\n"
        b"content-length: %d\r\n\r\n%b" % (len(body), body)
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    await eventually(lambda: next(iter(IN_HAND.collect())).samples[0].value == 0)
    received = 0
    with suppress(ConnectionError):
        async with asyncio.timeout(10):
            while piece := await reader.read(1024 * 1024):
                received += len(piece)
    assert received < 100 * 65_536
    writer.close()


async def _watch_fast(gateway: Gateway, completion_id: str) -> list[Event]:
    async with asyncio.timeout(15):
        return await watched(gateway, completion_id, "")
