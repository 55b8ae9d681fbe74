"""When a target is not called because it fails. Pure: time is an argument, in seconds since 1970.

What an attempt says of its target:

=======================================================  ===================  ==================
outcome                                                  failures in a row    share of failures
=======================================================  ===================  ==================
it answered; of a stream: its first content came         begins anew          a call
a stream broke off after its first content               one more, apart      its call failed
5xx, 529, reset, cut, silence, malformed                 one more             a call that failed
credential refused, provider's quota used up             one more             a call that failed
429 with ``Retry-After``                                 one more             a call
429 without it                                           says nothing         says nothing
what the caller must mend, context too long, unknown     says nothing         says nothing
model, cancelled, the caller's deadline
OmniX: adapter away or overloaded, a defect              says nothing         says nothing
=======================================================  ===================  ==================

Streams that broke off are counted apart, until one comes to its end: the first content of the next says little.

A circuit opens after so many failures in a row, or when such a share of enough calls of the last seconds failed. It is
open for the cooldown, longer when the vendor's ``Retry-After`` says so; when a 429 opened it, as long as that one says.
Then one attempt of the whole fleet is let through: a success closes the circuit, a failure opens it again.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from typing import Final

from omnix_kit.errors import Reason

FORGOTTEN: Final = 300.0
"""Seconds after which an outage that nobody probed says nothing any more."""
_SHORTEST: Final = 1.0


class Bearing(Enum):
    """What an error says of the target."""

    FAILURE = auto()
    LIMIT = auto()
    """It works, and wants to be left alone for a while."""
    NOTHING = auto()


_FAILURES = frozenset(
    {
        Reason.PROVIDER_UNAVAILABLE,
        Reason.PROVIDER_OVERLOADED,
        Reason.PROVIDER_TIMEOUT,
        Reason.PROVIDER_CUT,
        Reason.PROVIDER_MALFORMED,
        Reason.PROVIDER_AUTH_FAILED,
        Reason.PROVIDER_QUOTA_EXHAUSTED,
    }
)


def bearing_of(reason: Reason, retry_after: timedelta | None) -> Bearing:
    if reason in _FAILURES:
        return Bearing.FAILURE
    if reason is Reason.RATE_LIMITED and retry_after is not None:
        return Bearing.LIMIT
    return Bearing.NOTHING


@dataclass(frozen=True, slots=True)
class Rules:
    """When circuits open, and for how long. Times are seconds."""

    in_a_row: int = 5
    share: float = 0.5
    of_at_least: int = 20
    window: float = 10.0
    cooldown: float = 30.0
    """Also how long a probe may take before another one may be made."""
    longest: float = 300.0
    """The longest ``Retry-After`` that is believed."""

    def cooldown_after(self, bearing: Bearing, retry_after: timedelta | None) -> float:
        asked = 0.0 if retry_after is None else min(retry_after.total_seconds(), self.longest)
        if bearing is Bearing.LIMIT:
            return max(asked, _SHORTEST)
        return max(asked, self.cooldown)


@dataclass(frozen=True, slots=True)
class Outage:
    """A circuit that is not closed."""

    provider: str
    model: str
    since: float
    """When it left the state closed."""
    opened: float
    """When it was opened last: what began earlier does not close it."""
    until: float
    """While open: until a probe may be made. While probed: until the probe is given up."""
    reason: Reason
    """Of the failure that opened it last."""
    status: int | None
    why: str
    prober: str = ""
    """The router that probes; the circuit is half open."""

    @property
    def target(self) -> str:
        return f"{self.provider}/{self.model}"

    def bars(self, now: float, rules: Rules) -> bool:
        """Whether nobody may call the target now. A time that lies too far ahead is a clock that was set back."""
        return now < self.until <= now + max(rules.longest, rules.cooldown)

    def is_forgotten(self, now: float) -> bool:
        return self.until + FORGOTTEN <= now


class Tally:
    """Calls and failures of the last seconds, in slots of equal width."""

    __slots__ = ("_calls", "_failures", "_slots", "_times", "_width")

    def __init__(self, window: float, slots: int) -> None:
        self._width = window / slots
        self._slots = slots
        self.clear()

    def clear(self) -> None:
        self._times = [-1] * self._slots
        self._calls = [0] * self._slots
        self._failures = [0] * self._slots

    def add(self, failed: bool, now: float, *, calls: int = 1) -> None:
        """:param calls: 0 for a failure of a call that was added before."""
        time = int(now / self._width)
        slot = time % self._slots
        if self._times[slot] != time:
            self._times[slot], self._calls[slot], self._failures[slot] = time, 0, 0
        self._calls[slot] += calls
        self._failures[slot] += failed

    def total(self, now: float) -> tuple[int, int]:
        """Calls, and how many of them failed."""
        last = int(now / self._width)
        recent = [slot for slot, time in enumerate(self._times) if last - self._slots < time <= last]
        return sum(self._calls[slot] for slot in recent), sum(self._failures[slot] for slot in recent)


class Breaker:
    """Counts one target's outcomes and says when its circuit opens."""

    __slots__ = ("_broken", "_in_a_row", "_recent", "_rules", "_since")

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._recent = Tally(rules.window, 10)
        self._in_a_row = 0
        self._broken = 0
        self._since = 0.0

    def begin_anew(self, now: float) -> None:
        """The circuit opened or closed: what began before says nothing any more."""
        self._in_a_row = 0
        self._broken = 0
        self._recent.clear()
        self._since = now

    def succeeded(self, now: float) -> None:
        self._in_a_row = 0
        self._recent.add(False, now)

    def ended_whole(self) -> None:
        """A stream came to its end."""
        self._broken = 0

    def failed(self, bearing: Bearing, began: float, now: float, *, broke_off: bool = False) -> str | None:
        """Why the circuit opens; None when it stays closed.

        :param broke_off: the attempt had its first content, and was counted as a success then. The next one's first
            content says nothing against it, so these are counted apart, until one ends whole.
        """
        if bearing is Bearing.NOTHING or began < self._since <= now:
            return None
        rules = self._rules
        if broke_off:
            self._broken += 1
        else:
            self._in_a_row += 1
        self._recent.add(bearing is Bearing.FAILURE, now, calls=0 if broke_off else 1)
        if self._in_a_row >= rules.in_a_row:
            return f"{self._in_a_row} failures in a row"
        if self._broken >= rules.in_a_row:
            return f"{self._broken} streams in a row broke off"
        calls, failures = self._recent.total(now)
        if bearing is Bearing.FAILURE and calls >= rules.of_at_least and failures >= calls * rules.share:
            return f"{failures} of {calls} calls failed within {rules.window:g} s"
        return None
