"""Many of Bedrock's streams at once through one process of the adapter."""

import asyncio
from pathlib import Path

import pytest
from omnix_kit.testing import eventually
from omnix_provider.testing import Place, Streamed, attempt

pytestmark = [pytest.mark.connected, pytest.mark.asyncio(loop_scope="module")]

STREAMS = 200
KIB_A_STREAM = 128
"""Measured were 40."""


def kib(place: Place, what: str) -> int:
    """`VmRSS`, or `VmHWM` for the most that it has been."""
    lines = Path(f"/proc/{place.adapter.process.pid}/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith(f"{what}:")]
    return int(line.split()[1])


async def begun(place: Place, model: str) -> list[Streamed]:
    made = [attempt(model, "bedrock") for _ in range(STREAMS)]
    return await asyncio.gather(*(place.start_stream(each, first_content=30, idle=30) for each in made))


async def text_of(streams: list[Streamed]) -> set[str]:
    """What they say in the end, all of them whole."""
    await eventually(lambda: all(stream.end is not None for stream in streams), 60)
    await eventually(lambda: all(stream.whole() for stream in streams))
    return {stream.text for stream in streams}


async def test_hundreds_of_streams_at_once_are_whole_in_bounded_memory(place: Place) -> None:
    expected = (await place.stream(attempt("sandbox-tokens-60", "bedrock"))).text
    before = kib(place, "VmRSS")

    paced = await begun(place, "sandbox-tokens-60-pace-20")
    assert not any(stream.end for stream in paced), "all should be open at once"
    assert await text_of(paced) == {expected}
    assert await text_of(await begun(place, "sandbox-tokens-60")) == {expected}

    assert kib(place, "VmHWM") - before < KIB_A_STREAM * STREAMS
