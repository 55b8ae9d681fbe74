"""The arithmetic of leases: what of a limit is left, and how much of it a gateway may use without asking.

Never is more granted than is left, and what one has been granted no other can get before it is given back or expires.
So a limit is exceeded by no more than what gateways used of leases that had expired before they told of it, and by what
requests took beyond what was reserved for them.

Of ``n`` gateways each gets at most a ``2 n``-th of what is left, or what one request needs. Slices shrink with what is
left, so that all of a limit can be used wherever it is demanded; one that fell idle keeps its slice from others only
until its next lease.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

_FORGET_AFTER: Final = timedelta(hours=1)
MOST_HOLDERS: Final = 500


@dataclass(frozen=True, slots=True)
class Holding:
    """What one gateway has of a limit in the present window."""

    spent: int
    reserved: int
    """By requests in hand."""
    granted: int
    """It may be used without asking, beside the others."""
    expire_time: datetime
    """From then on nothing is reserved or granted any more; what was spent is."""


@dataclass(frozen=True, slots=True)
class Books:
    """What the ledger said of a cost, and what gateways had told by then.

    The ledger is exact, and a moment behind. What was told after the reading before the last counts beside it: what was
    told before that is in the ledger by now.
    """

    cost: int
    read_time: datetime
    told_before: int
    told: int


@dataclass(frozen=True, slots=True)
class Counter:
    """What is used of a limit by one subject."""

    window: int = 0
    forgotten: int = 0
    """What gateways spent that have not been heard of for an hour."""
    notified: int = 0
    """The last window (minute, where there is none) in which it was told that the limit is reached."""
    holdings: Mapping[str, Holding] = field(default_factory=lambda: MappingProxyType({}))
    books: Books | None = None

    @property
    def spent(self) -> int:
        return self.forgotten + sum(each.spent for each in self.holdings.values())

    @property
    def used(self) -> int:
        if self.books is None:
            return self.spent
        return self.books.cost + max(0, self.spent - self.books.told_before)

    def reserved(self, now: datetime) -> int:
        return sum(each.reserved for each in self.holdings.values() if each.expire_time > now)

    def granted(self, now: datetime) -> int:
        return sum(each.granted for each in self.holdings.values() if each.expire_time > now)


@dataclass(frozen=True, slots=True)
class Ask:
    """See ``omnix.usage.v1.LeaseAsk``."""

    window: int
    spent: int
    reserved: int
    need: int
    want: int


@dataclass(frozen=True, slots=True)
class Terms:
    """Of one lease."""

    amount: int
    is_hard: bool
    now: datetime
    expire_time: datetime


@dataclass(frozen=True, slots=True)
class Grant:
    granted: int
    available: int
    exhausted: bool


def in_window(counter: Counter, window: int) -> Counter:
    """The counter as it is in a window; a new one begins with nothing used. None goes back."""
    return counter if counter.window >= window else Counter(window, notified=counter.notified)


def with_books(counter: Counter, cost: int, now: datetime) -> Counter:
    """Take a new reading of the ledger."""
    told = counter.spent
    before = counter.books.told if counter.books is not None else 0
    return replace(counter, books=Books(cost, now, min(before, told), told))


def lease(counter: Counter, gateway_id: str, ask: Ask, terms: Terms) -> tuple[Counter, Grant]:
    """Take what a gateway tells, and give it what it may use; that takes the place of what it had."""
    now = terms.now
    forgotten = counter.forgotten
    others: dict[str, Holding] = {}
    for name, held in counter.holdings.items():
        if name == gateway_id:
            if ask.window != counter.window:  # it knows nothing of what it spent
                forgotten += held.spent
        elif held.expire_time + _FORGET_AFTER <= now:
            forgotten += held.spent
        else:
            others[name] = held
    knows = ask.window == counter.window
    own = Holding(ask.spent if knows else 0, ask.reserved if knows else 0, 0, terms.expire_time)
    told = replace(counter, forgotten=forgotten, holdings=MappingProxyType({**others, gateway_id: own}))
    used = told.used
    left = terms.amount - used - told.reserved(now) - told.granted(now)
    holders = sum(each.expire_time > now for each in told.holdings.values())
    granted = _granted(left, holders, ask) if terms.is_hard else max(ask.need, ask.want)
    holdings = MappingProxyType({**others, gateway_id: replace(own, granted=granted)})
    grant = Grant(granted, max(0, left - granted), exhausted=used >= terms.amount)
    return replace(told, holdings=holdings), grant


def _granted(left: int, holders: int, ask: Ask) -> int:
    if left <= 0 or left < ask.need:
        return 0
    share = -(-left // (2 * max(1, holders)))
    return min(left, max(ask.need, min(ask.want, share)))


def is_reached(counter: Counter, ask: Ask, grant: Grant, terms: Terms) -> bool:
    """Whether as much is used as may be, or a request is in the way of being refused."""
    if counter.used + counter.reserved(terms.now) >= terms.amount:
        return True
    return terms.is_hard and ask.need > 0 and grant.granted == 0
