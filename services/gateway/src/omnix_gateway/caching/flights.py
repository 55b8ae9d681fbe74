"""Calls that are under way, and the identical requests that wait for their answer.

A call belongs to a task and to no request: whoever leaves takes it from nobody, and with the last one it ends.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final, Generic, TypeVar

from omnix_kit.errors import OmnixError, Reason, error_for

from omnix_gateway import metrics
from omnix_gateway.identity import Identity

_log = logging.getLogger(__name__)

T = TypeVar("T")

_KEPT_AT_ONCE: Final = 128
_OF_THE_KEY: Final = frozenset(
    {Reason.UNAUTHENTICATED, Reason.PERMISSION_DENIED, Reason.KEY_REVOKED, Reason.QUOTA_EXHAUSTED, Reason.RATE_LIMITED}
)
_OF_ITS_TIME: Final = frozenset({Reason.DEADLINE_EXCEEDED, Reason.PROVIDER_TIMEOUT})


class LeaderLost(Exception):
    """The call failed for a reason that is the leading request's own; another one may lead."""


class Flight(Generic[T]):
    """One call, and who waits for it."""

    def __init__(
        self, key: bytes, completion_id: str, leader: Identity, call: Coroutine[Any, Any, T], *, hurried: bool
    ) -> None:
        """:param hurried: the leading request set the call a deadline of its own."""
        self.key = key
        self.completion_id = completion_id
        self.leader = leader
        self.members = 0
        self.ttl = 0
        """Seconds for which the answer is kept, the longest that anybody who waits for it wishes."""
        self.task = asyncio.create_task(call)
        self._hurried = hurried

    def board(self, ttl: int) -> None:
        self.members += 1
        if self.members > 1:
            metrics.SHARING.inc()
        self.ttl = max(self.ttl, ttl)

    def get_off(self) -> bool:
        """Answers whether nobody is left."""
        if self.members > 1:
            metrics.SHARING.dec()
        self.members -= 1
        return self.members == 0

    @contextmanager
    def boarded(self, ttl: int) -> Iterator[None]:
        """Wait inside; the last one to leave ends a call that is not answered yet."""
        self.board(ttl)
        try:
            yield
        finally:
            if self.get_off():
                self.task.cancel()

    async def outcome(self) -> T:
        """What came of it, for the leading request."""
        return await asyncio.shield(self.task)

    async def outcome_for(self, other: Identity, within: float | None) -> T:
        """What came of it, for a request that waits ``within`` seconds at most.

        :raises LeaderLost: when that says nothing to others.
        """
        try:
            async with asyncio.timeout(within):
                return await asyncio.shield(self.task)
        except TimeoutError as exc:
            raise error_for(Reason.DEADLINE_EXCEEDED, "The answer did not come in time.") from exc
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self.task.cancelled() and not (task and task.cancelling()):
                raise LeaderLost from None
            raise
        except OmnixError as exc:
            if self._concerns_the_leader(exc, other):
                raise LeaderLost from exc
            raise

    def _concerns_the_leader(self, error: OmnixError, other: Identity) -> bool:
        if error.reason is Reason.CANCELLED or (self._hurried and error.reason in _OF_ITS_TIME):
            return True
        # With a provider it is the vendor's word, which all get.
        return error.reason in _OF_THE_KEY and error.provider is None and self.leader.key_id != other.key_id


F = TypeVar("F", bound=Flight[Any])
Keep = Callable[[F], Coroutine[Any, Any, None]]


class Flights(Generic[F]):
    """The calls of this process that may be shared, and answers that are on their way into the cache."""

    def __init__(self, most_waiting: int) -> None:
        self._most = most_waiting
        self._shared: dict[bytes, F] = {}
        self._landing: set[asyncio.Task[None]] = set()

    def find(self, key: bytes) -> F | None:
        """A call for the same, unless too many wait for it already."""
        flight = self._shared.get(key)
        return flight if flight is not None and flight.members < self._most + 1 else None

    def begin(self, flight: F, *, shared: bool, keep: Keep[F] | None) -> None:
        """A call that fails is over by itself.

        :param keep: keeps the answer that the call itself is; without it, the flight must be landed or ended.
        """
        if shared and flight.key not in self._shared:
            self._shared[flight.key] = flight
        flight.task.add_done_callback(lambda task: self._done(flight, task, keep))

    def _done(self, flight: F, task: "asyncio.Task[Any]", keep: Keep[F] | None) -> None:
        if task.cancelled() or task.exception() is not None:
            self.end(flight)
        elif keep is not None:
            self.land(flight, keep)

    def end(self, flight: F) -> None:
        """Nobody may share it any more."""
        if self._shared.get(flight.key) is flight:
            del self._shared[flight.key]

    def land(self, flight: F, keep: Keep[F]) -> None:
        """Have its answer kept, if anybody wishes it. Until it is, others may share it: no gap lies between the two."""
        if not flight.ttl or len(self._landing) >= _KEPT_AT_ONCE:
            if flight.ttl:
                metrics.CACHE_STORES.labels("crowded").inc()
            self.end(flight)
            return
        landing = asyncio.create_task(keep(flight))
        self._landing.add(landing)
        landing.add_done_callback(lambda _: self._landed(flight, landing))

    def _landed(self, flight: F, landing: "asyncio.Task[None]") -> None:
        self._landing.discard(landing)
        self.end(flight)
        if not landing.cancelled() and landing.exception() is not None:
            metrics.CACHE_STORES.labels("failed").inc()
            _log.error("keeping an answer failed by a defect", exc_info=landing.exception())

    async def close(self) -> None:
        tasks = [*self._landing, *(flight.task for flight in self._shared.values())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
