"""How providers fare, in short. Pure: time is an argument.

========  =============================================================================================================
state     when, the first that holds
========  =============================================================================================================
down      no adapter can call it; or no target that was called within the window has a closed circuit
degraded  some circuit is not closed; or a tenth of at least ten calls failed; or it refused the operator's credential
          and has not answered since
healthy   it answered within the window
unknown   otherwise
========  =============================================================================================================
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from omnix_router.health.circuits import Outage
from omnix_router.health.fleet import Change
from omnix_router.health.state import Figures, Health

_MANY: Final = 10
_SHARE: Final = 0.1


class State(Enum):
    UNKNOWN = auto()
    HEALTHY = auto()
    DEGRADED = auto()
    DOWN = auto()


@dataclass(frozen=True, slots=True)
class Served:
    """What the adapters say of a provider."""

    sandbox: bool = False
    problem: str = ""
    """Why it cannot be called; empty when it can."""


@dataclass(frozen=True, slots=True)
class TargetReport:
    """How one target fares."""

    model: str
    figures: Figures
    outage: Outage | None = None


@dataclass(frozen=True, slots=True)
class ProviderReport:
    """How a provider fares."""

    provider: str
    state: State
    why: str = ""
    since: float | None = None
    """None where that is not known."""
    sandbox: bool = False
    targets: tuple[TargetReport, ...] = ()
    history: tuple[Change, ...] = ()


def report(health: Health, served: Mapping[str, Served], now: float, *, history: bool) -> list[ProviderReport]:
    """Every provider that is served or of which something is known, by name."""
    reports = []
    for provider in sorted(served.keys() | health.known_providers()):
        said = served.get(provider, Served(problem="no adapter serves it"))
        targets = tuple(TargetReport(*each) for each in health.targets_of(provider, now))
        state, why, since = _state(provider, said, targets, health)
        changes = health.record_of(provider).changes
        if state is State.HEALTHY:
            since = max((change.time for change in changes if not change.opened), default=None)
        reports.append(ProviderReport(provider, state, why, since, said.sandbox, targets, changes if history else ()))
    return reports


def _state(
    provider: str, said: Served, targets: Iterable[TargetReport], health: Health
) -> tuple[State, str, float | None]:
    if said.problem:
        return State.DOWN, said.problem, None
    outages = [target.outage for target in targets if target.outage is not None]
    answering = [target for target in targets if target.outage is None]
    if outages:
        since = min(outage.since for outage in outages)
        why = "; ".join(f"{outage.model}: {outage.why}" for outage in outages[:5])
        return (State.DEGRADED if answering else State.DOWN), why, since
    if (refusal := health.refusal_of(provider)) is not None:
        return State.DEGRADED, f"{refusal.model}: {refusal.reason.value}", refusal.since
    calls = sum(target.figures.calls for target in answering)
    failures = sum(target.figures.failures for target in answering)
    if calls >= _MANY and failures >= calls * _SHARE:
        return State.DEGRADED, f"{failures} of {calls} calls failed", None
    return (State.HEALTHY if calls > failures else State.UNKNOWN), "", None
