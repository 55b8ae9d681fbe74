"""Admits requests: nobody is asked, unless a limit is used for the first time or has run out here."""

import asyncio
import logging
import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final, Protocol
from weakref import WeakValueDictionary

from omnix_kit.errors import OmnixError

from omnix_gateway import metrics
from omnix_gateway.caching.outcomes import Outcome
from omnix_gateway.http.exchange import Exchange
from omnix_gateway.identity import Identity
from omnix_gateway.limits.expected import Expected
from omnix_gateway.limits.leases import Leases, Lender
from omnix_gateway.limits.limit import Kind, Limit, WithoutMetering
from omnix_gateway.limits.prices import Prices
from omnix_gateway.limits.refusals import headers, quota_exhausted, refusal, unknown
from omnix_gateway.limits.slices import Slice, Taken

_log = logging.getLogger(__name__)

_KNOWN_FOR: Final = 30.0
_AGAIN_AFTER: Final = 2.0
_ANSWERED: Final = 1000
"""Names of which it is remembered which model answered to them."""


class Source(Lender, Protocol):
    async def limits_of(self, tenant_id: str) -> tuple[Limit, ...]:
        """:raises OmnixError: when usage-metering is away."""


class Answer(Protocol):
    """What is read of a streamed answer."""

    @property
    def delivered(self) -> int:
        """How many chunks there are, each of at least a token."""


@dataclass(slots=True)
class _Take:
    slice: Slice
    amount: int
    generation: int


@dataclass(slots=True)
class Admission:
    """What a request was admitted with; it is settled once, at its end."""

    takes: list[_Take]
    expected: Expected
    answer: Answer | None = None
    """Of a stream, from its beginning on."""


@dataclass(slots=True)
class _Applied:
    """The limits that concern one key, by what is known of it."""

    identity: Identity
    slices: tuple[Slice, ...]
    until: float


@dataclass(slots=True)
class _Tenant:
    limits: tuple[Limit, ...] | None = None
    """None where nobody could say."""
    until: float = -math.inf
    changes: int = 0
    told: bool = False
    """Usage-metering was asked since the last change that was heard of; nobody waits for it to be asked again."""
    asking: "asyncio.Task[None] | None" = None


@dataclass(eq=False, slots=True)
class _Watched:
    """A stream that is paid by budgets."""

    takes: list[_Take]
    expected: Expected
    exchange: Exchange
    answer: Answer
    stop: Callable[[OmnixError], Awaitable[None]]


