"""Work beside the answers, which must neither end unnoticed nor keep the process from ending."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

_log = logging.getLogger(__name__)

_PAUSE = 1.0
_CANCEL_TIMES = 5
_ENDS_WITHIN = 1.0

Work = Callable[[], Awaitable[None]]


@asynccontextmanager
async def background(*work: Work) -> AsyncIterator[None]:
    """Do each at the same time while inside. What fails is logged, and begun again after a pause."""
    tasks = {asyncio.create_task(_kept_up(each)) for each in work}
    try:
        yield
    finally:
        await _end(tasks)


async def _kept_up(work: Work) -> None:
    while True:
        try:
            await work()
        except Exception:
            _log.exception("work in the background failed and is begun again")
        await asyncio.sleep(_PAUSE)


async def _end(tasks: "set[asyncio.Task[None]]") -> None:
    """Cancel more than once: the broker's client swallows a cancellation that meets it in a flush."""
    for _ in range(_CANCEL_TIMES):
        for task in tasks:
            task.cancel()
        _, tasks = await asyncio.wait(tasks, timeout=_ENDS_WITHIN)
        if not tasks:
            return
    _log.error("work in the background does not end", extra={"tasks": len(tasks)})
