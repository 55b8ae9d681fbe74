"""One reader of one stream: takes messages in any order, gives chunks in order, whole, or an error.

Whoever publishes calls ``offer``, from the NATS callback; whoever answers the client awaits ``take``, which decodes,
orders, fills gaps from the recording and checks the end. A message that finds nothing before it and the client ready
goes to the client's ``Outlet`` at once and wakes no task; any other is queued. No task and no timer belongs to a chunk:
``tick``, called once a second for each reader, does what time demands.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Protocol

from omnix_kit.errors import OmnixError, PlatformError, Reason, error_for

from omnix_gateway import metrics
from omnix_gateway.streaming.assembly import Assembly, Pieces, lost
from omnix_gateway.streaming.convert import End, Start

_log = logging.getLogger(__name__)

_RETRY_GAP_AFTER = 0.25
_FIRST_PROBE_AFTER = 5.0
_IDLE_UNLESS_TOLD = 300.0
_TAKE_BYTES = 64 * 1024
_TAKE_RECORDED = 64

clock = time.monotonic


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one reader; times in seconds."""

    messages: int = 256
    bytes: int = 1024 * 1024
    gap_timeout: float = 5.0
    idle_margin: float = 5.0
    keep_alive: float = 15.0
    stalled_client: float = 30.0


class Outlet(Protocol):
    """The way to a client that needs no waiting."""

    def is_free(self) -> bool:
        """Whether the connection would take more without holding it back."""

    def pass_on(self, pieces: Pieces) -> None: ...


@dataclass(slots=True)
class Delivery:
    """What there is to send now."""

    pieces: Pieces = field(default_factory=list)
    end: End | None = None
    error: OmnixError | None = None
    resumable: bool = False
    """Whether reading again, here or elsewhere, can give the rest."""
    left: bool = False
    """The client has left; nothing can be sent any more."""


