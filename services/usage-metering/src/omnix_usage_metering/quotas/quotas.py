"""Limits: kept, looked at, and leased."""

import asyncio
import logging
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from weakref import WeakValueDictionary

from omnix_kit.caller import Caller
from omnix_kit.errors import CallerError, PlatformError, Reason

from omnix_usage_metering import metrics
from omnix_usage_metering.errors import invalid, store_errors
from omnix_usage_metering.quotas.leasing import (
    MOST_HOLDERS,
    Ask,
    Counter,
    Grant,
    Terms,
    in_window,
    is_reached,
    lease,
    with_books,
)
from omnix_usage_metering.quotas.limits import MOST_OF_TENANT, Enforcement, Kind, Limit, check, window_at, window_span
from omnix_usage_metering.quotas.repository import Repository
from omnix_usage_metering.quotas.spending import Spending

_log = logging.getLogger(__name__)

MOST_ASKS: Final = 500
_TRIES: Final = 12
_PAUSE: Final = 0.005
_KNOWN_FOR: Final = 2.0
_REMEMBERED: Final = 10_000
_BOOKS_AFTER: Final = timedelta(seconds=2)
_KEPT_FOR: Final = timedelta(days=1)
"""How much longer than its window a counter is kept."""


@dataclass(frozen=True, slots=True)
class Place:
    """A limit's counter, as gateways name it."""

    tenant_id: str
    limit_id: str
    subject_id: str


@dataclass(frozen=True, slots=True)
class Lease:
    """What a gateway is granted, with the window it holds for."""

    limit: Limit
    window: int
    grant: Grant
    lifetime: timedelta
    reset: timedelta | None


@dataclass(frozen=True, slots=True)
class Use:
    """How much of a limit is used by one subject."""

    limit: Limit
    subject_id: str
    used: int
    reserved: int
    reset_time: datetime | None


@dataclass(frozen=True, slots=True)
class Reached:
    """A limit was reached, told once in each window."""

    event_id: str
    limit: Limit
    subject_id: str
    used: int
    time: datetime


@dataclass(frozen=True)
class Words:
    """What is said to others; neither fails nor waits long."""

    changed: Callable[[str, str], Awaitable[None]]
    """A limit of the tenant, by its id."""
    reached: Callable[[Reached], Awaitable[None]]


