"""Many come and go at once; what is left is an answer for each who stayed, and nothing else."""

import asyncio
import gc
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from omnix_gateway.metrics import IN_HAND, OPEN_STREAMS
from omnix_kit.testing import eventually

from .cached import PATH, body, text
from .conftest import Gateway
from .events import Event, joined
from .fakes import Backends
from .publisher import Publisher

WISHES = ("on", "join", "ttl=60,no-store", "max-age=1", "on,no-cache")
TEXTS = ("Hello!", "Hello wörld 🌍.")
"""Answered whole, and streamed."""


@pytest.fixture(autouse=True)
async def defects() -> AsyncIterator[list[dict[str, Any]]]:
    """What the loop is told of tasks that nobody looked after."""
    told: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: told.append(context))
    yield told
    loop.set_exception_handler(before)


def in_hand() -> int:
    return int(next(iter(IN_HAND.collect())).samples[0].value)


async def test_whoever_stays_is_answered(gateway: Gateway, behind: Backends, defects: list[dict[str, Any]]) -> None:
    chance = random.Random(7)

    async def play(publisher: Publisher) -> None:
        for piece in ("Hel", "lo", " wörld 🌍", "."):
            await publisher.text(piece)
            await asyncio.sleep(chance.random() / 50)
        await publisher.finish()

    behind.router.play = play

    async def one(number: int) -> str:
        streamed = chance.random() < 0.6
        sent = body(f"question {number % 25}", stream=streamed)
        headers = {"x-omnix-cache": chance.choice(WISHES)}
        if chance.random() < 0.2:
            headers["x-omnix-on-disconnect"] = "continue"
        stays = chance.random() < 0.5
        await asyncio.sleep(chance.random() / 2)
        try:
            async with asyncio.timeout(10 if stays else chance.random() / 15):
                answered = await gateway.http.post(PATH, json=sent, headers=headers)
        except TimeoutError:
            assert not stays, "was kept waiting"
            return "left"
        assert answered.status_code == 200, answered.text
        if streamed:
            found = [Event(raw) for raw in answered.text.split("\n\n")[:-1]]
            assert found[-1].data == "[DONE]", answered.text
            assert joined(found) in TEXTS
        else:
            assert text(answered) in TEXTS
        return str(answered.headers["x-omnix-cache"])

    outcomes = await asyncio.gather(*(one(number) for number in range(300)))
    assert {"hit", "joined", "left"} <= set(outcomes)
    await eventually(lambda: in_hand() == 0 and OPEN_STREAMS._value.get() == 0)
    gc.collect()
    assert defects == []
    # Nobody is joined any more to what is over.
    before = len(behind.router.asked)
    for number in range(4):
        answered = await gateway.http.post(PATH, json=body(f"question {number}"), headers={"x-omnix-cache": "join"})
        assert answered.headers["x-omnix-cache"] == "bypass"
    assert len(behind.router.asked) == before + 4
