import asyncio
from contextlib import suppress

import pytest
from omnix_kit.timeouts import insisting


async def swallow(times: int) -> str:
    """Waits for what never comes, and goes on when it is cancelled."""
    for _ in range(times):
        with suppress(asyncio.CancelledError):
            await asyncio.get_running_loop().create_future()
    return "done"


@pytest.mark.parametrize("times", [1, 2, 5])
async def test_code_that_swallows_cancellations_is_ended_all_the_same(times: int) -> None:
    async with asyncio.timeout(5):
        with pytest.raises(TimeoutError), insisting(0.01):
            await swallow(times)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)  # nothing is left over


async def test_work_in_time_is_let_be() -> None:
    with insisting(5):
        await asyncio.sleep(0)


async def test_an_error_of_its_own_is_not_hidden() -> None:
    async def work() -> None:
        with insisting(0.01):
            await swallow(1)
            raise KeyError

    with pytest.raises(KeyError):
        await work()


async def test_cancellation_from_outside_goes_on() -> None:
    async def work() -> None:
        with insisting(60):
            await asyncio.get_running_loop().create_future()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("seconds", [60, 0.01])
async def test_cancellation_from_outside_that_is_swallowed_goes_on_all_the_same(seconds: float) -> None:
    reached = False

    async def work() -> None:
        nonlocal reached
        with insisting(seconds):
            await swallow(1)
        reached = True
        await asyncio.sleep(0)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not reached
