"""What this gateway may use of a limit without asking. Pure: times are seconds of a monotonic clock."""

import math
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from omnix_gateway.limits.limit import Kind, Limit

_REFUSED_FOR: Final = 0.25
"""Seconds for which a refusal is believed; others may give something back at any moment."""
_LARGEST_PART: Final = 20
"""Of a limit that is in use no more than one part in so many is wanted, beside twice what was used of late."""


class Taken(Enum):
    YES = auto()
    LACKING = auto()
    """More must be asked for."""
    REFUSED = auto()
    """It was asked for a moment ago, and there is none."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What is told and wanted; see ``omnix.usage.v1.LeaseAsk``."""

    window: int
    spent: int
    reserved: int
    need: int
    want: int


@dataclass(frozen=True, slots=True)
class Grant:
    """See ``omnix.usage.v1.LeaseGrant``; times in seconds."""

    window: int
    granted: int
    available: int
    exhausted: bool
    lifetime: float
    reset: float | None
    version: int


class Slice:
    """Of one limit, for one subject."""

    __slots__ = (
        "__weakref__",
        "_demand",
        "_need",
        "_needed",
        "_refused",
        "_refused_until",
        "_told",
        "available",
        "exhausted",
        "expires",
        "generation",
        "left",
        "limit",
        "low",
        "reserved",
        "resets",
        "spent",
        "subject_id",
        "window",
    )

    def __init__(self, limit: Limit, subject_id: str) -> None:
        self.limit = limit
        self.subject_id = subject_id
        self.window = 0
        self.generation = 0
        """Grows when a window ends: what was reserved before it is no longer."""
        self.left = 0
        self.low = 0
        """So little is left that more should be asked for."""
        self.spent = 0
        self.reserved = 0
        self.available = 0
        """What nobody had at the last answer."""
        self.exhausted = False
        self.expires = -math.inf
        self.resets: float | None = None
        self._demand = 0
        self._need = 0
        self._needed = 0
        self._refused = 0
        self._refused_until = -math.inf
        self._told = (0, 0)

    def take(self, amount: int, now: float) -> Taken:
        """Use so much, of requests at once; of the others it is reserved until it is settled."""
        if self.limit.is_hard and (amount > self.left or self.exhausted or now >= self.expires):
            believed = now < self._refused_until and amount >= self._refused
            return Taken.REFUSED if believed else Taken.LACKING
        self.take_anyway(amount)
        return Taken.YES

    def take_anyway(self, amount: int) -> None:
        self.left -= amount
        self._demand += amount
        if self.limit.kind is Kind.REQUESTS_PER_MINUTE:
            self.spent += amount
        else:
            self.reserved += amount

    def untake(self, amount: int, generation: int) -> None:
        """It was not used after all."""
        if generation == self.generation:
            self._demand = max(0, self._demand - amount)
            self.left += amount
            if self.limit.kind is Kind.REQUESTS_PER_MINUTE:
                self.spent -= amount
            else:
                self.reserved -= amount

    def settle(self, amount: int, generation: int, used: int) -> None:
        """The request that took ``amount`` has ended and used so much: nothing, of requests at the same time."""
        if self.limit.kind is Kind.REQUESTS_PER_MINUTE:
            return
        if generation == self.generation:
            self.reserved -= amount
            self.spent += used
            self.left += amount - used
        elif self.limit.kind is Kind.TOKENS_PER_MINUTE and used > amount:
            # It was admitted in a minute that is over; what nobody reckoned with counts now.
            self.spent += used - amount
            self.left -= used - amount

    def needs(self, amount: int) -> None:
        """A request waits for so much."""
        self._need = min(self._need, amount) if self._need else amount
        self._needed += amount

    def is_low(self, now: float) -> bool:
        """Whether it is time to ask for more."""
        return self.left <= self.low and now >= self._refused_until

    def is_idle(self) -> bool:
        """Whether there is nothing to tell, to give back or to ask for."""
        told = (self.spent, self.reserved) == self._told
        return told and not (self._demand or self._needed or self.reserved or self.left > 0)

    def ask(self) -> Ask:
        """What to ask for now; what is demanded from then on counts for the next time."""
        largest = -(-self.limit.amount // _LARGEST_PART) if self._demand or self._needed else 0
        want = self._needed + max(2 * self._demand, largest)
        asked = Ask(self.window, self.spent, self.reserved, self._need, want)
        self._demand //= 2
        self._need = self._needed = 0
        return asked

    def granted(self, asked: Ask, grant: Grant, asked_at: float) -> None:
        """Take an answer. What was taken since it was asked for counts against it."""
        if grant.window != self.window:
            if self.window:
                self.generation += 1
                self.spent = self.reserved = self._demand = 0
            self.window = grant.window
            self._told = (0, 0)
            since = 0
        else:
            self._told = (asked.spent, asked.reserved)
            since = self.spent + self.reserved - asked.spent - asked.reserved
        self.left = grant.granted - since
        self.low = grant.granted // 2
        self.available = grant.available
        self.exhausted = grant.exhausted
        self.expires = asked_at + grant.lifetime
        self.resets = None if grant.reset is None else asked_at + grant.reset
        if asked.need and not grant.granted:
            self._refused, self._refused_until = asked.need, asked_at + _REFUSED_FOR

    def remaining(self) -> int:
        """What is left to all, as far as it is known here."""
        return max(0, self.available + self.left)
