"""A timeout for code that swallows cancellations.

``asyncio.timeout`` cancels once. The NATS client catches that cancellation where it waits for room in its buffer, goes
on to its next wait, and is never interrupted again.
"""

import asyncio
from types import TracebackType
from typing import Self

_AGAIN_AFTER = 0.05


class insisting:
    """As ``asyncio.timeout``, and cancels again and again until the block is left.

    :raises TimeoutError: on leaving, when the time was over before; also when the block ended without an error, because
        what swallowed the cancellation did not do its work.
    """

    __slots__ = ("_cancelling", "_fired", "_handle", "_loop", "_seconds", "_task")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._fired = 0

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a timeout needs a task")
        self._task = task
        self._cancelling = task.cancelling()
        self._loop = task.get_loop()
        self._handle = self._loop.call_later(self._seconds, self._fire)
        return self

    def check(self) -> None:
        """:raises TimeoutError: when the time is over, for blocks of many steps."""
        if self._fired:
            raise TimeoutError

    def _fire(self) -> None:
        self._fired += 1
        self._task.cancel()
        self._handle = self._loop.call_later(_AGAIN_AFTER, self._fire)

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handle.cancel()
        for _ in range(self._fired):
            self._task.uncancel()
        if self._task.cancelling() > self._cancelling:
            # Somebody else cancelled the task meanwhile; that goes on as it came, and when it was swallowed, too.
            if exc is None:
                raise asyncio.CancelledError
        elif self._fired and (exc is None or isinstance(exc, asyncio.CancelledError)):
            raise TimeoutError from exc
