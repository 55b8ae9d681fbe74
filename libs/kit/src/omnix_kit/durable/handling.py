"""What becomes of the messages of a batch.

Each event ends in one of three ways: it is recorded and its message acknowledged, it is in ``OMNIX_DEAD`` and its
message acknowledged, or its message is given back to the stream. Acknowledging comes last, so that a crash anywhere
leads to a redelivery, and who records knows what it has.
"""

import logging
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Generic, TypeVar

import nats.errors
import prometheus_client
from nats.aio.msg import Msg

from omnix_kit import dead, telemetry
from omnix_kit.durable.errors import Poison, Unreadable
from omnix_kit.durable.tracing import trace_consumed
from omnix_kit.durable.tries import Tries
from omnix_kit.errors import PlatformError
from omnix_kit.messaging import Messaging

_log = logging.getLogger(__name__)

MAX_TRIES = 5
_ACKNOWLEDGE_WITHIN = 2.0

EventT = TypeVar("EventT")


@dataclass(frozen=True)
class Work(Generic[EventT]):
    """What a service does with the events of its durable."""

    service: str
    """Under whose name events are dead."""
    read: Callable[[bytes, str], Sequence[EventT | Unreadable]]
    """The events of a message, from its payload and its subject; ``Poison`` when it has none that can be read."""
    record: Callable[[Sequence[EventT]], Awaitable[Sequence[str]]]
    """Make the events durable and tell for each what became of it. Bears being told the same event again."""
    alone: Callable[[EventT, str], Unreadable]
    """An event as a message of its own, with the reason why nobody can process it."""
    infrastructure: tuple[type[Exception], ...]
    """What recording raises when no event is at fault, whether waiting or only an operator helps."""
    results: prometheus_client.Counter
    """Events, with the label ``result``: what recording told, or ``dead``."""
    put_back: prometheus_client.Counter
    """Messages given back to the stream, with the label ``cause``: ``store``, ``broker`` or ``defect``."""


@dataclass(slots=True)
class _Taken(Generic[EventT]):
    message: Msg
    events: list[EventT] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)


