"""The attempts under way: bounded in number, found by their completion, ended from outside."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from datetime import timedelta

from omnix_kit.errors import OmnixError
from prometheus_client import Gauge

from omnix_provider.errors import Cancelled, ShuttingDown, TooBusy
from omnix_provider.types import Attempt, AttemptPurpose

_log = logging.getLogger(__name__)

_END_WITHIN = 5.0
_COME_AGAIN = timedelta(seconds=1)

_RUNNING = Gauge("omnix_attempts_running", "Attempts under way.", ["kind"])


class Running:
    """An attempt under way, in a task that ``end`` cancels."""

    __slots__ = ("_task", "attempt", "begun", "ending", "over", "purpose", "requested_model")

    def __init__(self, attempt: Attempt, task: "asyncio.Task[object]", requested_model: str = "") -> None:
        self.attempt = attempt
        self.requested_model = requested_model
        self.begun = False
        """Its answer is being streamed: its first content went out, or it goes on with an answer that has begun."""
        self.purpose = attempt.purpose
        """As its usage is recorded."""
        self.ending: OmnixError | None = None
        """Why it was ended from outside."""
        self.over = False
        """Its outcome stands; it only tidies up."""
        self._task = task

    def end(self, error: OmnixError) -> None:
        """End it with this error. The first one counts."""
        if self.ending is None and not self.over:
            self.ending = error
            self._task.cancel()


class Room:
    """For attempts of one kind; each is in it for as long as it runs.

    :raises OmnixError: on entering, when there is no room, or the process is stopping.
    """

    def __init__(self, attempts: "Attempts", kind: str, at_most: int) -> None:
        self._attempts = attempts
        self._at_most = at_most
        self._kind = kind
        self.count = 0
        _RUNNING.labels(kind).set_function(lambda: self.count)

    def __enter__(self) -> None:
        if self._attempts.draining:
            raise ShuttingDown("The adapter is being stopped.", retry_after=_COME_AGAIN)
        if self.count >= self._at_most:
            raise TooBusy(f"The adapter runs {self.count} {self._kind}, which is its limit.", retry_after=_COME_AGAIN)
        self.count += 1

    def __exit__(self, *_: object) -> None:
        self.count -= 1
        self._attempts._left()


class _Found:
    """While inside, an attempt is found by its completion."""

    __slots__ = ("_by_completion", "_running")

    def __init__(self, by_completion: dict[str, list[Running]], running: Running) -> None:
        self._by_completion = by_completion
        self._running = running

    def __enter__(self) -> None:
        self._by_completion.setdefault(self._running.attempt.completion_id, []).append(self._running)

    def __exit__(self, *_: object) -> None:
        completion_id = self._running.attempt.completion_id
        siblings = self._by_completion[completion_id]
        siblings.remove(self._running)
        if not siblings:
            del self._by_completion[completion_id]


class Attempts:
    """Of one process; made by ``running_attempts``."""

    def __init__(self, max_streams: int, max_calls: int) -> None:
        self._streams = Room(self, "streams", max_streams)
        self._calls = Room(self, "calls", max_calls)
        self._by_completion: dict[str, list[Running]] = {}
        self.draining = False
        self._none_left = asyncio.Event()

    def __len__(self) -> int:
        return self._streams.count + self._calls.count

    def __iter__(self) -> Iterator[Running]:
        for siblings in self._by_completion.values():
            yield from siblings

    def call(self) -> Room:
        return self._calls

    def stream(self) -> Room:
        return self._streams

    def running(self, running: Running) -> AbstractContextManager[None]:
        """While inside, ``cancel`` finds it."""
        return _Found(self._by_completion, running)

    def _left(self) -> None:
        if self.draining and not len(self):
            self._none_left.set()

    def cancel(self, completion_id: str, attempt_id: str, cause: str, purpose: AttemptPurpose | None = None) -> bool:
        """End an attempt, or all of the completion; tells whether one was here.

        :param purpose: what it turned out to be for; None leaves it as it was ordered.
        """
        found = [
            running
            for running in self._by_completion.get(completion_id, ())
            if not attempt_id or running.attempt.attempt_id == attempt_id
        ]
        for running in found:
            _log.info("cancelled", extra={"completion_id": completion_id, "cause": cause})
            if purpose is not None:
                running.purpose = purpose
            running.end(Cancelled("The completion was cancelled."))
        return bool(found)

    async def _drain(self, grace: timedelta) -> None:
        self.draining = True
        if not len(self):
            return
        _log.info("waiting for attempts", extra={"attempts": len(self), "grace_s": grace.total_seconds()})
        if await self._emptied(grace.total_seconds()):
            return
        for siblings in list(self._by_completion.values()):
            for running in list(siblings):
                running.end(ShuttingDown("The adapter is being stopped.", retry_after=_COME_AGAIN))
        if not await self._emptied(_END_WITHIN):
            _log.error("attempts did not end", extra={"attempts": len(self)})

    async def _emptied(self, within: float) -> bool:
        try:
            async with asyncio.timeout(within):
                await self._none_left.wait()
        except TimeoutError:
            return False
        return True


@asynccontextmanager
async def draining(attempts: Attempts, grace: timedelta) -> AsyncIterator[None]:
    """On leaving: refuse new attempts, wait for those under way, and end what is left after the grace."""
    try:
        yield
    finally:
        await attempts._drain(grace)
