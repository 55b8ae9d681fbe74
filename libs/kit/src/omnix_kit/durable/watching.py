"""Looks after what a service needs, and how far its durable is behind."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import nats.errors
from nats.js.api import ConsumerConfig, ConsumerInfo, StreamConfig
from nats.js.errors import NotFoundError
from prometheus_client import Gauge

from omnix_kit import metrics, streams
from omnix_kit.health import Readiness
from omnix_kit.messaging import Messaging

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


class Behind:
    """Measures how far a durable is behind, and lets its stream forget what every durable has.

    Stream and durable are made again if somebody took them away. ``pending`` are messages still to be taken,
    ``in_hand`` those taken and not acknowledged yet, by all replicas. How old the oldest of both is, a metric of every
    service tells.
    """

    def __init__(
        self, messaging: Messaging, stream: StreamConfig, durable: ConsumerConfig, pending: Gauge, in_hand: Gauge
    ) -> None:
        self._messaging = messaging
        self._stream = stream
        self._durable = durable
        self._pending = pending
        self._in_hand = in_hand

    async def look(self) -> str | None:
        if (problem := self._messaging.lacking()) is not None:
            return problem
        jetstream = self._messaging.jetstream
        try:
            info = await jetstream.consumer_info(self._stream.name or "", self._durable.durable_name or "")
            await streams.forget_acknowledged(jetstream, self._stream)
        except NotFoundError:
            _log.error("the stream or its durable is gone and is made again")
            try:
                await streams.ensure(jetstream, self._stream, self._durable)
            except (nats.errors.Error, OSError) as exc:
                return f"the stream is gone and cannot be made: {exc}"
            return "the stream was gone"
        except (nats.errors.Error, OSError) as exc:
            return f"the stream does not answer: {exc}"
        self._pending.set(info.num_pending or 0)
        self._in_hand.set(info.num_ack_pending or 0)
        try:
            metrics.OLDEST.labels(self._durable.durable_name or "").set(await self._oldest(info))
        except (nats.errors.Error, OSError) as exc:
            return f"the stream does not answer: {exc}"
        return None

    async def _oldest(self, info: ConsumerInfo) -> float:
        """Seconds since the oldest message that is not acknowledged was stored."""
        if not (info.num_pending or info.num_ack_pending) or info.ack_floor is None:
            return 0.0
        try:
            oldest = await self._messaging.jetstream.get_msg(self._stream.name or "", info.ack_floor.stream_seq + 1)
        except NotFoundError:
            return 0.0  # it is gone by now
        return 0.0 if oldest.time is None else max(0.0, time.time() - oldest.time.timestamp())
