"""The calls with a key that this gateway makes. They belong to tasks: a client that leaves takes its call from nobody,
and comes back for the answer with the same key.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from omnix_kit.errors import OmnixError, PlatformError, Reason

from omnix_gateway import metrics
from omnix_gateway.clients import was_sent
from omnix_gateway.idempotency.claims import Claim
from omnix_gateway.idempotency.convert import error_to_bytes
from omnix_gateway.idempotency.holding import Holding
from omnix_gateway.idempotency.records import State, messages_to_bytes
from omnix_gateway.idempotency.store import Full, Store, Uncertain
from omnix_gateway.idempotency.verdicts import verdict
from omnix_gateway.identity import Identity
from omnix_gateway.streaming.reader import Reader
from omnix_gateway.streaming.streams import Streams

_log = logging.getLogger(__name__)

T = TypeVar("T")

_WRITTEN_WITHIN: Final = 600.0
_STREAM_WITHIN: Final = 3600.0
_LONGEST_PAUSE: Final = 5.0
_CLOSED_WITHIN: Final = 1.0
_MOST_UNATTENDED: Final = 1000
_MOST_WAITING: Final = 64 * 1024 * 1024
_SMALLER: Final = 16
"""How many times larger the messages of a stream may be than what is kept of them, while they are read."""


class Calls:
    """Sees each call to its end and writes down what became of it."""

    def __init__(self, store: Store, holding: Holding, streams: Streams) -> None:
        self._store = store
        self._holding = holding
        self._streams = streams
        self._making: set[asyncio.Task[Any]] = set()
        self._settling: set[asyncio.Task[None]] = set()
        self._following: set[str] = set()
        self._unattended = 0
        self._waiting = 0
        """Bytes of answers that wait for the broker."""

    # Whole answers.

    def make(self, claim: Claim, call: Coroutine[Any, Any, T], to_bytes: Callable[[T], bytes]) -> "asyncio.Task[T]":
        """Make the call. Wait for it under a shield."""
        task = self._task(call)
        self._settle(self._whole(claim, task, to_bytes))
        return task

    def left(self, task: "asyncio.Task[Any]") -> None:
        """Nobody waits for it any more; it goes on, unless too many do so."""
        if task.done():
            return
        if self._unattended >= _MOST_UNATTENDED:
            task.cancel()
            return
        self._unattended += 1
        task.add_done_callback(lambda _: self._attended())

    def _attended(self) -> None:
        self._unattended -= 1

    async def _whole(self, claim: Claim, task: "asyncio.Task[T]", to_bytes: Callable[[T], bytes]) -> None:
        try:
            state, answer = await self._outcome(task)
            if answer is not None:
                await self._end(claim, state, answer)
            else:
                kept = to_bytes(task.result())
                if len(kept) > self._store.most_bytes:
                    metrics.KEYED_RECORDS.labels("too-large").inc()
                    kept = b""
                await self._end(claim, State.DONE, kept)
        finally:
            self._holding.let_go(claim.record.completion_id)

    async def _outcome(self, task: "asyncio.Task[Any]") -> tuple[State, bytes | None]:
        """What the end of a call means for its key; without bytes it was answered."""
        await asyncio.wait([task])
        if task.cancelled():
            return State.DOUBT, b""
        error = task.exception()
        if error is None:
            return State.DONE, None
        if isinstance(error, OmnixError):
            state = verdict(error, sent=was_sent(error))
            return state, error_to_bytes(error) if state is State.FAILED else b""
        return State.DOUBT, b""

    # Streams.

    def begin(self, claim: Claim, call: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Have a stream begun. Wait for it under a shield, and tell when its first client is done: ``follow``."""
        task = self._task(call)
        completion_id = claim.record.completion_id

        def done(_: "asyncio.Task[T]") -> None:
            if not task.cancelled() and task.exception() is None:
                self._holding.begun(completion_id)

        task.add_done_callback(done)
        return task

    def follow(self, claim: Claim, identity: Identity, begun: "asyncio.Task[Any] | None") -> None:
        """See a stream to its end.

        :param begun: its call; None where another gateway made it, which is gone.
        """
        completion_id = claim.record.completion_id
        if completion_id not in self._following and len(self._following) < _MOST_UNATTENDED:
            self._following.add(completion_id)
            self._settle(self._streamed(claim, identity, begun))
        elif begun is not None:
            self._holding.let_go(completion_id)

    async def _streamed(self, claim: Claim, identity: Identity, begun: "asyncio.Task[Any] | None") -> None:
        completion_id = claim.record.completion_id
        try:
            if begun is not None:
                state, answer = await self._outcome(begun)
                if answer is not None:
                    await self._end(claim, state, answer)
                    return
            await self._end(claim, *await self._ended(completion_id, identity))
        finally:
            self._following.discard(completion_id)
            self._holding.let_go(completion_id)

    async def _ended(self, completion_id: str, identity: Identity) -> tuple[State, bytes]:
        try:
            async with asyncio.timeout(_STREAM_WITHIN):
                while True:
                    try:
                        async with self._streams.join(
                            completion_id, identity, owner=False, abort=_nobody, attends=False
                        ) as stream:
                            await _drained(stream.reader)
                        return State.DONE, await self._recorded(completion_id)
                    except PlatformError as exc:
                        if self._streams.is_connected or exc.reason not in (Reason.UNAVAILABLE, Reason.STREAM_LOST):
                            raise
                        await asyncio.sleep(1)  # the broker is away, and the recording with it
        except OmnixError as exc:
            return State.FAILED, error_to_bytes(exc)
        except TimeoutError:
            return State.DOUBT, b""

    async def _recorded(self, completion_id: str) -> bytes:
        """All messages of a stream, to be read again when the recording has forgotten them; nothing if too large."""
        begins = await self._streams.recorded_start(completion_id) is not None
        messages: list[bytes] = []
        size = 0
        async for message in self._streams.recording.read(completion_id):
            messages.append(message)
            size += len(message)
            if size > _SMALLER * self._store.most_bytes:
                break
        kept = await asyncio.to_thread(messages_to_bytes, messages)
        if not begins or len(kept) > self._store.most_bytes:
            metrics.KEYED_RECORDS.labels("too-large").inc()
            return b""
        return kept

    # Both.

    def release(self, claim: Claim) -> None:
        """The call was not made; its key is free."""
        self._settle(self._released(claim))

    async def _released(self, claim: Claim) -> None:
        try:
            await self._end(claim, State.RELEASED, b"")
        finally:
            self._holding.let_go(claim.record.completion_id)

    async def _end(self, claim: Claim, state: State, answer: bytes) -> None:
        """Write it down, and try again while the broker is away: others wait for it meanwhile."""
        record = claim.record.ended(state, answer)
        pause, until, waits = 0.1, time.monotonic() + _WRITTEN_WITHIN, 0
        outcome = state.name.lower()
        try:
            while time.monotonic() < until:
                try:
                    # No news: it stands there already, and only the acknowledgement was lost.
                    await self._store.write(claim.tenant_id, claim.place, record, claim.sequence)
                except Full:
                    if not record.answer:
                        break
                    outcome, record = "too-large", claim.record.ended(state)
                except (Uncertain, OmnixError):
                    if not waits and self._waiting + len(record.answer) > _MOST_WAITING:
                        outcome, record = "too-large", claim.record.ended(state)
                    if not waits:
                        waits = len(record.answer)
                        self._waiting += waits
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, _LONGEST_PAUSE)
                else:
                    metrics.KEYED_RECORDS.labels(outcome).inc()
                    return
        finally:
            self._waiting -= waits
        metrics.KEYED_RECORDS.labels("lost").inc()
        _log.error("what became of a call cannot be remembered", extra={"completion_id": record.completion_id})

    def _task(self, call: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        task = asyncio.create_task(call)
        self._making.add(task)
        task.add_done_callback(self._making.discard)
        return task

    def _settle(self, settling: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(settling)
        self._settling.add(task)
        task.add_done_callback(self._settled)

    def _settled(self, task: "asyncio.Task[None]") -> None:
        self._settling.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            metrics.KEYED_RECORDS.labels("lost").inc()
            _log.error("seeing a call to its end failed by a defect", exc_info=error)

    async def close(self) -> None:
        """What still runs is ended; what is known is written down. Streams go on, and others see them to their end."""
        for task in list(self._making):
            task.cancel()
        if self._settling:
            await asyncio.wait(self._settling, timeout=_CLOSED_WITHIN)
        for settling in list(self._settling):
            settling.cancel()
        await asyncio.gather(*self._making, *self._settling, return_exceptions=True)


async def _drained(reader: Reader) -> None:
    """Read a stream to its end.

    :raises OmnixError: why it is not whole.
    """
    while True:
        delivery = await reader.take()
        if delivery is not None and delivery.error is not None:
            raise delivery.error
        if delivery is not None and delivery.end is not None:
            return


def _nobody() -> None:
    """There is no connection to be cut."""
