"""Imports the price map of a configured address on a schedule."""

import asyncio
import logging
import random
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from omnix_kit.errors import ConfigurationError

from omnix_router import metrics
from omnix_router.catalogue.fetching import spoken
from omnix_router.catalogue.importing import Changes, ImportRefused
from omnix_router.catalogue.reading import import_before
from omnix_router.catalogue.writing import Importer

_log = logging.getLogger(__name__)

_RETRY = timedelta(minutes=15)
"""After a failure, unless the schedule is quicker."""
_FIRST = timedelta(seconds=5)
"""Routers that start together do not ask together."""
_Result = TypeVar("_Result")


@asynccontextmanager
async def refreshed(importer: Importer, address: str, every: timedelta) -> AsyncIterator[None]:
    """Import again and again while inside. A failure leaves what is there as it is."""
    task = asyncio.create_task(_refresh(importer, address, every))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _refresh(importer: Importer, address: str, every: timedelta) -> None:
    last = await asyncio.to_thread(_last, importer, address)
    metrics.CATALOGUE_AGE.set(0)
    if last is not None:
        _age_since(last)
    wait = random.uniform(0, 1) * min(_FIRST, every / 10)  # noqa: S311
    if last is not None:
        # A clock that was ahead at the last import must not put off the next one.
        wait = max(wait, _jittered(every) - max(datetime.now(UTC) - last, timedelta(0)))
    while True:
        await asyncio.sleep(wait.total_seconds())
        try:
            changes = await _in_thread(lambda: importer.run(address, datetime.now(UTC), _silent))
        except ImportRefused as exc:
            metrics.CATALOGUE_REFRESHED.labels("failed").inc()
            _log.warning(
                "the price map is refused, older prices stay", extra={"address": spoken(address), "error": str(exc)}
            )
            wait = _jittered(min(every, _RETRY))
        except Exception:
            # Also what nobody thought of: the schedule must outlive every content of the map.
            metrics.CATALOGUE_REFRESHED.labels("failed").inc()
            _log.exception("the price map could not be imported", extra={"address": spoken(address)})
            wait = _jittered(min(every, _RETRY))
        else:
            _tell(changes, address)
            _age_since(datetime.now(UTC))
            wait = _jittered(every)


def _tell(changes: Changes | None, address: str) -> None:
    metrics.CATALOGUE_REFRESHED.labels("unchanged" if changes is None else "succeeded").inc()
    if changes is not None:
        counts = {"models": changes.models, "new": len(changes.new), "prices": len(changes.priced)}
        _log.info("the price map was imported", extra={"address": spoken(address), **counts, "gone": len(changes.gone)})


def _age_since(moment: datetime) -> None:
    since = moment.timestamp()
    metrics.CATALOGUE_AGE.set_function(lambda: max(0.0, time.time() - since))


def _jittered(pause: timedelta) -> timedelta:
    return pause * random.uniform(0.9, 1.1)  # noqa: S311


def _last(importer: Importer, address: str) -> datetime | None:
    """When the map of this address was imported last."""
    try:
        file = import_before(importer.file)
    except ConfigurationError:
        return None
    if file is None or file.imported is None or file.imported.source != address:
        return None
    moment = file.imported.time
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _silent(there: int, of: int | None) -> None:
    """Nobody watches a schedule."""


async def _in_thread(work: Callable[[], _Result]) -> _Result:
    """In a thread that nobody waits for when the process ends: the address may take minutes to be silent."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_Result] = loop.create_future()

    def tell(result: _Result | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as exc:
            error = exc
        with suppress(RuntimeError):  # the process ended meanwhile
            loop.call_soon_threadsafe(tell, result, error)

    threading.Thread(target=run, name="catalogue-refresh", daemon=True).start()
    return await future
