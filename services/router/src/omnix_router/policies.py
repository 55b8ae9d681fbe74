"""What happens after an attempt failed. Pure: no clock, no chance, no counting of its own.

========================================================  ==========================================================
failure                                                   next step
========================================================  ==========================================================
429, or too much to do, with an affordable delay          wait so long, same target once more, then the next
429 with a delay that is too long                         next target
429 without delay, 5xx, 529, reset, connect failure, cut  same target once after a pause if it was the first such
                                                          failure of the completion, then the next
silence                                                   next target; the silent one is not tried again
provider quota used up, credential refused                next target; the credential is marked
context too long                                          next target with a larger context, else the caller
the provider does not know the model                      next target, else the caller
a defect of OmniX                                         next target, else the caller
an answer begun anew became another one                   next target, else the caller
it did not take the beginning of an answer                same target at once, which begins anew
a plugin refuses the target                               next target, else the caller
a plugin failed without which nothing is answered         the caller
400, content refused, anything else the caller must mend  the caller
========================================================  ==========================================================

An attempt that broke off after its first content is a failure like any other. One that did not take the beginning of an
answer counts for no attempt: its target is as good as one that is never given a beginning.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum, auto

from omnix_kit.errors import Reason


class Kind(Enum):
    """What a failure asks of the router."""

    LIMITED = auto()
    """The provider says when to come back, or just that it is too early."""
    PASSING = auto()
    """It may be over in a moment."""
    SILENT = auto()
    CREDENTIAL = auto()
    """The operator's key or account at the provider; no repetition helps."""
    TOO_LONG = auto()
    ELSEWHERE = auto()
    """Only another target can help."""
    ANEW = auto()
    """The same target may begin anew."""
    FINAL = auto()
    """Only the caller can help."""


_KINDS = {
    Reason.RATE_LIMITED: Kind.LIMITED,
    Reason.PROVIDER_OVERLOADED: Kind.LIMITED,
    Reason.OVERLOADED: Kind.LIMITED,
    Reason.PROVIDER_UNAVAILABLE: Kind.PASSING,
    Reason.PROVIDER_CUT: Kind.PASSING,
    Reason.PROVIDER_MALFORMED: Kind.PASSING,
    Reason.UNAVAILABLE: Kind.PASSING,
    Reason.SHUTTING_DOWN: Kind.PASSING,
    Reason.PROVIDER_TIMEOUT: Kind.SILENT,
    Reason.PROVIDER_AUTH_FAILED: Kind.CREDENTIAL,
    Reason.PROVIDER_QUOTA_EXHAUSTED: Kind.CREDENTIAL,
    Reason.CONTEXT_TOO_LONG: Kind.TOO_LONG,
    Reason.MODEL_NOT_FOUND: Kind.ELSEWHERE,
    Reason.INTERNAL: Kind.ELSEWHERE,
    Reason.PROVIDER_DEPARTED: Kind.ELSEWHERE,
}


def kind_of(reason: Reason) -> Kind:
    return _KINDS.get(reason, Kind.FINAL)


def is_slow(reason: Reason) -> bool:
    """Whether a failure tells against the speed of its target, and is not the request's own."""
    return kind_of(reason) not in (Kind.FINAL, Kind.TOO_LONG) or reason is Reason.DEADLINE_EXCEEDED


@dataclass(frozen=True, slots=True)
class Failure:
    """One attempt that failed."""

    target: int
    """Index in the plan's targets."""
    reason: Reason
    retry_after: timedelta | None = None
    refused_prefix: bool = False
    """The target was given the beginning of an answer, and did not take it."""
    by_plugin: Kind | None = None
    """What it asks of the router when a plugin, and no target, is what failed."""

    @property
    def kind(self) -> Kind:
        return self.by_plugin or (Kind.ANEW if self.refused_prefix else kind_of(self.reason))


@dataclass(frozen=True, slots=True)
class Limits:
    """How far the router goes for one completion."""

    attempts: int = 3
    """Those apart that did not take the beginning of an answer: each is followed by one that does."""
    affordable_delay: timedelta = timedelta(seconds=5)
    """The longest ``Retry-After`` that is waited for."""
    shortest_pause: timedelta = timedelta(milliseconds=100)
    longest_pause: timedelta = timedelta(milliseconds=400)

    def less(self, attempts: int) -> "Limits":
        """With so many attempts fewer."""
        return replace(self, attempts=self.attempts - attempts) if attempts else self


