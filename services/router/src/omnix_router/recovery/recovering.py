"""One recovery: read what the caller has, go on with it at another attempt, and say so to the readers."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress

from omnix_kit import streams
from omnix_kit.errors import OmnixError, PlatformError, ProviderError, Reason, error_for
from omnix_kit.messaging import Messaging
from omnix_kit.recording import Recording

from omnix_router import metrics
from omnix_router.calling import Begun, Calling, Streamed
from omnix_router.orders import Answered, Order
from omnix_router.recovery.convert import nothing_yet_to_bytes, published_from_bytes, succession_to_bytes
from omnix_router.recovery.delivered import Delivered, Gathering, Link
from omnix_router.recovery.going_on import GoingOn
from omnix_router.recovery.opened import Opened

_log = logging.getLogger(__name__)

_LONGEST = 600.0
"""Seconds: as long as the recording knows what the caller has. The completion's own deadline may be earlier."""
_MOST_QUIET = 5.0
"""Readers bear the idle limit and a little more without a word; they hear one well before."""
_RECORDED_WITHIN = 5.0
"""Seconds until chunks that were published must be found in the recording."""
_READ_AGAIN_AFTER = 0.1
"""Seconds at first, then longer."""
_READ_AGAIN_AT_LATEST = 1.0
_MOST_READ = 8 * 1024 * 1024
_TELL_WITHIN = 10.0
_TELL_HURRIED = 2.0


class Recovery:
    """What is known of one."""

    __slots__ = ("began", "count", "end", "error", "going_on", "opened", "silent", "until")

    def __init__(self, opened: Opened, error: OmnixError | None, count: int) -> None:
        """:param error: None when the sender fell silent."""
        self.opened = opened
        self.silent = error is None
        self.error = error or _silence()
        """How the attempt broke off."""
        self.count = count
        """Chunks that it said it had; of them, those that stand, after the recording was read."""
        self.going_on: GoingOn | None = None
        self.began = time.monotonic()
        self.until = self.began + _LONGEST

    @property
    def kind(self) -> str:
        way = None if self.going_on is None else self.going_on.way
        return "none" if way is None else way.name.lower()

    @property
    def ids(self) -> dict[str, object]:
        at = self.opened.at
        return {
            "completion_id": self.opened.completion_id,
            "attempt_id": at.attempt_id,
            "attempt": at.number,
            "target": at.target.id,
            "reason": self.error.reason.value,
            "count": self.count,
            "kind": self.kind,
            "seconds": round(time.monotonic() - self.began, 3),
        }


