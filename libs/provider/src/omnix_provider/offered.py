"""Which models a provider offers, asked in the background and never while somebody waits."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from omnix_provider.types import ServedModel

_log = logging.getLogger(__name__)

_ASK_EVERY = 300.0
_ASK_AGAIN_AFTER = 2.0
_ANSWER_WITHIN = 10.0
_AT_MOST = 5000


class Offered:
    """What the provider offered when it was last asked."""

    def __init__(self) -> None:
        self.current: Sequence[ServedModel] = ()


@asynccontextmanager
async def offered(
    provider: str, ask: Callable[[], Awaitable[Sequence[ServedModel]]], failures: tuple[type[Exception], ...]
) -> AsyncIterator[Offered]:
    """Kept up to date while inside.

    :param ask: bounded by ten seconds here.
    :param failures: what asking may raise when there is no answer or none that can be read; it is asked again then.
    """
    kept = Offered()
    task = asyncio.create_task(_keep(kept, provider, ask, (*failures, TimeoutError)))
    try:
        yield kept
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _keep(
    kept: Offered,
    provider: str,
    ask: Callable[[], Awaitable[Sequence[ServedModel]]],
    failures: tuple[type[Exception], ...],
) -> None:
    pause = _ASK_AGAIN_AFTER
    while True:
        try:
            async with asyncio.timeout(_ANSWER_WITHIN):
                kept.current = list(await ask())[:_AT_MOST]
            pause = _ASK_EVERY
        except failures as exc:
            _log.info("models are not known", extra={"provider": provider, "error": type(exc).__name__})
            pause = min(pause * 2, _ASK_EVERY) if pause != _ASK_EVERY else _ASK_AGAIN_AFTER
        await asyncio.sleep(pause)
