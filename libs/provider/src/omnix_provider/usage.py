"""The meter: exactly one usage event for each attempt that reached a vendor.

An attempt is noted in the journal before it is made. When it ends, its event replaces the note, and is published with
acknowledgement, in one message with others that ended at about the same time; if that fails it goes to the spool, by
itself. Only then is the slot free again. So at any time the event is in the journal, on the way with a copy in the
journal, or in the spool; a killed process leaves the first and the last to its successor.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from functools import lru_cache
from pathlib import Path

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from omnix.common.v1 import caller_pb2, errors_pb2
from omnix.usage.v1 import usage_pb2 as pb
from omnix_kit import streams, subjects, telemetry
from omnix_kit.convert import error_to_proto, price_to_proto
from omnix_kit.errors import OmnixError, PlatformError, Reason, error_for
from omnix_kit.ids import is_id
from omnix_kit.messaging import Messaging
from prometheus_client import Counter, Gauge

from omnix_provider.acknowledged import Acknowledged, Outgoing
from omnix_provider.background import background
from omnix_provider.convert.answered import compute_mode_to_proto, purpose_to_proto, usage_to_proto
from omnix_provider.convert.asked import is_tenant
from omnix_provider.errors import InvalidRequest, TooBusy
from omnix_provider.holding import Holding, hold
from omnix_provider.journal import EventTooLarge, Journal, JournalFull, Orphan
from omnix_provider.spool import Record, Spool, SpoolFull, read_segment
from omnix_provider.together import Closed, one_message, together
from omnix_provider.types import Attempt, AttemptPurpose, CompletionRequest, EmbeddingRequest, Usage
from omnix_provider.undecided import Undecided

_log = logging.getLogger(__name__)

_GATHER = 0.03
"""Seconds after a publish in which the events of ended attempts gather, so that they go out together. The first after
a quiet time waits for nothing."""
_AT_ONCE = 512
_AWAY_FOR = 1.0
"""After a failed publish, seconds in which events go to the spool without trying."""
_LOOK_FOR_DEAD_EVERY = 2.0
_FLUSH_WITHIN = 5.0

_EVENTS = Counter("omnix_usage_sent_total", "Usage events by where they went first.", ["to"])
_PUBLISHED = _EVENTS.labels("stream")
_SPOOLED = _EVENTS.labels("spool")
_INTERRUPTED = Counter("omnix_usage_interrupted_total", "Attempts of dead processes that were closed.")
_OPEN = Gauge("omnix_usage_open", "Attempts whose usage event is not safe yet.")
_SPOOL_BYTES = Gauge("omnix_usage_spool_bytes", "Usage events waiting on disk.")

_price = lru_cache(maxsize=1024)(price_to_proto)
_OUTCOME_INTERRUPTED = pb.ATTEMPT_OUTCOME_INTERRUPTED
_DIED = PlatformError("The process that made the attempt died.", reason=Reason.UNAVAILABLE)


class Metered:
    """One attempt under the meter. It is closed exactly once; closing again does nothing."""

    __slots__ = ("_began", "_event", "_first_content_us", "_hedged", "_meter", "_slot", "reached")

    def __init__(self, meter: "Meter", slot: int, event: pb.UsageRecorded, *, hedged: bool = False) -> None:
        self._hedged = hedged
        self._meter = meter
        self._slot = slot
        self._event: pb.UsageRecorded | None = event
        self._began = time.monotonic_ns()
        self._first_content_us = 0
        self.reached = False

    def handed_over(self) -> None:
        """The request is about to be on its way to the vendor: from now on it is metered."""
        if self._event is not None and not self.reached:
            self.reached = True
            self._meter._journal.sent(self._slot)

    def first_content(self) -> None:
        self._first_content_us = (time.monotonic_ns() - self._began) // 1000
        self._meter._journal.first_content(self._slot, self._first_content_us)

    @property
    def first_content_us(self) -> int:
        return self._first_content_us

    def progress(self, output_tokens: int) -> None:
        """How much came, were the process to die now."""
        if self._event is not None:
            self._meter._journal.progress(self._slot, output_tokens)

    def close(
        self,
        outcome: "pb.AttemptOutcome.ValueType",
        usage: Usage,
        error: OmnixError | None = None,
        purpose: AttemptPurpose | None = None,
    ) -> None:
        """The attempt ended. One that never reached the vendor leaves no trace. Never waits.

        :param purpose: None leaves it as the attempt was ordered.
        """
        event, self._event = self._event, None
        if event is None:
            return
        if not self.reached:
            self._meter._free(self._slot)
            return
        event.outcome = outcome
        try:
            event.usage.CopyFrom(usage_to_proto(usage))
        except ValueError:
            _log.exception("usage cannot be written down as it was told; the estimate stands", extra=_ids(event))
            event.usage.output_tokens = self._meter._journal.output_tokens(self._slot)
        if error is not None:
            event.error.CopyFrom(told(error))
        if purpose is not None:
            event.purpose = purpose_to_proto(purpose)
        event.first_content_us = self._first_content_us
        _set_now(event.end_time)
        self._meter._close(self._slot, event, undecided=self._hedged and error is None)


class Meter:
    """Of one process; made by ``metering``."""

    def __init__(self, messaging: Messaging, journal: Journal, spool: Spool, holding: Holding) -> None:
        self._messaging = messaging
        self._journal = journal
        self._spool = spool
        self._holding = holding
        self._acknowledged = Acknowledged(messaging)
        self._waiting: deque[Closed] = deque()
        self._undecided = Undecided()
        self._ended = asyncio.Event()
        self._away_until = 0.0
        self._publishing = False
        self._safe = asyncio.Event()

    def lacking(self) -> str | None:
        """For readiness."""
        return self._spool.lacking()

    def open(
        self,
        attempt: Attempt,
        request: CompletionRequest | EmbeddingRequest,
        *,
        streamed: bool,
        sandbox: bool,
        input_tokens: int,
    ) -> Metered:
        """Note an attempt that is about to be made.

        :param input_tokens: the estimate that holds if nothing better comes.
        :raises TooBusy: when usage could not be kept safe.
        """
        if self._spool.full():
            raise TooBusy("Usage cannot be recorded at the moment.", retry_after=timedelta(seconds=5))
        event = _opened(attempt, request, streamed, sandbox, input_tokens)
        try:
            slot = self._journal.open(event.SerializeToString())
        except JournalFull:
            raise TooBusy("Too many attempts are open.", retry_after=timedelta(seconds=1)) from None
        except EventTooLarge:
            raise InvalidRequest("The metadata is too large.", param="metadata") from None
        except OSError as exc:
            _log.error("cannot write to the journal", extra={"error": str(exc)})
            raise TooBusy("Usage cannot be recorded at the moment.", retry_after=timedelta(seconds=5)) from exc
        return Metered(self, slot, event, hedged=attempt.hedged)

    def _free(self, slot: int) -> None:
        self._journal.free(slot)

    def lost(self, attempt_id: str) -> bool:
        """An attempt that ended a moment ago ran beside one that answered first; answers whether it is known here."""
        return self._undecided.lost(attempt_id)

    def _close(self, slot: int, event: pb.UsageRecorded, *, undecided: bool = False) -> None:
        data = event.SerializeToString()
        self._journal.close(slot, data)
        trace = telemetry.current_trace()
        closed = Closed(slot, _record(event, data), None if trace is None else trace.traceparent)
        if not undecided:
            self._wait(closed)
            return

        def settle(lost: bool) -> None:
            if not lost:
                self._wait(closed)
                return
            event.purpose = purpose_to_proto(AttemptPurpose.HEDGE)
            self._wait(Closed(slot, _record(event, event.SerializeToString()), closed.traceparent))

        self._undecided.hold(event.attempt_id, settle)

    def _wait(self, closed: Closed) -> None:
        self._waiting.append(closed)
        self._ended.set()

    async def _publish_closed(self) -> None:
        """Bring the events of ended attempts to safety, batch by batch."""
        while True:
            await self._ended.wait()
            self._publishing = True
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _AT_ONCE))]
            unsafe = {closed.slot: closed for closed in batch}
            try:
                await self._bring_to_safety(unsafe)
            except SpoolFull:
                # The journal keeps them; new attempts are refused until there is room.
                await asyncio.sleep(_AWAY_FOR)
            except Exception:
                _log.exception("publishing usage failed; it is kept and tried again")
                await asyncio.sleep(_AWAY_FOR)
            finally:
                self._waiting.extend(unsafe.values())
                self._publishing = False
            if not self._waiting:
                self._ended.clear()
                self._safe.set()
            await asyncio.sleep(_GATHER)

    async def _bring_to_safety(self, unsafe: dict[int, Closed]) -> None:
        """Takes out what is safe, and frees its slot."""
        if time.monotonic() >= self._away_until:
            groups = list(together(unsafe.values()))
            stored = await self._acknowledged.publish([_outgoing(group) for group in groups])
            for group, safe in zip(groups, stored, strict=True):
                if safe:
                    self._safe_now(unsafe, group)
                    _PUBLISHED.inc(len(group))
            if all(stored):
                self._spool.try_again()
                return
            self._away_until = time.monotonic() + _AWAY_FOR
        left = list(unsafe.values())
        spooled = await asyncio.gather(*(self._spool.append(closed.record) for closed in left), return_exceptions=True)
        kept = [closed for closed, failure in zip(left, spooled, strict=True) if failure is None]
        self._safe_now(unsafe, kept)
        _SPOOLED.inc(len(kept))
        if unsafe:
            raise SpoolFull

    def _safe_now(self, unsafe: dict[int, Closed], events: Sequence[Closed]) -> None:
        for closed in events:
            self._journal.free(closed.slot)
            del unsafe[closed.slot]

    async def _publish(self, record: Record) -> None:
        await self._messaging.publish_durable(record.subject, record.event, record.message_id)

    async def _drain_spool(self) -> None:
        while True:
            await self._spool.filled.wait()
            await self._messaging.ready()
            try:
                records = await self._spool.oldest()
                for record in records:
                    await self._publish(record)
                if records:
                    await self._spool.forget_oldest()
            except PlatformError:
                await asyncio.sleep(_AWAY_FOR)
            except OSError as exc:
                _log.error("cannot read the spool", extra={"error": str(exc)})
                await asyncio.sleep(_LOOK_FOR_DEAD_EVERY)

    async def _inherit(self) -> None:
        """Look after what dead processes beside this one left."""
        while True:
            await self._messaging.ready()
            try:
                with self._holding.dead() as others:
                    for other in others:
                        await asyncio.to_thread(other.rescue, closing)
                        for segment in other.segments():
                            for record in await asyncio.to_thread(read_segment, segment):
                                await self._publish(record)
                            segment.unlink()
            except (OSError, PlatformError) as exc:
                _log.warning("cannot take over a dead process's usage yet", extra={"error": str(exc)})
            await asyncio.sleep(_LOOK_FOR_DEAD_EVERY)

    async def _observe(self) -> None:
        while True:
            _OPEN.set(self._journal.taken)
            _SPOOL_BYTES.set(self._spool.size)
            await asyncio.sleep(1)

    async def flush(self) -> None:
        """Wait until every closed event is safe, for a bounded time."""
        self._undecided.settle_all()
        if self._waiting or self._publishing:
            self._safe.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_FLUSH_WITHIN):
                    await self._safe.wait()


@asynccontextmanager
async def metering(messaging: Messaging, root: Path, *, slots: int, spool_bytes: int) -> AsyncIterator[Meter]:
    """Meter attempts while inside. Leaving brings what is closed to safety first.

    :param slots: attempts that may be open, or whose events may be on the way, at once.
    :raises OSError: when the folder cannot be used.
    """
    async with AsyncExitStack() as stack:
        holding = stack.enter_context(hold(root))
        holding.rescue(closing)
        journal = stack.enter_context(Journal(holding.journal, slots))
        spool = Spool(holding.spool, spool_bytes)
        stack.push_async_callback(spool.close)

        async def make_stream() -> None:
            await streams.ensure(messaging.jetstream, streams.USAGE)

        messaging.at_connection(make_stream)
        meter = Meter(messaging, journal, spool, holding)
        messaging.at_connection(meter._acknowledged.at_connection)
        async with background(meter._publish_closed, meter._drain_spool, meter._inherit, meter._observe):
            yield meter
            await meter.flush()


def _opened(
    attempt: Attempt, request: CompletionRequest | EmbeddingRequest, streamed: bool, sandbox: bool, input_tokens: int
) -> pb.UsageRecorded:
    caller = attempt.caller
    event = pb.UsageRecorded(
        attempt_id=attempt.attempt_id,
        completion_id=attempt.completion_id,
        attempt=attempt.number,
        caller=caller_pb2.Caller(
            tenant_id=caller.tenant_id, team_id=caller.team_id, user_id=caller.user_id, key_id=caller.key_id
        ),
        requested_model=request.model,
        provider=attempt.provider,
        model=attempt.model,
        streamed=streamed,
        outcome=_OUTCOME_INTERRUPTED,
        price=None if attempt.price is None else _price(attempt.price),
        metadata=request.metadata,
        sandbox=sandbox,
        route=attempt.route,
    )
    if attempt.purpose is not None:
        event.purpose = purpose_to_proto(attempt.purpose)
    event.usage.input_tokens = input_tokens
    event.usage.estimated = True
    _set_now(event.start_time)
    if isinstance(request, EmbeddingRequest):
        event.operation = pb.OPERATION_EMBEDDINGS
    elif request.compute_mode is not None:
        event.compute_mode = compute_mode_to_proto(request.compute_mode)
    return event


def told(error: OmnixError) -> errors_pb2.Error:
    """The error as it is written down: one that cannot be, whatever is wrong with it, by its reason alone."""
    try:
        return error_to_proto(error)
    except ValueError:
        _log.exception("an error cannot be written down as it was told")
        return error_to_proto(error_for(error.reason, "The attempt failed; the log of the adapter says why."))


def _ids(event: pb.UsageRecorded) -> dict[str, str]:
    return {"completion_id": event.completion_id, "attempt_id": event.attempt_id}


def _set_now(time_of: Timestamp) -> None:
    """To the microsecond."""
    now = time.time_ns() // 1000
    time_of.seconds, time_of.nanos = now // 1_000_000, now % 1_000_000 * 1000


def closing(orphan: Orphan) -> Record:
    """The event of an attempt whose process died: as it had ended, or interrupted with what had come by then.

    :raises ValueError: when it is none, or lacks what it is stored and found by.
    """
    try:
        event = pb.UsageRecorded.FromString(orphan.event)
    except DecodeError as exc:
        raise ValueError("it is no usage event") from exc
    if not is_id(event.attempt_id) or not is_tenant(event.caller.tenant_id):
        raise ValueError("it does not say whose it is")
    if not orphan.closed:
        event.outcome = _OUTCOME_INTERRUPTED
        event.usage.output_tokens = orphan.output_tokens
        event.first_content_us = orphan.first_content_us
        event.end_time.FromMicroseconds(orphan.last_sign_us)
        event.error.CopyFrom(error_to_proto(_DIED))
        _INTERRUPTED.inc()
    return _record(event, event.SerializeToString())


def _outgoing(group: Sequence[Closed]) -> Outgoing:
    """Several events belong to several traces; their message tells all of them where somebody records them."""
    record = one_message([closed.record for closed in group])
    if len(group) == 1:
        return Outgoing(record, group[0].traceparent)
    if not telemetry.recording():
        return Outgoing(record)
    recorded = [each.traceparent for each in group if each.traceparent and telemetry.is_sampled(each.traceparent)]
    return Outgoing(record, ",".join(recorded) or None)


def _record(event: pb.UsageRecorded, data: bytes) -> Record:
    return Record(subjects.usage_recorded(event.caller.tenant_id), event.attempt_id, data)
