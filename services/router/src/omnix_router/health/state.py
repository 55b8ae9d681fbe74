"""What this router knows of each target: its circuit, and how it fared of late. No I/O; time is an argument.

Whatever others should know is put down as an edit of the provider's record (:mod:`omnix_router.health.fleet`); what
others say is adopted. Without them it is all decided here.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Final

from omnix_kit.errors import OmnixError, Reason, error_for

from omnix_router import metrics
from omnix_router.health import fleet
from omnix_router.health.circuits import Bearing, Breaker, Outage, Rules, Tally, bearing_of
from omnix_router.policies import Kind, kind_of
from omnix_router.routing import Target

WINDOW: Final = 300.0
"""Seconds that figures go back."""
_SAMPLES: Final = 1000
_MOST_TARGETS: Final = 4096
"""Of more, those that were heard first are forgotten."""


class Gate(Enum):
    """Whether an attempt may be made."""

    OPEN = auto()
    DUE = auto()
    """As the probe, if nobody else makes it."""
    BARRED = auto()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A provider refuses the operator's credential or account."""

    since: float
    model: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one target, over the window."""

    calls: int = 0
    failures: int = 0
    first_content: tuple[float, ...] = ()
    """Seconds, rising."""

    def percentile(self, share: float) -> float | None:
        """The time within which such a share of the answers had their first content."""
        count = len(self.first_content)
        return self.first_content[min(int(count * share), count - 1)] if count else None


class _Seen:
    """One target's outcomes."""

    __slots__ = ("breaker", "first_content", "model", "provider", "tally")

    def __init__(self, target: Target, rules: Rules) -> None:
        self.provider = target.provider
        self.model = target.model
        self.breaker = Breaker(rules)
        self.tally = Tally(WINDOW, 30)
        self.first_content: deque[tuple[float, float]] = deque(maxlen=_SAMPLES)


