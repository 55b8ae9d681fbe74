"""Which models a provider offers, asked in the background and never while somebody waits."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from omnix_provider.types import ServedModel

_log = logging.getLogger(__name__)

_ASK_EVERY = 300.0
_SHORTEST_PAUSE, _LONGEST_PAUSE = 2.0, 30.0
"""Before it is asked again after a failure."""
_ANSWER_WITHIN = 20.0
_AT_MOST = 5000

Ask = Callable[[], Awaitable[Sequence[ServedModel]]]


class Offered:
    """What the provider offered when it was last asked."""

    def __init__(self) -> None:
        self.current: Sequence[ServedModel] = ()


@asynccontextmanager
async def offered(provider: str, ask: Ask) -> AsyncIterator[Offered]:
    """Kept up to date while inside.

    :param ask: bounded by twenty seconds here. Whatever it raises, the last answer stands and it is asked again.
    """
    kept = Offered()
    task = asyncio.create_task(_keep(kept, provider, ask))
    try:
        yield kept
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _keep(kept: Offered, provider: str, ask: Ask) -> None:
    failed = ""
    pause = _SHORTEST_PAUSE
    while True:
        try:
            async with asyncio.timeout(_ANSWER_WITHIN):
                kept.current = list(await ask())[:_AT_MOST]
        except Exception as exc:
            # Vendors' clients raise whatever strange answers make of them. Its words may hold a part of a credential.
            error = type(exc).__name__
            if error != failed:  # said once, because it may last for days
                _log.warning("models are not known", extra={"provider": provider, "error": error})
            failed = error
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        else:
            failed = ""
            pause = _SHORTEST_PAUSE
            await asyncio.sleep(_ASK_EVERY)