class Limits:
    """The limits of all callers, as this process knows them.

    Everything is bounded: keys and tenants that were used longest ago are forgotten first.
    """

    def __init__(
        self, source: Source, prices: Prices, *, without: WithoutMetering, wait: float, assumed: int, size: int
    ) -> None:
        """:param wait: seconds for which a request waits for usage-metering, where it must.
        :param assumed: tokens of an answer whose request sets no bound."""
        self.assumed = assumed
        self._source = source
        self._prices = prices
        self._without = without
        self._wait = wait
        self._size = size
        self._leases = Leases(source, self._gone, self._tick)
        self._applied: OrderedDict[str, _Applied] = OrderedDict()
        self._tenants: OrderedDict[str, _Tenant] = OrderedDict()
        self._slices: WeakValueDictionary[tuple[str, str, Kind, str, str], Slice] = WeakValueDictionary()
        self._answered: OrderedDict[str, str] = OrderedDict()
        self._watched: set[_Watched] = set()
        self._stopping: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Lease while inside."""
        task = asyncio.create_task(self._leases.run())
        try:
            yield
        finally:
            task.cancel()
            asking = [tenant.asking for tenant in self._tenants.values() if tenant.asking is not None]
            tasks = [*asking, *self._stopping]
            for each in tasks:
                each.cancel()
            self._prices.close()
            await asyncio.gather(task, *tasks, return_exceptions=True)

    # Admission.

    async def of(self, identity: Identity) -> Sequence[Slice]:
        """What concerns the caller; for most it is nothing, and costs a look into a dictionary."""
        applied = self._applied.get(identity.key_id)
        now = time.monotonic()
        if (
            applied is not None
            and now < applied.until
            and (applied.identity is identity or applied.identity.caller == identity.caller)
        ):
            return applied.slices
        return await self._apply(identity, now)

    async def admit(
        self, exchange: Exchange, slices: Sequence[Slice], models: Sequence[str], expected: Expected
    ) -> Admission | None:
        """Take what a request needs of every limit that counts it, or of none; the exchange gets the headers.

        :raises CallerError: ``RATE_LIMITED`` or ``QUOTA_EXHAUSTED``.
        :raises PlatformError: ``UNAVAILABLE`` when nobody can say, and that means no.
        """
        names = [*models, *(self._answered[name] for name in models if name in self._answered)]
        counted = [slice for slice in slices if slice.limit.means(names)]
        if not counted:
            return None
        wanted = [(slice, self._amount(slice, names, expected)) for slice in counted]
        began = time.monotonic()
        ends = began + self._wait
        while True:
            now = time.monotonic()
            try:
                taken, lacking = self._take(wanted, models[0], now)
            finally:
                exchange.limits = headers(counted, now)
            if lacking is None:
                return Admission(taken, expected)
            slice, amount = lacking
            if now >= ends and self._leases.answered_at > began:  # others were quicker
                metrics.LIMITED.labels(slice.limit.kind.value).inc()
                raise refusal(slice, amount, models[0], now)
            if self._leases.is_away or now >= ends:
                return self._unchecked(wanted, expected)
            await self._leases.more(slice, amount, ends - now)

    def _amount(self, slice: Slice, names: Sequence[str], expected: Expected) -> int:
        match slice.limit.kind:
            case Kind.TOKENS_PER_MINUTE:
                return max(1, expected.input + expected.output)
            case Kind.COST_PER_DAY | Kind.COST_PER_MONTH:
                # What may cost more than the whole budget can be asked for once, while nothing of it is used.
                cost = self._prices.cost(names, expected.input, expected.output)
                return min(max(1, cost), slice.limit.amount)
            case _:
                return 1

    def _take(
        self, wanted: Sequence[tuple[Slice, int]], model: str, now: float
    ) -> tuple[list[_Take], tuple[Slice, int] | None]:
        taken: list[_Take] = []
        for slice, amount in wanted:
            outcome = slice.take(amount, now)
            if outcome is Taken.YES:
                self._leases.use(slice)
                taken.append(_Take(slice, amount, slice.generation))
                continue
            for take in taken:
                take.slice.untake(take.amount, take.generation)
            if outcome is Taken.REFUSED or amount > slice.limit.amount:
                metrics.LIMITED.labels(slice.limit.kind.value).inc()
                raise refusal(slice, amount, model, now)
            return [], (slice, amount)
        return taken, None

    def _unchecked(self, wanted: Sequence[tuple[Slice, int]], expected: Expected) -> Admission:
        if self._without is WithoutMetering.CLOSED:
            raise unknown()
        metrics.UNLIMITED.inc()
        taken = []
        for slice, amount in wanted:
            slice.take_anyway(amount)
            self._leases.use(slice)
            taken.append(_Take(slice, amount, slice.generation))
        return Admission(taken, expected)

    def settle(self, admission: Admission | None, exchange: Exchange, asked: str) -> None:
        """A request has ended. What its answer cost and nobody told here, the ledger tells in a moment."""
        tokens, cost = exchange.tokens, exchange.cost_micros
        if tokens is not None:
            self._learn(asked, exchange.model)
        if admission is None:
            return
        cached = exchange.cached
        if cached is not None and cached.outcome in (Outcome.HIT, Outcome.JOINED):
            tokens, cost = 0, 0  # another request paid
        elif tokens is None:
            answer = admission.answer
            tokens = 0 if answer is None else admission.expected.input + answer.delivered
        for take in admission.takes:
            kind = take.slice.limit.kind
            used = tokens if kind is Kind.TOKENS_PER_MINUTE else cost if kind.is_cost else 0
            take.slice.settle(take.amount, take.generation, used)
            self._leases.use(take.slice)

    def _learn(self, asked: str, model: str) -> None:
        """A name was answered by this model: from then on the model's limits hold for the name, too."""
        if asked != model and self._answered.get(asked) != model:
            self._answered[asked] = model
            while len(self._answered) > _ANSWERED:
                self._answered.popitem(last=False)

    # What is known.

    def forget(self, tenant_id: str) -> None:
        """A limit of the tenant changed."""
        tenant = self._tenants.get(tenant_id)
        if tenant is not None:
            tenant.until = -math.inf
            tenant.told = False
            tenant.changes += 1
        for key_id in [key for key, each in self._applied.items() if each.identity.tenant_id == tenant_id]:
            del self._applied[key_id]

    def forget_all(self) -> None:
        """Changes may have been missed."""
        for tenant in self._tenants.values():
            tenant.until = -math.inf
            tenant.told = False
            tenant.changes += 1
        self._applied.clear()

    def _gone(self, slice: Slice) -> None:
        self.forget(slice.limit.tenant_id)

    async def _apply(self, identity: Identity, now: float) -> Sequence[Slice]:
        tenant = self._tenants.setdefault(identity.tenant_id, _Tenant())
        self._tenants.move_to_end(identity.tenant_id)
        while len(self._tenants) > self._size:
            self._tenants.popitem(last=False)
        if now >= tenant.until:
            if tenant.asking is None:
                tenant.asking = asyncio.create_task(self._ask(identity.tenant_id, tenant))
            if not tenant.told:
                await asyncio.wait([tenant.asking], timeout=self._wait)
        limits = tenant.limits
        if limits is None:
            if self._without is WithoutMetering.CLOSED:
                raise unknown()
            limits = ()
        slices = tuple(
            self._slice(limit, subject_id)
            for limit in limits
            if (subject_id := limit.counted_for(identity)) is not None
        )
        if any(slice.limit.kind.is_cost for slice in slices):
            await self._prices.known(self._wait)
        self._applied[identity.key_id] = _Applied(identity, slices, tenant.until)
        self._applied.move_to_end(identity.key_id)
        while len(self._applied) > self._size:
            self._applied.popitem(last=False)
        return slices

    async def _ask(self, tenant_id: str, tenant: _Tenant) -> None:
        changes = tenant.changes
        try:
            limits = await self._source.limits_of(tenant_id)
        except OmnixError as exc:
            _log.warning("limits are not known", extra={"tenant_id": tenant_id, "error": exc.message})
            tenant.until = time.monotonic() + _AGAIN_AFTER
            tenant.told = True
        else:
            tenant.limits = limits
            if tenant.changes == changes:  # otherwise the answer may be older than the change
                tenant.until = time.monotonic() + _KNOWN_FOR
                tenant.told = True
        finally:
            tenant.asking = None

    def _slice(self, limit: Limit, subject_id: str) -> Slice:
        key = (limit.tenant_id, limit.limit_id, limit.kind, limit.model_pattern, subject_id)
        slice = self._slices.get(key)
        if slice is None:
            slice = self._slices[key] = Slice(limit, subject_id)
        slice.limit = limit
        return slice

    # Streams.

    @contextmanager
    def watching(
        self,
        admission: Admission | None,
        exchange: Exchange,
        answer: Answer,
        stop: Callable[[OmnixError], Awaitable[None]],
    ) -> Iterator[None]:
        """While inside, ``stop`` is awaited once a budget of the stream is used up, by it or by others."""
        budgets = []
        if admission is not None:
            admission.answer = answer
            budgets = [take for take in admission.takes if take.slice.limit.is_hard and take.slice.limit.kind.is_cost]
        if admission is None or not budgets:
            yield
            return
        watched = _Watched(budgets, admission.expected, exchange, answer, stop)
        self._watched.add(watched)
        try:
            yield
        finally:
            self._watched.discard(watched)

    def _tick(self) -> None:
        now = time.monotonic()
        for watched in list(self._watched):
            used_up = self._used_up(watched, now)
            if used_up is not None:
                self._watched.discard(watched)
                metrics.LIMIT_STOPS.inc()
                stopping = asyncio.create_task(_stop(watched, quota_exhausted(used_up, now)))
                self._stopping.add(stopping)
                stopping.add_done_callback(self._stopping.discard)

    def _used_up(self, watched: _Watched, now: float) -> Slice | None:
        cost = self._prices.cost([watched.exchange.model], watched.expected.input, watched.answer.delivered)
        for take in watched.takes:
            slice = take.slice
            if take.generation != slice.generation:
                continue  # the budget of a day that is over
            if slice.exhausted and now < slice.expires:
                return slice
            more = cost - take.amount
            if more <= 0:
                continue
            match slice.take(more, now):
                case Taken.YES:
                    take.amount += more
                    self._leases.use(slice)
                case Taken.REFUSED:
                    return slice
                case Taken.LACKING:
                    slice.needs(more)
        return None


async def _stop(watched: _Watched, error: OmnixError) -> None:
    try:
        await watched.stop(error)
    except OmnixError as exc:
        _log.error("a stream beyond its budget was not stopped", extra={"error": exc.message})