class Quotas:
    """Any number of replicas may answer: what they know together is in the store, changed by compare-and-set."""

    def __init__(
        self,
        repository: Repository,
        spending: Spending,
        words: Words,
        clock: Callable[[], datetime],
        lifetime: timedelta,
    ) -> None:
        self._repository = repository
        self._spending = spending
        self._words = words
        self._clock = clock
        self._lifetime = lifetime
        self._known: OrderedDict[tuple[str, str], tuple[Limit | None, float]] = OrderedDict()
        self._turns: WeakValueDictionary[Place, asyncio.Lock] = WeakValueDictionary()

    # Limits.

    async def put(self, wanted: Limit) -> tuple[Limit, bool]:
        """Make the limit, or put it in the place of the one of its id; also tells whether it is new."""
        check(wanted)
        with store_errors():
            for _ in range(_TRIES):
                former = await self._repository.limit(wanted.tenant_id, wanted.limit_id)
                now = _to_the_millisecond(self._clock())
                if former is None:
                    if len(await self._repository.limits(wanted.tenant_id)) >= MOST_OF_TENANT:
                        raise invalid("limit.limit_id", f"A tenant has at most {MOST_OF_TENANT} limits.")
                    # The time as version: a limit that was deleted and is made again is another one.
                    limit = replace(wanted, version=int(now.timestamp() * 1000), create_time=now, update_time=now)
                    done = await self._repository.add(limit)
                else:
                    limit = replace(wanted, version=former.version + 1, create_time=former.create_time, update_time=now)
                    done = await self._repository.replace(limit, former.version)
                if done:
                    self._remember(limit.tenant_id, limit.limit_id, limit)
                    await self._words.changed(limit.tenant_id, limit.limit_id)
                    return limit, former is None
        raise _busy()

    async def get(self, tenant_id: str, limit_id: str) -> Limit:
        with store_errors():
            found = await self._repository.limit(tenant_id, limit_id)
        if found is None:
            raise _missing(limit_id)
        return found

    async def of_tenant(self, tenant_id: str) -> Sequence[Limit]:
        if not tenant_id:
            raise invalid("tenant_id", "tenant_id is missing.")
        with store_errors():
            return await self._repository.limits(tenant_id)

    async def delete(self, tenant_id: str, limit_id: str) -> None:
        with store_errors():
            deleted = await self._repository.delete(tenant_id, limit_id)
        if not deleted:
            raise _missing(limit_id)
        self._remember(tenant_id, limit_id, None)
        await self._words.changed(tenant_id, limit_id)

    async def usage_of(self, caller: Caller) -> list[Use]:
        """How much is used of each limit that concerns the caller."""
        uses = []
        for limit in await self.of_tenant(caller.tenant_id):
            subject_id = limit.counted_for(caller)
            if subject_id is not None:
                with store_errors():
                    uses.append(await self._use(limit, subject_id))
        return uses

    async def _use(self, limit: Limit, subject_id: str) -> Use:
        now = self._clock()
        counter, _ = await self._repository.counter(limit, subject_id)
        counter = await self._present(limit, subject_id, counter, now)
        span = window_span(limit.kind, counter.window)
        reserved = counter.reserved(now)
        if limit.kind is Kind.CONCURRENT_REQUESTS:
            return Use(limit, subject_id, reserved, counter.granted(now), None)
        return Use(limit, subject_id, counter.used, reserved + counter.granted(now), span and span[1])

    # Leases.

    async def lease(self, gateway_id: str, asks: Sequence[tuple[Place, Ask]]) -> list[Lease | None]:
        """One for each ask, in their order; None where there is no such limit any more."""
        if not gateway_id:
            raise invalid("gateway_id", "gateway_id is missing.")
        if len(asks) > MOST_ASKS or len({place for place, _ in asks}) < len(asks):
            raise invalid("asks", f"asks has more than {MOST_ASKS} entries, or one twice.")
        with store_errors(), metrics.LEASE.time():
            return list(await asyncio.gather(*(self._lease(gateway_id, place, ask) for place, ask in asks)))

    async def _lease(self, gateway_id: str, place: Place, ask: Ask) -> Lease | None:
        if min(ask.spent, ask.reserved, ask.need, ask.want) < 0:
            raise invalid("asks", "asks has a negative amount.")
        limit = await self._limit(place.tenant_id, place.limit_id)
        if limit is None or not limit.counts(place.subject_id):
            return None
        # One after the other here, so that only other replicas can come between.
        async with self._turns.setdefault(place, asyncio.Lock()):
            return await self._leased(gateway_id, limit, place, ask)

    async def _leased(self, gateway_id: str, limit: Limit, place: Place, ask: Ask) -> Lease:
        for tries in range(_TRIES):
            now = self._clock()
            stored, version = await self._repository.counter(limit, place.subject_id)
            counter = await self._present(limit, place.subject_id, stored, now)
            span = window_span(limit.kind, counter.window)
            ends = now + self._lifetime if span is None else min(now + self._lifetime, span[1])
            if len(counter.holdings) >= MOST_HOLDERS and gateway_id not in counter.holdings:
                raise PlatformError("Too many gateways share a limit.", reason=Reason.OVERLOADED)
            terms = Terms(limit.amount, limit.enforcement is Enforcement.HARD, now, ends)
            counter, grant = lease(counter, gateway_id, ask, terms)
            of_what = counter.window if span is not None else int(now.timestamp()) // 60
            news = counter.notified < of_what and is_reached(counter, ask, grant, terms)
            if news:
                counter = replace(counter, notified=of_what)
            until = (now if span is None else span[1]) + _KEPT_FOR
            if await self._repository.keep(limit, place.subject_id, counter, version, until):
                if news:
                    await self._tell(limit, place.subject_id, counter, of_what, now)
                reset = None if span is None else max(span[1] - now, timedelta(0))
                return Lease(limit, counter.window, grant, ends - now, reset)
            await asyncio.sleep(random.uniform(0, _PAUSE * (tries + 1)))  # noqa: S311 - only spreads them out
        raise _busy()

    async def _present(self, limit: Limit, subject_id: str, counter: Counter, now: datetime) -> Counter:
        """The counter as it is in the present window, with what the ledger says."""
        counter = in_window(counter, window_at(limit.kind, now))
        if not limit.kind.is_cost:
            return counter
        books = counter.books
        if books is not None and timedelta(0) <= now - books.read_time < _BOOKS_AFTER:
            return counter
        span = window_span(limit.kind, counter.window)
        start = now if span is None else span[0]
        return with_books(counter, await self._spending.cost(limit, subject_id, start, now), now)

    async def _tell(self, limit: Limit, subject_id: str, counter: Counter, of_what: int, now: datetime) -> None:
        used = counter.reserved(now) if limit.kind is Kind.CONCURRENT_REQUESTS else counter.used
        metrics.LIMITS_REACHED.labels(limit.kind.value, limit.enforcement.value).inc()
        _log.warning(
            "a limit is reached",
            extra={
                "tenant_id": limit.tenant_id,
                "limit_id": limit.limit_id,
                "subject": limit.subject.value,
                "subject_id": subject_id,
                "kind": limit.kind.value,
                "enforcement": limit.enforcement.value,
                "used": used,
                "amount": limit.amount,
            },
        )
        event_id = f"{limit.tenant_id}/{limit.limit_id}/{subject_id}/{of_what}"
        await self._words.reached(Reached(event_id, limit, subject_id, used, now))

    async def _limit(self, tenant_id: str, limit_id: str) -> Limit | None:
        known = self._known.get((tenant_id, limit_id))
        if known is not None and known[1] > time.monotonic():
            return known[0]
        limit = await self._repository.limit(tenant_id, limit_id)
        self._remember(tenant_id, limit_id, limit)
        return limit

    def _remember(self, tenant_id: str, limit_id: str, limit: Limit | None) -> None:
        self._known[tenant_id, limit_id] = (limit, time.monotonic() + _KNOWN_FOR)
        self._known.move_to_end((tenant_id, limit_id))
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)


def _to_the_millisecond(moment: datetime) -> datetime:
    """As the store keeps it."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _busy() -> PlatformError:
    return PlatformError(
        "Too many change the same limit at once.", reason=Reason.OVERLOADED, retry_after=timedelta(seconds=1)
    )


def _missing(limit_id: str) -> CallerError:
    return CallerError(f"There is no limit '{limit_id}'.", reason=Reason.NOT_FOUND)