class Health:
    """Circuits and figures of every target."""

    def __init__(self, rules: Rules, router: str, *, on_pending: Callable[[], None] = lambda: None) -> None:
        """:param router: tells this process from the others."""
        self.rules = rules
        self.router = router
        self.on_pending = on_pending
        self.outages: dict[str, Outage] = {}
        """By target. Empty in good times: then no attempt looks further."""
        self.pending: dict[str, dict[str, fleet.Edit]] = {}
        """What the fleet was not told yet: the last word on each model, by provider."""
        self._seen: dict[str, _Seen] = {}
        self._records: dict[str, fleet.Record] = {}
        self._refusals: dict[str, Refusal] = {}

    def gate(self, target: str, now: float) -> Gate:
        outage = self.outages.get(target)
        if outage is None:
            return Gate.OPEN
        if outage.is_forgotten(now):
            self._close(target, now)
            return Gate.OPEN
        return Gate.BARRED if outage.bars(now, self.rules) else Gate.DUE

    def claim(self, target: str, now: float) -> Outage:
        """Take the probe within this process; others here are barred until it ended or is given up."""
        outage = replace(self.outages[target], prober=self.router, until=now + self.rules.cooldown)
        self.outages[target] = outage
        return outage

    def yield_to(self, target: str, known: Outage | None, now: float) -> None:
        """The fleet knows better than this router, which claimed the probe."""
        if known is None:
            self._close(target, now)
        else:
            self.outages[target] = known

    def succeeded(self, target: Target, began: float, now: float) -> None:
        key = target.id
        seen = self._seen.get(key) or self._begin(target)
        seen.breaker.succeeded(now)
        seen.tally.add(False, now)
        if self._refusals:
            self._refusals.pop(target.provider, None)
        if self.outages and (outage := self.outages.get(key)) is not None and began >= outage.opened:
            self._close(key, now)
            self._tell(outage, fleet.closed(target.model, self.router, began, now))
            metrics.CIRCUIT_CHANGES.labels(target.provider, "closed").inc()

    def ended_whole(self, target: Target) -> None:
        """A stream came to its end."""
        if (seen := self._seen.get(target.id)) is not None:
            seen.breaker.ended_whole()

    def failed(
        self,
        target: Target,
        error: OmnixError,
        began: float,
        now: float,
        *,
        probe: bool = False,
        broke_off: bool = False,
    ) -> None:
        """:param broke_off: it was told as a success when its first content came."""
        bearing = bearing_of(error.reason, error.retry_after)
        if kind_of(error.reason) is Kind.CREDENTIAL:
            self._refusals.setdefault(target.provider, Refusal(now, target.model, error.reason))
        if bearing is Bearing.NOTHING:
            if probe:
                self.gave_up(target, now)
            return
        seen = self._seen.get(target.id) or self._begin(target)
        seen.tally.add(bearing is Bearing.FAILURE, now, calls=0 if broke_off else 1)
        known = self.outages.get(target.id)
        if known is not None:
            if probe and known.prober == self.router:
                self._open(target, error, bearing, known.since, "the probe failed", now)
            return
        if why := seen.breaker.failed(bearing, began, now, broke_off=broke_off):
            self._open(target, error, bearing, now, why, now)
            metrics.CIRCUIT_CHANGES.labels(target.provider, "opened").inc()

    def gave_up(self, target: Target, now: float) -> None:
        """A probe ended without saying anything of its target."""
        known = self.outages.get(target.id)
        if known is not None and known.prober == self.router:
            self.outages[target.id] = replace(known, prober="", until=min(known.until, now))
            self._tell(known, fleet.given_back(known, self.router, now))

    def first_content(self, target: Target, seconds: float, now: float) -> None:
        """A streamed answer began."""
        seen = self._seen.get(target.id) or self._begin(target)
        seen.first_content.append((now, seconds))

    def adopt(self, record: fleet.Record, now: float, *, anew: bool = False) -> None:
        """Hear what all routers know of a provider.

        :param anew: it counts even if it is older than what was heard: the server may have lost what it had.
        """
        known = self._records.get(record.provider)
        if not anew and known is not None and known.revision >= record.revision:
            return
        self._records[record.provider] = record
        untold = self.pending.get(record.provider, {})
        for target, outage in list(self.outages.items()):
            # What is closed elsewhere is closed here, unless the others have not heard yet that it opened.
            if outage.provider == record.provider and outage.model not in {*record.outages, *untold}:
                self._close(target, now)
        for outage in record.outages.values():
            if outage.model in untold or outage.is_forgotten(now):
                continue
            if outage.target not in self.outages and (seen := self._seen.get(outage.target)) is not None:
                seen.breaker.begin_anew(now)
            self.outages[outage.target] = outage
        metrics.CIRCUITS_NOT_CLOSED.set(len(self.outages))

    def record_of(self, provider: str) -> fleet.Record:
        return self._records.get(provider) or fleet.Record(provider)

    def told(self, provider: str, edits: Mapping[str, fleet.Edit]) -> None:
        """These edits reached the fleet; newer ones stay."""
        untold = self.pending.get(provider, {})
        for model, edit in edits.items():
            if untold.get(model) is edit:
                del untold[model]
        if not untold:
            self.pending.pop(provider, None)

    def refusal_of(self, provider: str) -> Refusal | None:
        return self._refusals.get(provider)

    def known_providers(self) -> set[str]:
        return {seen.provider for seen in self._seen.values()} | self._records.keys()

    def targets_of(self, provider: str, now: float) -> Iterator[tuple[str, Figures, Outage | None]]:
        """Models that were called within the window or whose circuits are not closed, by name."""
        prefix = f"{provider}/"
        models = {seen.model for seen in self._seen.values() if seen.provider == provider}
        models |= {outage.model for outage in self.outages.values() if outage.provider == provider}
        for model in sorted(models):
            figures = self.figures(prefix + model, now)
            outage = self.outages.get(prefix + model)
            if outage is not None and outage.is_forgotten(now):
                outage = None
            if figures.calls or outage is not None:
                yield model, figures, outage

    def figures(self, target: str, now: float) -> Figures:
        seen = self._seen.get(target)
        if seen is None:
            return Figures()
        calls, failures = seen.tally.total(now)
        times = sorted(seconds for time, seconds in seen.first_content if now - WINDOW < time <= now)
        # Of a stream that broke off late, the call may lie before the window.
        return Figures(calls, min(failures, calls), tuple(times))

    def _open(self, target: Target, error: OmnixError, bearing: Bearing, since: float, why: str, now: float) -> None:
        outage = Outage(
            target.provider,
            target.model,
            since=since,
            opened=now,
            until=now + self.rules.cooldown_after(bearing, error.retry_after),
            reason=error.reason,
            status=error.provider_status,
            why=f"{why}, the last {_named(error)}",
        )
        self.outages[target.id] = outage
        if (seen := self._seen.get(target.id)) is not None:
            seen.breaker.begin_anew(now)
        metrics.CIRCUITS_NOT_CLOSED.set(len(self.outages))
        self._tell(outage, fleet.opened(outage, self.router))

    def _close(self, target: str, now: float) -> None:
        self.outages.pop(target, None)
        if (seen := self._seen.get(target)) is not None:
            seen.breaker.begin_anew(now)
        metrics.CIRCUITS_NOT_CLOSED.set(len(self.outages))

    def _tell(self, outage: Outage, edit: fleet.Edit) -> None:
        self.pending.setdefault(outage.provider, {})[outage.model] = edit
        self.on_pending()

    def _begin(self, target: Target) -> _Seen:
        if len(self._seen) >= _MOST_TARGETS:
            del self._seen[next(iter(self._seen))]
        seen = self._seen[target.id] = _Seen(target, self.rules)
        return seen


def barred(outage: Outage, now: float) -> OmnixError:
    """The caller asked for one target, and it is not called; where it asked to be left alone, the caller is told so."""
    since = datetime.fromtimestamp(outage.since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    wait = timedelta(seconds=1)
    again = "it is being tried now"
    if not outage.prober:
        wait = timedelta(seconds=max(outage.until - now, 1.0))
        again = f"it is tried again in {wait.total_seconds():.0f} s"
    return error_for(
        Reason.RATE_LIMITED if outage.reason is Reason.RATE_LIMITED else Reason.UNAVAILABLE,
        f"{outage.target} has been failing since {since} ({outage.why}); {again}.",
        provider=outage.provider,
        provider_status=outage.status,
        retry_after=wait,
    )


def _named(error: OmnixError) -> str:
    status = "" if error.provider_status is None else f" with status {error.provider_status}"
    return f"{error.reason.value}{status}"
