"""Answers that go on for a while with nobody who reads them, in the hope that somebody comes back."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import nats.errors
from omnix_kit import subjects
from omnix_kit.messaging import Messaging
from omnix_kit.timeouts import insisting

from omnix_gateway import metrics
from omnix_gateway.policies import CONTINUE, OnDisconnect

_log = logging.getLogger(__name__)

_AT_MOST = 10_000
_ASKED_AT_ONCE = 32
_ANSWER_WITHIN = 1.0

Cancel = Callable[[str, str], Awaitable[None]]


class Lingering:
    """Ends what nobody came back to. Whether somebody reads it at another gateway, that one is asked.

    A gateway that is stopped meanwhile ends nothing: what it began comes to its end and can be resumed.
    """

    def __init__(self, messaging: Messaging, cancel: Cancel) -> None:
        self._messaging = messaging
        self._cancel = cancel
        self._due: dict[str, tuple[float, OnDisconnect]] = {}
        """By completion: when it is ended, by the clock of ``tick``, and its policy."""
        self._asking: set[asyncio.Task[None]] = set()
        metrics.LINGERING.set_function(lambda: len(self._due))

    def keep(self, completion_id: str, policy: OnDisconnect, now: float) -> bool:
        """Let it go on for the policy's grace. Answers False when too many do."""
        if len(self._due) >= _AT_MOST:
            _log.warning("too many answers go on unread; one is ended", extra={"completion_id": completion_id})
            return False
        self._due[completion_id] = now + _seconds(policy), policy
        return True

    def taken(self, completion_id: str) -> OnDisconnect:
        """Somebody reads it here again; answers the policy that holds when that one leaves."""
        _, policy = self._due.pop(completion_id, (0.0, CONTINUE))
        return policy

    def tick(self, now: float) -> None:
        for completion_id, (due, policy) in list(self._due.items()):
            if due <= now and len(self._asking) < _ASKED_AT_ONCE:
                # Whoever reads it elsewhere gets the same time once more.
                self._due[completion_id] = now + _seconds(policy), policy
                task = asyncio.create_task(self._end_unless_read(completion_id))
                self._asking.add(task)
                task.add_done_callback(self._asking.discard)

    async def close(self) -> None:
        for task in self._asking:
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)

    async def _end_unless_read(self, completion_id: str) -> None:
        try:
            if await self._is_read_elsewhere(completion_id) or completion_id not in self._due:
                return
            del self._due[completion_id]
            await self._cancel(completion_id, "unread")
        except Exception:
            _log.exception("an unread answer could not be ended", extra={"completion_id": completion_id})

    async def _is_read_elsewhere(self, completion_id: str) -> bool:
        try:
            with insisting(_ANSWER_WITHIN + 0.5):
                await self._messaging.client.request(subjects.readers(completion_id), b"", timeout=_ANSWER_WITHIN)
        except nats.errors.NoRespondersError:
            return False
        except (TimeoutError, nats.errors.Error, OSError):
            # No answer while the broker is away says nothing.
            return self._messaging.lacking() is not None
        return True


def _seconds(policy: OnDisconnect) -> float:
    return 0.0 if policy.grace is None else policy.grace.total_seconds()
