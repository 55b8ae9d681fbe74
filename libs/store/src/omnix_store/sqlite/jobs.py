"""Work handed from the event loop to a thread, and its outcome handed back."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Generic, TypeVar

from omnix_store.errors import StoreOverloadedError, StoreTimeoutError, StoreUnavailableError

T = TypeVar("T")


class Job(Generic[T]):
    """One operation. ``given_up`` is set by the loop and read by the thread, which then need not start it."""

    __slots__ = ("deadline", "future", "given_up", "run")

    def __init__(self, run: Callable[[sqlite3.Connection], T], future: "asyncio.Future[T]", deadline: float) -> None:
        self.run = run
        self.future = future
        self.deadline = deadline
        self.given_up = False


class Insert(Job[None]):
    """A single new row, which the writer may put into one statement with others of its table."""

    __slots__ = ("id", "raw", "table")

    table: str
    id: str
    raw: str


Outcome = tuple[Job[Any], Any, BaseException | None]


_GIVE_WAY_EVERY = 0.01
_GIVE_WAY_FOR = 0.0002


class Desk:
    """Where the event loop's side of a thread pool keeps its books: how many wait, and for how long they may.

    Jobs made in one turn of the loop are handed over together, so that a burst costs one wake-up of the thread.

    A loop that is never idle can starve the threads: it lets go of the interpreter's lock at every turn, which
    resets the time after which a waiting thread may demand it, and has it again before that thread is awake.
    One insert then took a second. So while jobs wait, the loop sleeps for a moment now and then.
    """

    def __init__(self, hand_over: Callable[[list[Job[Any]]], None], *, capacity: int, timeout: timedelta) -> None:
        self._hand_over = hand_over
        self._capacity = capacity
        self._timeout = timeout.total_seconds()
        self._loop = asyncio.get_running_loop()
        self._waiting = 0
        self._collected: list[Job[Any]] = []
        self._closed = False
        self._giving_way = False

    async def do(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """Run in the thread and return what it returns."""
        return await self._wait(Job(run, self._loop.create_future(), self._deadline()))

    async def insert(self, table: str, id: str, raw: str, run: Callable[[sqlite3.Connection], None]) -> None:
        job = Insert(run, self._loop.create_future(), self._deadline())
        job.table, job.id, job.raw = table, id, raw
        await self._wait(job)

    def close(self) -> None:
        """Take no more jobs; what was taken is still handed over."""
        self._closed = True
        self._flush()

    def deliver(self, outcomes: Sequence[Outcome]) -> None:
        """Called by the thread; wakes the callers in the loop."""
        try:
            self._loop.call_soon_threadsafe(self._settle, outcomes)
        except RuntimeError:  # the loop was closed under us: nobody is waiting any more
            return

    def _deadline(self) -> float:
        return time.monotonic() + self._timeout

    async def _wait(self, job: Job[T]) -> T:
        if self._closed:
            raise StoreUnavailableError("the store is closed")
        if self._waiting >= self._capacity:
            raise StoreOverloadedError(f"{self._capacity} operations are waiting already")
        self._waiting += 1
        if not self._collected:
            self._loop.call_soon(self._flush)
        if not self._giving_way:
            self._giving_way = True
            self._loop.call_later(_GIVE_WAY_EVERY, self._give_way)
        self._collected.append(job)
        timer = self._loop.call_later(self._timeout, self._expire, job)
        try:
            return await job.future
        except asyncio.CancelledError:
            job.given_up = True
            raise
        finally:
            timer.cancel()

    def _flush(self) -> None:
        if self._collected:
            jobs, self._collected = self._collected, []
            self._hand_over(jobs)

    def _give_way(self) -> None:
        self._giving_way = self._waiting > 0
        if self._giving_way:
            time.sleep(_GIVE_WAY_FOR)
            self._loop.call_later(_GIVE_WAY_EVERY, self._give_way)

    def _expire(self, job: Job[Any]) -> None:
        job.given_up = True
        if not job.future.done():
            job.future.set_exception(StoreTimeoutError(f"the operation did not end within {self._timeout:g} s"))

    def _settle(self, outcomes: Sequence[Outcome]) -> None:
        self._waiting -= len(outcomes)
        for job, result, error in outcomes:
            if job.future.done():
                continue
            if error is None:
                job.future.set_result(result)
            else:
                job.future.set_exception(error)
