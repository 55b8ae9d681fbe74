"""Bodies are bounded while they arrive."""

import asyncio
from typing import Any

import pytest
from omnix_gateway.http.body import Bodies, BodyLimits
from omnix_kit.errors import PlatformError, Reason
from omnix_kit.testing import eventually

HEAD: Any = {"headers": []}
MEDIA = b'{"input_audio":"'


def received(part: bytes, *, more: bool = False) -> "asyncio.Queue[Any]":
    queue: asyncio.Queue[Any] = asyncio.Queue()
    queue.put_nowait({"type": "http.request", "body": part, "more_body": more})
    return queue


async def test_what_arrives_of_a_large_body_counts_before_it_is_whole() -> None:
    bodies = Bodies(BodyLimits(json=100, media=1000, in_hand=1000, timeout=5))
    arriving = received(MEDIA + b"a" * 600, more=True)
    with bodies.in_hand() as first, bodies.in_hand() as second, bodies.in_hand() as small:
        reading = asyncio.create_task(first.read(HEAD, arriving.get, media=True))
        async with asyncio.timeout(5):
            await eventually(arriving.empty)
            with pytest.raises(PlatformError) as refused:
                await second.read(HEAD, received(MEDIA + b"a" * 500).get, media=True)
            assert refused.value.reason is Reason.OVERLOADED
            await small.read(HEAD, received(b"{}").get)
            arriving.put_nowait({"type": "http.request", "body": b"", "more_body": False})
            assert len(await reading) == 616
    with bodies.in_hand() as third:
        assert len(await third.read(HEAD, received(MEDIA + b"a" * 900).get, media=True)) == 916