@dataclass(frozen=True, slots=True)
class Try:
    """Make another attempt."""

    target: int
    pause: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Tell the caller the last failure."""

    out_of_budget: bool = False
    """There was another target or another try, but the process makes too many extra calls already."""


def decide(
    failures: Sequence[Failure],
    windows: Sequence[int],
    *,
    remaining: timedelta,
    affordable: bool,
    jitter: float,
    limits: Limits,
    barred: Set[int] = frozenset(),
) -> Try | GiveUp:
    """The next step after the last of ``failures``.

    :param failures: every failed attempt of the completion, in order; at least one.
    :param windows: context window of each target of the plan, 0 for unknown.
    :param remaining: until the caller's deadline.
    :param affordable: the process may make one more extra call.
    :param jitter: from 0 to 1.
    :param barred: indexes of targets that must not be called now.
    """
    step = _step(failures, windows, remaining, jitter, limits, barred)
    if isinstance(step, Try) and not affordable:
        return GiveUp(out_of_budget=True)
    return step


def _step(
    failures: Sequence[Failure],
    windows: Sequence[int],
    remaining: timedelta,
    jitter: float,
    limits: Limits,
    barred: Set[int],
) -> Try | GiveUp:
    last = failures[-1]
    kind = last.kind
    made = sum(failure.kind is not Kind.ANEW for failure in failures)
    if made >= limits.attempts or remaining <= timedelta(0) or kind is Kind.FINAL:
        return GiveUp()
    if kind is Kind.ANEW and last.target not in barred:
        return Try(last.target)
    if kind in (Kind.LIMITED, Kind.PASSING) and last.target not in barred:
        pause = _pause_before_same(failures, kind, jitter, limits)
        if pause is not None and pause < remaining:
            return Try(last.target, pause)
    following = _next_target(failures, windows, barred)
    return GiveUp() if following is None else Try(following)


def _pause_before_same(failures: Sequence[Failure], kind: Kind, jitter: float, limits: Limits) -> timedelta | None:
    """How long to wait before the same target is tried again; None when it is not."""
    *earlier, last = [failure for failure in failures if failure.kind is not Kind.ANEW]
    if any(failure.target == last.target for failure in earlier):
        return None
    if kind is Kind.LIMITED and last.retry_after is not None:
        return last.retry_after if last.retry_after <= limits.affordable_delay else None
    if any(failure.kind in (Kind.LIMITED, Kind.PASSING) for failure in earlier):
        return None
    return limits.shortest_pause + (limits.longest_pause - limits.shortest_pause) * jitter


def _next_target(failures: Sequence[Failure], windows: Sequence[int], barred: Set[int]) -> int | None:
    passed = {failure.target for failure in failures} | barred
    # Once the prompt was found too long for a window, no smaller one can hold it, whatever failed since.
    floor = max((windows[f.target] for f in failures if f.kind is Kind.TOO_LONG), default=None)
    for index, window in enumerate(windows):
        if index not in passed and (floor is None or window > floor):
            return index
    return None


class RetryBudget:
    """At most a fifth of extra calls across the process, with a floor so that the first failures can be retried.

    Every completion puts a fifth of a call in, every attempt beyond its first takes one out. Counted in fifths, so that
    it is exact: over the life of the process, extra calls ≤ completions ÷ 5 + ``FLOOR`` + seconds ÷ ``QUIET``. The last
    is for a quiet process, which would wait long for its fifths: time fills the budget up to the floor. What is saved
    in good times is bounded, so that a failure after a long quiet does not begin with a storm.
    """

    FLOOR = 10
    CEILING = 100
    QUIET = 10
    """Seconds for one extra call."""
    _EXTRA = 5

    def __init__(self) -> None:
        self._fifths = self.FLOOR * self._EXTRA
        self._rested = 0.0

    @property
    def left(self) -> int:
        """Extra calls that can be made now."""
        return self._fifths // self._EXTRA

    def first_call(self) -> None:
        self._fifths = min(self._fifths + 1, self.CEILING * self._EXTRA)

    def rest(self, now: float) -> None:
        """Let time pass.

        :param now: seconds of a clock that never goes back.
        """
        each = self.QUIET / self._EXTRA
        fifths = int((now - self._rested) / each)
        self._rested += fifths * each
        self._fifths = max(self._fifths, min(self._fifths + fifths, self.FLOOR * self._EXTRA))

    def extra_call(self) -> None:
        """Take one out; ask ``left`` before."""
        if self.left < 1:
            raise ValueError("the retry budget is used up")
        self._fifths -= self._EXTRA
