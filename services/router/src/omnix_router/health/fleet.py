"""What all routers know together about one provider. Pure: time is an argument.

A record is changed by reading it, making another one of it, and replacing it on condition that it is still the one that
was read. So of all routers that want to probe a target, one does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from omnix_kit.errors import Reason

from omnix_router.health.circuits import Outage, Rules

CHANGES: Final = 50
"""So many are remembered."""


@dataclass(frozen=True, slots=True)
class Change:
    """A circuit opened, or closed."""

    time: float
    model: str
    opened: bool
    why: str
    router: str
    """Who saw it."""
    reason: Reason | None = None
    """Of the failure that opened it."""


@dataclass(frozen=True, slots=True)
class Record:
    """The shared word on one provider."""

    provider: str
    revision: int = 0
    outages: Mapping[str, Outage] = field(default_factory=lambda: MappingProxyType({}))
    """By model."""
    changes: tuple[Change, ...] = ()
    """The last ones, oldest first."""

    def after(self, revision: int) -> "Record":
        """The record that follows the one of this revision."""
        return replace(self, revision=revision + 1)


Edit = Callable[[Record], Record]
"""Answers the record itself when there is nothing to change."""


def opened(outage: Outage, router: str) -> Edit:
    """A circuit opened, or was opened again. Of two that saw it, the longer wait counts."""

    def edit(record: Record) -> Record:
        known = record.outages.get(outage.model)
        if known is None or known.is_forgotten(outage.opened):
            change = Change(outage.opened, outage.model, True, outage.why, router, outage.reason)
            return _with(record, outage, change)
        if known.opened >= outage.opened or known.prober not in ("", router):
            # Another router opened it later, or has found it due since and probes.
            return record
        return _with(record, replace(outage, since=min(known.since, outage.since)))

    return edit


def claimed(outage: Outage, rules: Rules, now: float) -> Edit:
    """The outage's prober probes, unless another router does or the circuit closed or opened again."""

    def edit(record: Record) -> Record:
        known = record.outages.get(outage.model)
        if known is None or known.bars(now, rules):
            return record
        return _with(record, replace(known, prober=outage.prober, until=outage.until))

    return edit


def given_back(outage: Outage, router: str, now: float) -> Edit:
    """The probe said nothing of the target: the next caller's attempt probes."""

    def edit(record: Record) -> Record:
        known = record.outages.get(outage.model)
        if known is None or known.prober != router:
            return record
        return _with(record, replace(known, prober="", until=min(known.until, now)))

    return edit


def closed(model: str, router: str, began: float, now: float) -> Edit:
    """The target answered an attempt that began at ``began``."""

    def edit(record: Record) -> Record:
        known = record.outages.get(model)
        if known is None or began < known.opened:
            return record
        why = f"it answered again after {max(now - known.since, 0):.0f} s"
        return _with(record, None, Change(now, model, False, why, router))

    return edit


def swept(now: float) -> Edit:
    """Outages that nobody probed for long are forgotten."""

    def edit(record: Record) -> Record:
        kept = {model: outage for model, outage in record.outages.items() if not outage.is_forgotten(now)}
        return record if len(kept) == len(record.outages) else replace(record, outages=MappingProxyType(kept))

    return edit


def _with(record: Record, outage: Outage | None, change: Change | None = None) -> Record:
    outages = dict(record.outages)
    if outage is not None:
        outages[outage.model] = outage
    elif change is not None:
        outages.pop(change.model, None)
    changes = record.changes if change is None else (*record.changes, change)[-CHANGES:]
    return replace(record, outages=MappingProxyType(outages), changes=changes)
