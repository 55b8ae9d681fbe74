"""One reader of one stream: takes messages in any order, gives chunks in order, whole, or an error.

Whoever publishes calls ``offer``, from the NATS callback; whoever answers the client awaits ``take``, which decodes,
orders, follows from attempt to attempt, fills gaps from the recording and checks the end. A message that finds nothing
before it and the client ready goes to the client's ``Outlet`` at once and wakes no task; any other is queued. No task
and no timer belongs to a chunk: ``tick``, called once a second for each reader, does what time demands.
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
from omnix_gateway.streaming.assembly import Bounds, Opening, Pieces, lost
from omnix_gateway.streaming.convert import End, Start
from omnix_gateway.streaming.following import Following, Seen
from omnix_gateway.streaming.silence import Silence

_log = logging.getLogger(__name__)

_RETRY_GAP_AFTER = 0.25
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
        self._following = Following(
            Bounds(limits.messages, limits.bytes), late=late, fail=self.fail, wants_recording=self._want_recording
        )
        self._silence = Silence(limits.idle_margin, limits.gap_timeout)
        self._sender_id = ""
        self._late = late
        self._surveyed = not late
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._error: OmnixError | None = None
        self._resumable = False
        self._doom: OmnixError | None = None
        self._mendable = False
        self._waiter: asyncio.Future[None] | None = None
        self._source: AsyncGenerator[bytes, None] | None = None
        self._wants_recording = late
        self._retry_at = 0.0
        self._heard = self.began
        self._gave = self.began
        self._keep_alive_due = False

    @property
    def error(self) -> OmnixError | None:
        return self._error

    def _is_over(self) -> bool:
        return self._error is not None or self._following.end is not None

    @property
    def first(self) -> Opening | None:
        """How the answer began; known when the first message was there."""
        return self._following.first

    @property
    def delivered(self) -> int:
        """How many chunks of the attempt that is followed were taken."""
        return self._following.place[1]

    @property
    def start(self) -> Start | None:
        """Of the attempt that is the answer now."""
        opening = self._following.opening
        return None if opening is None else opening.start

    @property
    def watched(self) -> str:
        """The process that must live for the stream to go on: who sends, or who says what follows."""
        following = self._following
        if following.cut is not None:
            return following.router_id
        opening = following.opening
        if opening is not None:
            return opening.start.sender_id
        return self._sender_id if following.first is None else ""

    @property
    def cut(self) -> OmnixError | None:
        """Why nobody sends, while it waits for what follows."""
        return self._following.cut

    def has(self, seen: Seen) -> None:
        """Tell, before the first ``take``, what the client has already."""
        self._following.seen = seen

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
            if self._following.attempt is None or self._source is not None or self._wants_recording:
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
            and self._following.is_smooth
            and self._source is None
            and not self._wants_recording
            and not self.left
        )

    def _pass_on(self, data: bytes, outlet: Outlet) -> None:
        """Give a message to the client here and now; its task does the rest when that is not all."""
        self._doom = None
        pieces: Pieces = []
        try:
            self._following.accept(data, pieces)
            if pieces:
                self._gave = self._heard
                outlet.pass_on(pieces)
        except Exception:
            _log.exception("a stream failed", extra={"completion_id": self.completion_id})
            self._following.end = None
            self.fail(error_for(Reason.INTERNAL, "OmniX failed; the log of the gateway says why."))
        if not self._following.is_smooth:
            self._wake()

    def commit(self, attempt: int, sender_id: str, idle_timeout: float | None) -> None:
        """Tell which attempt is the answer; what other attempts say is dropped."""
        self._sender_id = sender_id
        self._silence.told(idle_timeout)
        self._following.begin(attempt)
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
            self._following.stop()
            self._wake()

    def doom(self, error: OmnixError, *, mendable: bool = False) -> bool:
        """End the stream with an error, unless the recording has more of it. Answers whether this is news.

        :param mendable: another attempt may go on, if there is a router that hears of it.
        """
        news = self._doom is None
        if news:
            self._doom, self._mendable = error, mendable
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
        silence = self._silence
        gap = self._following.gap_since is not None
        if silence.gap_is_hopeless(gap, listened):
            metrics.GAPS_LOST.inc()
            self.fail(lost("Chunks of the stream were lost."), resumable=True)
        if gap:
            return
        if silence.is_hopeless(self._heard, now):
            self.doom(self.cut or lost("The stream fell silent without an end."))
        elif silence.wants_probe(self._heard, now):
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
                return Delivery(pieces, end=self._following.end, error=self._error, resumable=self._resumable)
            if self._source is not None or self._begin_recording():
                continue
            if self._queue and self._may_take():
                continue
            if self._keep_alive_due:
                self._keep_alive_due = False
                self._gave = self.gave_at = clock()
                return None
            self._note_what_it_waits_for()
            await self._wait()

    def _may_take(self) -> bool:
        """Whether it is known which attempt to follow, or that the next one is it."""
        return self._surveyed and self._may_follow()

    def _may_follow(self) -> bool:
        return self._following.attempt is not None or self._late

    def _begin_recording(self) -> bool:
        """Begin to read the recording when there is a reason to, and it is time."""
        wanted = self._following.gap_since is not None or (self._wants_recording and self._may_follow())
        if not wanted:
            return False
        now = clock()
        if now < self._retry_at:
            asyncio.get_running_loop().call_later(self._retry_at - now, self._wake)
            return False
        self._retry_at = now + _RETRY_GAP_AFTER
        self._wants_recording = False
        self._surveyed = not self._late or self._following.attempt is not None
        self._source = self._recorded(self.completion_id)
        return True

    async def _take_recorded(self, source: AsyncGenerator[bytes, None], pieces: Pieces) -> None:
        before = self._following.place
        surveys = not self._surveyed
        try:
            for _ in range(_TAKE_RECORDED):
                data = await anext(source)
                if surveys:
                    self._following.survey(data)
                else:
                    self._following.accept(data, pieces)
                if self._is_over():
                    return
        except StopAsyncIteration:
            self._source = None
            if surveys:
                self._surveyed = True
                self._following.surveyed()
                self._source = self._recorded(self.completion_id)
            elif self._following.place != before:
                self._doom = None
            elif not self._queue and not self._wants_recording:
                self._meet_doom()
        except PlatformError:
            self._source = None
            self._wants_recording = True  # tried again after a pause
            self._meet_doom()

    def _meet_doom(self) -> None:
        """The recording has no more of the stream: it ends, or waits for the router if that may help."""
        doom = self._doom
        if doom is None:
            return
        if self._mendable and self._following.router_id and self.cut is None:
            self._doom = None
            self._following.break_off(doom)
            return
        if self.cut is not None:
            metrics.RECOVERIES_GIVEN_UP.inc()
        self.fail(doom, resumable=doom.reason is Reason.STREAM_LOST)

    def _note_what_it_waits_for(self) -> None:
        if self._following.is_smooth or self.cut is None:
            self._silence.waits_since = None
        elif self._silence.waits(clock()):
            metrics.RECOVERY_WAITS.inc()

    def _take_queued(self, pieces: Pieces) -> None:
        taken = 0
        queue = self._queue
        while queue and taken < _TAKE_BYTES and not self._is_over():
            data = queue.popleft()
            taken += len(data)
            self._following.accept(data, pieces)
        if taken:
            self._queued -= taken

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
