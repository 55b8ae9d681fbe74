"""Work in the background neither ends unnoticed nor keeps the process from ending."""

import asyncio

import pytest
from omnix_provider import background as module
from omnix_provider.background import background


async def test_work_that_fails_is_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE", 0.001)
    turns = 0
    thrice = asyncio.Event()

    async def work() -> None:
        nonlocal turns
        turns += 1
        if turns == 3:
            thrice.set()
            await asyncio.Event().wait()
        raise KeyError("a defect")

    async with background(work), asyncio.timeout(5):
        await thrice.wait()


async def test_work_that_swallows_cancellations_is_ended_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ENDS_WITHIN", 0.01)
    swallowed = 0
    began = asyncio.Event()

    async def work() -> None:
        nonlocal swallowed
        while True:
            began.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if swallowed == 2:
                    raise
                swallowed += 1

    async def endless() -> None:
        while not over.is_set():
            try:
                await over.wait()
            except asyncio.CancelledError:
                continue

    over = asyncio.Event()
    async with asyncio.timeout(5):
        async with background(work, endless):
            await began.wait()
    assert swallowed == 2
    over.set()
