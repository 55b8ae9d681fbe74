"""Takes batches from a durable and hands them over, one after the other, for as long as the service runs.

While the connection is away nothing is asked for, and after every failure there is a pause, so an outage of the broker
or of the store costs next to nothing.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import nats.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from omnix_kit.messaging import Messaging

_log = logging.getLogger(__name__)

BATCH = 256
_ASK_FOR = 2.0
"""Seconds that one request for events stands. A request is lost with its server, so this is also how late events are
noticed after the server came back."""
_GATHER = timedelta(seconds=0.1)
"""A batch costs about a millisecond whatever its size; a batch for each event would cost several times as much; the
first event after a quiet time is not delayed."""
_PAUSE = timedelta(seconds=0.2)
_MAX_PAUSE = timedelta(seconds=5)

Handle = Callable[[Sequence[Msg]], Awaitable[bool]]
"""Processes a batch; False when infrastructure failed."""


class Consumer:
    """``pause`` follows the first failure, twice as much each further one, up to five seconds.

    ``batch`` is how many messages are taken at once, when there are so many; ``gather`` is how long to let them gather
    after a batch that was not full.
    """

    def __init__(
        self,
        messaging: Messaging,
        stream: str,
        durable: str,
        handle: Handle,
        pause: timedelta = _PAUSE,
        batch: int = BATCH,
        gather: timedelta = _GATHER,
    ) -> None:
        self._messaging = messaging
        self._stream = stream
        self._durable = durable
        self._handle = handle
        self._pause = pause
        self._batch = batch
        self._gather = gather
        self._handling = asyncio.Lock()
        self._subscription: JetStreamContext.PullSubscription | None = None

    async def run(self) -> None:
        try:
            await self._run()
        finally:
            await self._unsubscribe()

    async def _run(self) -> None:
        failures = 0
        while True:
            await self._messaging.ready()
            batch: list[Msg] = []
            try:
                batch = await self._fetch()
            except TimeoutError:
                continue  # there was nothing for so long
            except Exception as exc:  # whatever it is, an end of consuming would go unnoticed
                _log.warning("events cannot be fetched", extra={"stream": self._stream, "error": repr(exc)})
                went_well = False
            else:
                went_well = await self._hand_over(batch)
            failures = 0 if went_well else failures + 1
            if failures:
                await asyncio.sleep(_pause(self._pause, failures))
            elif len(batch) < self._batch:
                await asyncio.sleep(self._gather.total_seconds())

    async def stop(self, task: "asyncio.Task[None]") -> None:
        """End ``run``, after the batch in hand."""
        async with self._handling:
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _fetch(self) -> list[Msg]:
        if self._subscription is None:
            self._subscription = await self._messaging.jetstream.pull_subscribe_bind(
                durable=self._durable, stream=self._stream
            )
        return await self._subscription.fetch(self._batch, timeout=_ASK_FOR)

    async def _unsubscribe(self) -> None:
        """Closing the connection would wait for whoever reads what is left in the subscription, and nobody does."""
        if self._subscription is None:
            return
        try:
            await self._subscription.unsubscribe()
        except (nats.errors.Error, OSError) as exc:
            _log.debug("the subscription ended with its connection", extra={"error": repr(exc)})

    async def _hand_over(self, batch: Sequence[Msg]) -> bool:
        async with self._handling:
            try:
                return await self._handle(batch)
            except Exception:
                _log.exception("a batch could not be processed")
                return False


def _pause(first: timedelta, failures: int) -> float:
    longest = min(first * 2.0 ** min(failures - 1, 10), _MAX_PAUSE)
    return longest.total_seconds() * random.uniform(0.5, 1)  # noqa: S311 - it spreads load and hides nothing


@asynccontextmanager
async def consuming(consumer: Consumer) -> AsyncIterator[None]:
    """Consume while inside. Leaving finishes the batch in hand."""
    task = asyncio.create_task(consumer.run())
    try:
        yield
    finally:
        await consumer.stop(task)
