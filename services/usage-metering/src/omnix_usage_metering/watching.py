"""Looks after what the service needs: its store, its stream, and how far it is behind."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import nats.errors
from nats.js.errors import NotFoundError
from omnix_kit import streams
from omnix_kit.health import Readiness
from omnix_kit.messaging import Messaging
from omnix_store import Store, StoreError

from omnix_usage_metering import metrics

_log = logging.getLogger(__name__)
_LOOK_EVERY = 5.0
_LOOK_AGAIN_AFTER = 1.0

Look = Callable[[], Awaitable[str | None]]
"""Answers what is wrong, or None."""


@asynccontextmanager
async def watching(name: str, readiness: Readiness, look: Look) -> AsyncIterator[None]:
    """While inside, the process is ready only when ``look`` finds nothing wrong."""
    problem: str | None = "was not looked at yet"
    readiness.need(name, lambda: problem)

    async def watch() -> None:
        nonlocal problem
        while True:
            try:
                problem = await look()
            except Exception:  # whatever it is, nobody else would look again
                _log.exception("looking failed by a defect", extra={"at": name})
                problem = "could not be looked at; the log says why"
            await asyncio.sleep(_LOOK_EVERY if problem is None else _LOOK_AGAIN_AFTER)

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def look_at_store(store: Store) -> str | None:
    try:
        await store.check()
    except StoreError as exc:
        return f"the store is away: {exc}"
    return None


async def look_at_stream(messaging: Messaging) -> str | None:
    """Measure how far the durable is behind, and let the stream forget what every durable has.

    Stream and durable are made again if somebody took them away.
    """
    if (problem := messaging.lacking()) is not None:
        return problem
    try:
        info = await messaging.jetstream.consumer_info("OMNIX_USAGE", "usage-metering")
        await streams.forget_acknowledged(messaging.jetstream, streams.USAGE)
    except NotFoundError:
        _log.error("the stream or its durable is gone and is made again")
        try:
            await streams.ensure(messaging.jetstream, streams.USAGE)
        except (nats.errors.Error, OSError) as exc:
            return f"the stream is gone and cannot be made: {exc}"
        return "the stream was gone"
    except (nats.errors.Error, OSError) as exc:
        return f"the stream does not answer: {exc}"
    metrics.PENDING.set(info.num_pending or 0)
    metrics.IN_HAND.set(info.num_ack_pending or 0)
    return None