class Recovering:
    """Makes recoveries, a bounded number at once."""

    def __init__(
        self, messaging: Messaging, calling: Calling, router_id: str, at_once: int, stopping: Callable[[], bool]
    ) -> None:
        """:param stopping: whether the process is leaving, so that nothing new is begun."""
        self.recording = Recording(messaging)
        self._messaging = messaging
        self._calling = calling
        self._router_id = router_id
        self._turns = asyncio.Semaphore(at_once)
        self._stopping = stopping

    async def connected(self) -> None:
        """For every connection."""
        await streams.ensure(self._messaging.jetstream, streams.CHUNKS)

    async def recover(self, opened: Opened, error: OmnixError | None, count: int) -> Answered[Begun] | None:
        """Go on with an answer that broke off. The attempt that readers were told to follow; None when it is over.

        It may take long: whatever the caller has must perhaps be said again. Readers are told that it is under way.
        When it is cancelled the answer is given up, and readers are told that, too.

        :param error: None when the attempt's sender fell silent.
        :param count: chunks that the attempt said it had.
        """
        recovery = Recovery(opened, error, count)
        try:
            if self._stopping():
                raise recovery.error
            async with self._reassured(recovery), self._turn(recovery):
                answered = await self._go_on(recovery)
        except OmnixError as exc:
            await self._give_up(recovery, _told(recovery, exc), _TELL_WITHIN)
            return None
        except asyncio.CancelledError:
            await self._give_up(recovery, _told(recovery, recovery.error), _TELL_HURRIED)
            return None
        return None if answered is None else await self._follow(recovery, answered)

    @asynccontextmanager
    async def _reassured(self, recovery: Recovery) -> AsyncIterator[None]:
        """Let the readers hear something while inside, so that they wait on."""
        task = asyncio.create_task(self._reassure(recovery))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _reassure(self, recovery: Recovery) -> None:
        opened = recovery.opened
        idle = self._calling.idle_timeout(opened.streamed.limits).total_seconds()
        while True:
            await asyncio.sleep(min(idle / 2, _MOST_QUIET))
            word = nothing_yet_to_bytes(opened.completion_id, opened.at.number, recovery.count)
            with suppress(PlatformError):
                await self._messaging.publish(opened.streamed.chunk_subject, word)

    @asynccontextmanager
    async def _turn(self, recovery: Recovery) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(recovery.until - time.monotonic()):
                await self._turns.acquire()
        except TimeoutError as exc:
            raise recovery.error from exc
        try:
            yield
        finally:
            self._turns.release()

    async def _go_on(self, recovery: Recovery) -> Answered[Begun] | None:
        """The attempt that goes on; None when the recording says that the answer is over.

        :raises OmnixError: there is none.
        """
        opened = recovery.opened
        delivered = await self._read(recovery)
        if delivered.end is not None:
            if delivered.end.error is None or not delivered.end.may_go_on:
                return None  # readers do not wait for more
            recovery.silent, recovery.error = False, delivered.end.error
        recovery.count = delivered.count
        if not delivered.can_be_told:
            raise recovery.error
        recovery.going_on = GoingOn(self._calling, opened.streamed, self._router_id, opened.at.number, delivered)
        answered = await opened.series.after(recovery.error, recovery.going_on.make, recovery.until)
        if opened.series.ended:
            self._end(opened, answered, "cancelled")
            raise _cancelled()
        return answered

    async def _read(self, recovery: Recovery) -> Delivered:
        """What the caller has.

        :raises PlatformError: ``STREAM_LOST`` when some of it is not in the recording, ``UNAVAILABLE`` when that cannot
            be reached.
        """
        lost_at, pause = recovery.until, _READ_AGAIN_AFTER
        read = False
        while not recovery.opened.series.ended:
            try:
                delivered = await self._gathered(recovery.opened)
            except PlatformError as exc:
                if exc.reason is not Reason.UNAVAILABLE or time.monotonic() >= recovery.until:
                    raise
            else:
                published = max(recovery.count, 0 if delivered.end is None else delivered.end.count)
                if delivered.whole and delivered.count >= published:
                    return delivered
                if not read:
                    read, lost_at = True, min(time.monotonic() + _RECORDED_WITHIN, recovery.until)
                if time.monotonic() >= lost_at:
                    raise PlatformError("Chunks of the stream were lost on their way.", reason=Reason.STREAM_LOST)
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _READ_AGAIN_AT_LATEST)
        raise _cancelled()

    async def _gathered(self, opened: Opened) -> Delivered:
        gathering = Gathering(opened.earlier, opened.at.number)
        size = 0
        async with aclosing(self.recording.read(opened.completion_id)) as messages:
            async for data in messages:
                size += len(data)
                if size > _MOST_READ:
                    raise PlatformError("The answer is too long to be gone on with.", reason=Reason.PAYLOAD_TOO_LARGE)
                if (published := published_from_bytes(data)) is not None:
                    gathering.add(published)
        return gathering.delivered()

    async def _follow(self, recovery: Recovery, answered: Answered[Begun]) -> Answered[Begun] | None:
        """Have the readers follow the new attempt; None when they could not be told."""
        opened, broken, number = recovery.opened, recovery.opened.at, answered.order.number
        word = succession_to_bytes(opened.completion_id, broken.number, recovery.count, following=number)
        if not await self._tell(opened.streamed, broken.number, word, _TELL_WITHIN):
            self._end(opened, answered, "readers could not be told")
            metrics.RECOVERIES.labels(recovery.kind, "untold").inc()
            return None
        if recovery.silent:
            # Perhaps it lives, and merely cannot be heard.
            self._calling.end(opened.begun.client, opened.completion_id, broken, "attempt given up")
        metrics.RECOVERIES.labels(recovery.kind, "recovered").inc()
        metrics.RECOVERY_SECONDS.observe(time.monotonic() - recovery.began)
        _log.info(
            "an answer goes on",
            extra={**recovery.ids, "next_attempt": number, "next_target": answered.order.target.id},
        )
        opened.earlier.append(Link(broken.number, recovery.count))
        return answered

    async def name_winner(self, streamed: Streamed, order: Order) -> None:
        """An attempt that ran beside a slow one answered first: say so to those who come late."""
        word = succession_to_bytes(streamed.asked.completion_id, order.beside, 0, following=order.number)
        await self._tell(streamed, order.beside, word, _TELL_HURRIED)

    async def _give_up(self, recovery: Recovery, error: OmnixError, within: float) -> None:
        opened = recovery.opened
        word = succession_to_bytes(opened.completion_id, opened.at.number, recovery.count, error=error)
        told = await self._tell(opened.streamed, opened.at.number, word, within)
        outcome = "cancelled" if error.reason is Reason.CANCELLED else "given-up"
        metrics.RECOVERIES.labels(recovery.kind, outcome if told else "untold").inc()
        _log.warning("an answer remains cut", extra={**recovery.ids, "told": error.reason.value})
        if recovery.silent:
            self._calling.end(opened.begun.client, opened.completion_id, opened.at, "attempt given up")

    async def _tell(self, streamed: Streamed, attempt: int, word: bytes, within: float) -> bool:
        """Say to the readers what becomes of the answer, for certain: it must be recorded, for those who come late."""
        until, pause = time.monotonic() + within, 0.1
        completion_id = streamed.asked.completion_id
        message_id = f"{completion_id}.{attempt}.succession"
        while True:
            try:
                await self._messaging.publish_durable(streamed.chunk_subject, word, message_id)
            except PlatformError:
                if time.monotonic() + pause >= until:
                    _log.error(
                        "the readers of a broken answer could not be told what follows",
                        extra={"completion_id": completion_id, "attempt": attempt},
                    )
                    return False
            else:
                return True
            await asyncio.sleep(pause)
            pause = min(pause * 2, 1.0)

    def _end(self, opened: Opened, answered: Answered[Begun], cause: str) -> None:
        self._calling.end(answered.answer.client, opened.completion_id, answered.order, cause)


def _silence() -> PlatformError:
    """Not its target's fault: OmniX's own process died, or cannot be heard."""
    return PlatformError("The process that sent the answer fell silent.", reason=Reason.UNAVAILABLE)


def _cancelled() -> PlatformError:
    return PlatformError("The completion was cancelled.", reason=Reason.CANCELLED)


def _told(recovery: Recovery, last: OmnixError) -> OmnixError:
    """What the caller is told when no other attempt goes on: how the answer broke off, not how others failed since."""
    if recovery.opened.series.ended:
        return _cancelled()
    if last.reason in (Reason.CANCELLED, Reason.STREAM_LOST):
        return last
    if recovery.silent:
        provider = recovery.opened.at.target.provider
        return ProviderError(
            "The process that sent the answer fell silent, and no other attempt could go on with it.",
            reason=Reason.PROVIDER_CUT,
            provider=provider,
        )
    error = recovery.error
    return error_for(
        error.reason,
        f"{error.message} No other attempt could go on with it.",
        param=error.param,
        provider=error.provider,
        provider_status=error.provider_status,
        retry_after=error.retry_after,
    )