class Handler(Generic[EventT]):
    """``delay`` is about how long a message is given back for; a defect's doubles with every try."""

    def __init__(self, work: Work[EventT], messaging: Messaging, delay: timedelta = timedelta(seconds=1)) -> None:
        self._work = work
        self._messaging = messaging
        self._delay = delay
        self._tries = Tries()

    async def handle(self, messages: Sequence[Msg]) -> bool:
        """Process a batch; False when infrastructure failed, so that asking for more makes no sense just now."""
        if not telemetry.recording():
            return await self._handle(messages)
        began = time.time_ns()
        went_well = await self._handle(messages)
        for message in messages:
            trace_consumed(message, self._work.service, began, went_well=went_well)
        return went_well

    async def _handle(self, messages: Sequence[Msg]) -> bool:
        accepted: list[_Taken[EventT]] = []
        poison: list[tuple[Msg, str]] = []
        for message in messages:
            try:
                accepted.append(self._read(message))
            except Poison as exc:
                poison.append((message, str(exc)))
            except Exception as exc:
                _log.exception("an event could not be read")
                poison.append((message, f"reading it failed: {exc!r}"))
        went_well = await self._write(accepted) if accepted else True
        for message, reason in poison:
            went_well = await self._bury(message, reason) and went_well
        return went_well

    def _read(self, message: Msg) -> _Taken[EventT]:
        taken: _Taken[EventT] = _Taken(message)
        for event in self._work.read(message.data, message.subject):
            if isinstance(event, Unreadable):
                taken.unreadable.append(event)
            else:
                taken.events.append(event)
        return taken

    async def _write(self, accepted: Sequence[_Taken[EventT]]) -> bool:
        events = [event for taken in accepted for event in taken.events]
        try:
            results = await self._work.record(events) if events else ()
        except self._work.infrastructure as exc:
            return await self._wait_for_store([taken.message for taken in accepted], exc)
        except Exception as exc:
            if len(accepted) > 1:  # one of them is at fault: find out which
                went_well = [await self._write([one]) for one in accepted]
                return all(went_well)
            return await self._write_apart(accepted[0], exc)
        self._count(results)
        went_well = [await self._bury_parts(taken) for taken in accepted if taken.unreadable]
        if whole := [taken.message for taken in accepted if not taken.unreadable]:
            await _acknowledge(whole)
        return all(went_well)

    async def _write_apart(self, taken: _Taken[EventT], exc: Exception) -> bool:
        """An event of the message is at fault, and the others shall not wait for what becomes of it."""
        failures = [(event, exc) for event in taken.events]
        if len(taken.events) > 1:
            failures = []
            for event in taken.events:
                try:
                    self._count(await self._work.record([event]))
                except self._work.infrastructure as away:
                    return await self._wait_for_store([taken.message], away)
                except Exception as failure:
                    failures.append((event, failure))
        return await self._failed(taken, failures)

    def _count(self, results: Sequence[str]) -> None:
        for result, count in Counter(results).items():
            self._work.results.labels(result).inc(count)

    async def _wait_for_store(self, messages: Sequence[Msg], exc: Exception) -> bool:
        _log.warning("the store is away, events wait in the stream", extra={"events": len(messages), "error": str(exc)})
        await self._put_back(messages, "store")
        return False

    async def _failed(self, taken: _Taken[EventT], failures: Sequence[tuple[EventT, Exception]]) -> bool:
        sequence = taken.message.metadata.sequence.stream
        count = self._tries.failed(sequence)
        for _, exc in failures:
            _log.error("an event could not be processed", extra={"sequence": sequence, "tries": count}, exc_info=exc)
        if failures and count < MAX_TRIES:
            await self._put_back([taken.message], "defect", doubled=count - 1)
            return True
        for event, exc in failures:
            taken.events.remove(event)
            taken.unreadable.append(self._work.alone(event, f"failed {count} times: {exc!r}"))
        if taken.unreadable:
            if not await self._bury_parts(taken):
                return False
        else:
            await _acknowledge([taken.message])
        self._tries.forget(sequence)
        return True

    async def _bury(self, message: Msg, reason: str) -> bool:
        return await self._bury_all(message, [Unreadable(message.data, "", reason)])

    async def _bury_parts(self, taken: _Taken[EventT]) -> bool:
        """Of a message whose other events are recorded."""
        if not taken.events and len(taken.unreadable) == 1:
            return await self._bury(taken.message, taken.unreadable[0].reason)
        return await self._bury_all(taken.message, taken.unreadable)

    async def _bury_all(self, message: Msg, unreadable: Sequence[Unreadable]) -> bool:
        headers = message.headers or {}
        metadata = message.metadata
        of_message = headers.get("Nats-Msg-Id") or f"{metadata.stream}:{metadata.sequence.stream}"
        try:
            for number, event in enumerate(unreadable):
                numbered = of_message if len(unreadable) == 1 else f"{of_message}:{number}"
                await dead.bury(
                    self._messaging,
                    self._work.service,
                    event.reason,
                    subject=message.subject,
                    message_id=event.event_id or numbered,
                    payload=event.payload,
                    headers=headers,
                )
        except PlatformError:
            await self._put_back([message], "broker")
            return False
        for event in unreadable:
            _log.error(
                "an event was moved to the dead letters", extra={"subject": message.subject, "reason": event.reason}
            )
        self._work.results.labels("dead").inc(len(unreadable))
        await _acknowledge([message])
        return True

    async def _put_back(self, messages: Sequence[Msg], cause: str, doubled: int = 0) -> None:
        """Give messages back for a while. Where even that fails they come again when their time is over."""
        self._work.put_back.labels(cause).inc(len(messages))
        jitter = random.uniform(0.5, 1.5)  # noqa: S311 - it spreads load and hides nothing
        delay = self._delay.total_seconds() * 2**doubled * jitter
        try:
            for message in messages:
                await message.nak(delay)
        except (nats.errors.Error, OSError) as exc:
            _log.warning("events come again later", extra={"events": len(messages), "error": repr(exc)})


async def _acknowledge(messages: Sequence[Msg]) -> None:
    """Acknowledge all, waiting for the server's word on the last one: it takes them in their order.

    One that is lost leads to a redelivery, which who records knows for a duplicate.
    """
    try:
        for message in messages[:-1]:
            await message.ack()
        await messages[-1].ack_sync(_ACKNOWLEDGE_WITHIN)
    except (TimeoutError, nats.errors.Error, OSError) as exc:
        _log.warning("events may come again", extra={"events": len(messages), "error": repr(exc)})
