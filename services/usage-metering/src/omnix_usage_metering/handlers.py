"""NATS in: usage events, a batch at a time.

Each event ends in one of three ways: it is in the ledger and acknowledged, it is in ``OMNIX_DEAD`` and acknowledged, or
it is given back to the stream. Acknowledging comes last, so that a crash anywhere leads to a redelivery, and the ledger
knows what it has.
"""

import logging
import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import nats.errors
from nats.aio.msg import Msg
from omnix_kit import dead
from omnix_kit.errors import PlatformError
from omnix_kit.messaging import Messaging
from omnix_store import StoreConfigurationError, StoreDamagedError, StoreUnavailableError

from omnix_usage_metering import metrics
from omnix_usage_metering.convert import entry_from_wire
from omnix_usage_metering.entries import Entry
from omnix_usage_metering.errors import Poison
from omnix_usage_metering.ledger import Ledger
from omnix_usage_metering.tries import Tries

_log = logging.getLogger(__name__)

SERVICE = "usage-metering"
MAX_TRIES = 5
_ACKNOWLEDGE_WITHIN = 2.0
_INFRASTRUCTURE = (StoreUnavailableError, StoreConfigurationError, StoreDamagedError)
"""Not the event's fault, whether waiting or only an operator helps."""

_Accepted = tuple[Msg, Entry]


class UsageHandler:
    """``delay`` is about how long an event is given back for; a defect's doubles with every try."""

    def __init__(
        self,
        ledger: Ledger,
        messaging: Messaging,
        clock: Callable[[], datetime],
        delay: timedelta = timedelta(seconds=1),
    ) -> None:
        self._ledger = ledger
        self._messaging = messaging
        self._clock = clock
        self._delay = delay
        self._tries = Tries()

    async def handle(self, messages: Sequence[Msg]) -> bool:
        """Process a batch; False when infrastructure failed, so that asking for more makes no sense just now."""
        now = self._clock()
        accepted: list[_Accepted] = []
        poison: list[tuple[Msg, str]] = []
        for message in messages:
            try:
                accepted.append((message, entry_from_wire(message.data, message.subject, now)))
            except Poison as exc:
                poison.append((message, str(exc)))
            except Exception as exc:
                _log.exception("an event could not be read")
                poison.append((message, f"reading it failed: {exc!r}"))
        went_well = await self._write(accepted) if accepted else True
        for message, reason in poison:
            went_well = await self._bury(message, reason) and went_well
        return went_well

    async def _write(self, accepted: Sequence[_Accepted]) -> bool:
        try:
            await self._record(accepted)
        except _INFRASTRUCTURE as exc:
            return await self._wait_for_store([message for message, _ in accepted], exc)
        except Exception as exc:
            if len(accepted) > 1:  # one of them is at fault: find out which
                results = [await self._write([one]) for one in accepted]
                return all(results)
            return await self._failed(accepted[0][0], exc)
        return True

    async def _record(self, accepted: Sequence[_Accepted]) -> None:
        with metrics.WRITE.time():
            recorded = await self._ledger.record([entry for _, entry in accepted])
        for result, count in Counter(recorded).items():
            metrics.EVENTS.labels(result.value).inc(count)
        await _acknowledge([message for message, _ in accepted])

    async def _wait_for_store(self, messages: Sequence[Msg], exc: Exception) -> bool:
        _log.warning("the store is away, events wait in the stream", extra={"events": len(messages), "error": str(exc)})
        await self._put_back(messages, "store")
        return False

    async def _failed(self, message: Msg, exc: Exception) -> bool:
        sequence = message.metadata.sequence.stream
        count = self._tries.failed(sequence)
        _log.error("an event could not be processed", extra={"sequence": sequence, "tries": count}, exc_info=exc)
        if count < MAX_TRIES:
            await self._put_back([message], "defect", doubled=count - 1)
            return True
        if not await self._bury(message, f"failed {count} times: {exc!r}"):
            return False
        self._tries.forget(sequence)
        return True

    async def _bury(self, message: Msg, reason: str) -> bool:
        headers = message.headers or {}
        metadata = message.metadata
        try:
            await dead.bury(
                self._messaging,
                SERVICE,
                reason,
                subject=message.subject,
                message_id=headers.get("Nats-Msg-Id") or f"{metadata.stream}:{metadata.sequence.stream}",
                payload=message.data,
                headers=headers,
            )
        except PlatformError:
            await self._put_back([message], "broker")
            return False
        _log.error("an event was moved to the dead letters", extra={"subject": message.subject, "reason": reason})
        metrics.EVENTS.labels("dead").inc()
        await _acknowledge([message])
        return True

    async def _put_back(self, messages: Sequence[Msg], cause: str, doubled: int = 0) -> None:
        """Give events back for a while. Where even that fails they come again when their time is over."""
        metrics.PUT_BACK.labels(cause).inc(len(messages))
        jitter = random.uniform(0.5, 1.5)  # noqa: S311 - it spreads load and hides nothing
        delay = self._delay.total_seconds() * 2**doubled * jitter
        try:
            for message in messages:
                await message.nak(delay)
        except (nats.errors.Error, OSError) as exc:
            _log.warning("events come again later", extra={"events": len(messages), "error": repr(exc)})


async def _acknowledge(messages: Sequence[Msg]) -> None:
    """Acknowledge all, waiting for the server's word on the last one: it takes them in their order.

    One that is lost leads to a redelivery, which the ledger knows for a duplicate.
    """
    try:
        for message in messages[:-1]:
            await message.ack()
        await messages[-1].ack_sync(_ACKNOWLEDGE_WITHIN)
    except (TimeoutError, nats.errors.Error, OSError) as exc:
        _log.warning("events may come again", extra={"events": len(messages), "error": repr(exc)})