class Reader:
    """Reads the chunks of one completion, from number 0 on, for one client."""

    def __init__(
        self, completion_id: str, recorded: Callable[[str], AsyncGenerator[bytes, None]], limits: Limits, *, late: bool
    ) -> None:
        """:param late: it joins a stream that goes on, and is told no attempt: it follows the last one recorded."""
        self.completion_id = completion_id
        self.began = clock()
        self.failed_at: float | None = None
        self.gave_at: float | None = None
        """Since when the client has been taking what ``take`` gave; None while the reader waits for more."""
        self.left = False
        self.outlet: Outlet | None = None
        """Set by whoever awaits ``take``, once it has sent the stream's beginning."""
        self._recorded = recorded
        self._limits = limits
        self._assembly = Assembly(
            most_ahead=limits.messages,
            most_bytes_ahead=limits.bytes,
            late=late,
            fail=self.fail,
            spilled=self._want_recording,
        )
        self._sender_id = ""
        self._late = late
        self._surveyed = not late
        self._idle_timeout = _IDLE_UNLESS_TOLD
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._error: OmnixError | None = None
        self._resumable = False
        self._doom: OmnixError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._source: AsyncGenerator[bytes, None] | None = None
        self._wants_recording = late
        self._retry_at = 0.0
        self._gap_noticed: float | None = None
        """By ``Listening``."""
        self._heard = self.began
        self._gave = self.began
        self._probe_after = _FIRST_PROBE_AFTER
        self._keep_alive_due = False

    @property
    def error(self) -> OmnixError | None:
        return self._error

    def _is_over(self) -> bool:
        return self._error is not None or self._assembly.end is not None

    @property
    def start(self) -> Start | None:
        """Known when the first message was there."""
        return self._assembly.start

    @property
    def sender_id(self) -> str:
        start = self._assembly.start
        return self._sender_id or ("" if start is None else start.sender_id)

    # What happens to the stream; called from callbacks.

    def offer(self, data: bytes) -> bool:
        """Pass a message on, or queue it. With too much in its queue it is cut off, unless the recording has it all.

        Answers whether the queue is getting long; whoever publishes then lets the reader's task have a turn, so that
        only a client can be too slow and never this process.
        """
        if self._is_over():
            return False
        self._heard = clock()
        if self._awaits_nothing_else() and self.outlet is not None and self.outlet.is_free():
            self._pass_on(data, self.outlet)
            return False
        if len(self._queue) >= self._limits.messages or self._queued + len(data) > self._limits.bytes:
            if self._assembly.attempt is None or self._source is not None or self._wants_recording:
                self._queue.clear()
                self._queued = 0
                self._wants_recording = True
            else:
                metrics.SLOW_READERS.inc()
                slow = error_for(Reason.STREAM_TOO_SLOW, "The client reads too slowly; resume the stream to go on.")
                self.fail(slow, resumable=True)
            return False
        self._doom = None
        self._queue.append(data)
        self._queued += len(data)
        self._wake()
        return len(self._queue) > self._limits.messages // 2 or self._queued > self._limits.bytes // 2

    def _awaits_nothing_else(self) -> bool:
        """Its task waits, has sent all that came before, and has no other reason to wake up."""
        return (
            self._waiter is not None
            and not self._waiter.done()
            and not self._queue
            and self._assembly.attempt is not None
            and self._source is None
            and not self._wants_recording
            and self._assembly.gap_since is None
            and not self.left
        )

    def _pass_on(self, data: bytes, outlet: Outlet) -> None:
        """Give a message to the client here and now; its task does the rest when that is not all."""
        self._doom = None
        self._probe_after = _FIRST_PROBE_AFTER
        pieces: Pieces = []
        try:
            self._assembly.accept(data, pieces)
            if pieces:
                self._gave = self._heard
                outlet.pass_on(pieces)
        except Exception:
            _log.exception("a stream failed", extra={"completion_id": self.completion_id})
            self._assembly.end = None
            self.fail(error_for(Reason.INTERNAL, "OmniX failed; the log of the gateway says why."))
        if self._assembly.end is not None or self._assembly.gap_since is not None:
            self._wake()

    def commit(self, attempt: int, sender_id: str, idle_timeout: float | None) -> None:
        """Tell which attempt is the answer; what other attempts say is dropped."""
        self._assembly.attempt = attempt
        self._sender_id = sender_id
        self._idle_timeout = idle_timeout or _IDLE_UNLESS_TOLD
        self._doom = None
        self._heard = self._gave = clock()
        self._wake()

    def fail(self, error: OmnixError, *, resumable: bool = False) -> None:
        """End the stream with an error; the first one counts.

        :param resumable: it is this reader that fails, and not the stream.
        """
        if not self._is_over():
            self._error = error
            self._resumable = resumable
            self.failed_at = clock()
            self._queue.clear()
            self._assembly.stop()
            self._wake()

    def doom(self, error: OmnixError) -> bool:
        """End the stream with an error, unless the recording has more of it. Answers whether this is news."""
        news = self._doom is None
        self._doom = self._doom or error
        self.look_into_recording()
        return news

    def leave(self) -> None:
        """The client is gone."""
        self.left = True
        self._wake()

    def look_into_recording(self) -> None:
        """Something may have been missed: after a reconnection, after a long silence."""
        self._wants_recording = True
        self._wake()

    def _want_recording(self) -> None:
        self._wants_recording = True

    def tick(self, now: float, listened: float) -> None:
        """Do what time demands. ``listened`` is the time by ``Listening``."""
        if self._is_over() or not self._may_follow():
            return  # until an attempt is committed, the call to the router has its own time
        if now - self._gave >= self._limits.keep_alive:
            self._keep_alive_due = True
            self._wake()
        if self._assembly.gap_since is None:
            self._gap_noticed = None
        else:
            if self._gap_noticed is None:
                self._gap_noticed = listened
            if listened - self._gap_noticed > self._limits.gap_timeout:
                metrics.GAPS_LOST.inc()
                self.fail(lost("Chunks of the stream were lost."), resumable=True)
            return
        silence = now - self._heard
        if silence > self._idle_timeout + self._limits.idle_margin:
            self.doom(lost("The stream fell silent without an end."))
        elif silence >= self._probe_after:
            self._probe_after *= 2
            self.look_into_recording()

    # What the client gets; called from the task that answers it.

    async def take(self) -> Delivery | None:
        """Wait for what there is to send; None asks for a keep-alive."""
        self.gave_at = None
        while True:
            if self.left:
                return Delivery(left=True)
            pieces: Pieces = []
            if self._error is None:
                if self._source is not None:
                    await self._take_recorded(self._source, pieces)
                elif self._may_take():
                    self._take_queued(pieces)
            if pieces or self._is_over():
                self._gave = self.gave_at = clock()
                return Delivery(pieces, end=self._assembly.end, error=self._error, resumable=self._resumable)
            if self._source is not None or self._begin_recording():
                continue
            if self._queue and self._may_take():
                continue
            if self._keep_alive_due:
                self._keep_alive_due = False
                self._gave = self.gave_at = clock()
                return None
            await self._wait()

    def _may_take(self) -> bool:
        """Whether it is known which attempt to follow, or that the next one is it."""
        return self._surveyed and self._may_follow()

    def _may_follow(self) -> bool:
        return self._assembly.attempt is not None or self._late

    def _begin_recording(self) -> bool:
        """Begin to read the recording when there is a reason to, and it is time."""
        wanted = self._assembly.gap_since is not None or (self._wants_recording and self._may_follow())
        if not wanted:
            return False
        now = clock()
        if now < self._retry_at:
            asyncio.get_running_loop().call_later(self._retry_at - now, self._wake)
            return False
        self._retry_at = now + _RETRY_GAP_AFTER
        self._wants_recording = False
        self._source = self._recorded(self.completion_id)
        return True

    async def _take_recorded(self, source: AsyncGenerator[bytes, None], pieces: Pieces) -> None:
        before = self._assembly.next
        surveys = not self._surveyed
        try:
            for _ in range(_TAKE_RECORDED):
                data = await anext(source)
                if surveys:
                    self._assembly.survey(data)
                else:
                    self._assembly.accept(data, pieces)
                if self._is_over():
                    return
        except StopAsyncIteration:
            self._source = None
            if surveys:
                self._surveyed = True
                self._source = self._recorded(self.completion_id)
            elif self._assembly.next == before and not self._queue and self._doom is not None:
                self.fail(self._doom, resumable=self._doom.reason is Reason.STREAM_LOST)
        except PlatformError:
            self._source = None
            self._wants_recording = True  # tried again after a pause
            if self._doom is not None:
                self.fail(self._doom, resumable=self._doom.reason is Reason.STREAM_LOST)

    def _take_queued(self, pieces: Pieces) -> None:
        taken = 0
        queue = self._queue
        while queue and taken < _TAKE_BYTES and not self._is_over():
            data = queue.popleft()
            taken += len(data)
            self._assembly.accept(data, pieces)
        if taken:
            self._queued -= taken
            self._probe_after = _FIRST_PROBE_AFTER

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
