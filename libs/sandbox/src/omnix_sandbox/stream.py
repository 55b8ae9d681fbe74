"""Writes a streamed answer by the vendor's clock: one timer a stream, bytes prepared before."""

import asyncio
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import accumulate

from omnix_sandbox.transport import LAST_CHUNK, WRITE_LIMIT, Connection, framed


class Ending(Enum):
    """How a streamed body ends after its last byte."""

    CLEAN = auto()
    CLOSE = auto()
    RESET = auto()
    HANG = auto()


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole streamed answer, ready to be written.

    A delta's event is `prefix` + its `tails` entry; with `clock` the time of sending, 13 digits of milliseconds since
    the epoch and `|`, goes between, or where `stamped` puts it into the entry. `interval` 0 is a burst. `stall_after`
    counts deltas.
    """

    head: bytes
    opening: bytes
    prefix: bytes
    tails: Sequence[bytes]
    closing: bytes
    first: float
    interval: float
    ending: Ending = Ending.CLEAN
    clock: bool = False
    stamped: Callable[[bytes, bytes], bytes] | None = None
    drip: bool = False
    stall_after: int | None = None
    stall_seconds: float | None = None


class Pump:
    """Writes one plan to one connection.

    `done` is True once the plan is carried out, False if the connection is lost before.
    """

    __slots__ = (
        "_connection",
        "_held_back",
        "_interval",
        "_loop",
        "_next",
        "_plan",
        "_start",
        "_timer",
        "_total",
        "_unstalled",
        "bytes_sent",
        "closing_sent",
        "done",
        "first_due",
    )

    def __init__(self, connection: Connection, plan: Plan) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._plan = plan
        self._next = 0
        self._total = len(plan.tails)
        self._interval = plan.interval
        self._start = self._loop.time() + plan.first
        self._unstalled = plan.stall_after is None
        self._timer: asyncio.Handle | None = None
        self._held_back = False
        self.first_due = time.time() + plan.first
        self.bytes_sent = 0
        self.closing_sent = False
        self.done: asyncio.Future[bool] = self._loop.create_future()
        connection.writer = self
        if connection.transport is None:
            self.done.set_result(False)
        elif plan.first > 0:
            self._timer = self._loop.call_at(self._start, self._tick)
        else:
            self._tick()

    @property
    def produced(self) -> int:
        """Deltas handed to the socket."""
        return self._next

    def resumed(self) -> None:
        """The caller reads again; deltas that fell due meanwhile go out at once."""
        if self._held_back:
            self._held_back = False
            self._tick()

    def lost(self) -> None:
        self._end(False)

    def stop(self) -> None:
        """Write no more."""
        self._end(False)

    def _end(self, carried_out: bool) -> None:
        self._held_back = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._connection.writer is self:
            self._connection.writer = None
        if not self.done.done():
            self.done.set_result(carried_out)

    def _write(self, data: bytes) -> None:
        if self._connection.write(data):
            self.bytes_sent += len(data)

    def _tick(self) -> None:
        self._timer = None
        plan = self._plan
        at = self._next
        end = self._due(at)
        if not self._unstalled and plan.stall_after is not None and end > plan.stall_after:
            end = plan.stall_after
        stamp = b"%d|" % (time.time_ns() // 1_000_000) if plan.clock else b""
        if end - at == 1 and end < self._total and at:
            event = self._events(stamp, at, end)
            data = b"%x\r\n%b\r\n" % (len(event), event)
        else:
            data = self._several(stamp, at, end)
        self._next = end
        if data:
            self._write(data)
        self._arm()

    def _events(self, stamp: bytes, at: int, end: int) -> bytes:
        """The deltas `at` to `end`."""
        plan = self._plan
        tails = plan.tails[at:end]
        if not tails:
            return b""
        if stamp and plan.stamped is not None:
            stamped = plan.stamped
            return b"".join([stamped(stamp, tail) for tail in tails])
        prefix = plan.prefix + stamp
        return prefix + prefix.join(tails)

    def _several(self, stamp: bytes, at: int, end: int) -> bytes:
        """The bytes of deltas `at` to `end`, with the body's beginning and end where they belong."""
        plan = self._plan
        events = self._events(stamp, at, end)
        if not self.bytes_sent:
            events = plan.opening + events
        if end >= self._total and self._unstalled:
            self.closing_sent = True
            events += plan.closing
        data = framed(events) if events else b""
        if not self.bytes_sent:
            data = plan.head + data
        if self.closing_sent and plan.ending is Ending.CLEAN:
            data += LAST_CHUNK
        return data

    def _due(self, at: int) -> int:
        """Deltas that may have gone out by now, at least one more; a burst goes in writes of bounded size."""
        if self._interval:
            return min(self._total, max(at, int((self._loop.time() - self._start) / self._interval)) + 1)
        size = 0
        end = at
        prefix = len(self._plan.prefix)
        tails = self._plan.tails
        while end < self._total and size < WRITE_LIMIT:
            size += prefix + len(tails[end])
            end += 1
        return end

    def _arm(self) -> None:
        """Decide what comes next after a write."""
        plan = self._plan
        if not self._unstalled and self._next == plan.stall_after:
            self._unstalled = True
            if plan.stall_seconds is not None:
                self._start += plan.stall_seconds
                self._timer = self._loop.call_later(plan.stall_seconds, self._tick)
        elif self._next >= self._total:
            self._finish()
        elif self._connection.writing_paused:
            self._held_back = True
        elif self._interval:
            self._timer = self._loop.call_at(self._start + self._next * self._interval, self._tick)
        else:
            self._timer = self._loop.call_soon(self._tick)

    def _finish(self) -> None:
        match self._plan.ending:
            case Ending.CLEAN:
                self._end(True)
            case Ending.CLOSE:
                self._end(True)
                self._connection.finish_and_close()
            case Ending.RESET:
                self._end(True)
                self._connection.reset()
            case Ending.HANG:
                pass  # until the caller leaves or the longest hold is over


class Drip(Pump):
    """Writes each byte of the body as a chunk and a write of its own, so that readers see split characters."""

    __slots__ = ("_body", "_ends", "_position")

    def __init__(self, connection: Connection, plan: Plan) -> None:
        events = [plan.opening, *(plan.prefix + tail for tail in plan.tails)]
        self._ends = list(accumulate(len(event) for event in events))
        self._body = b"".join([*events, plan.closing])
        self._position = 0
        super().__init__(connection, plan)

    def _tick(self) -> None:
        self._timer = None
        at = self._position
        if at == len(self._body):
            self.closing_sent = True
            self._write(LAST_CHUNK)
            self._end(True)
            return
        self._write((b"" if at else self._plan.head) + framed(self._body[at : at + 1]))
        self._position = at + 1
        self._next = max(0, bisect_right(self._ends, at + 1) - 1)
        if self._connection.writing_paused:
            self._held_back = True
        else:
            self._timer = self._loop.call_soon(self._tick)


def start(connection: Connection, plan: Plan) -> Pump:
    """Begin to write the plan."""
    return Drip(connection, plan) if plan.drip else Pump(connection, plan)
