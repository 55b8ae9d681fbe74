"""What of a filter an index finds, and what is looked at entry by entry.

A page is found by one index, newest first. Whatever else is asked is looked at in what that index gives, so that the
work for a page is bounded, however seldom an entry fits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from omnix_kit.usage.events import Certainty, Outcome
from omnix_store import Document, In, Not, Range, Where, index

from omnix_usage_metering.entries import Filter, Operation

INDEXES: Final = tuple(
    index(*fields)
    for fields in (
        ("tenant_id", "start_time"),
        ("tenant_id", "completion_id"),
        *(
            ("tenant_id", field, "start_time")
            for field in ("key_id", "user_id", "team_id", "route", "model", "provider", "outcome")
        ),
    )
)
_SELECTIVE: Final = ("completion_id", "key_id", "user_id", "team_id", "route", "model", "provider", "outcome")
"""Fields with an index, the one that leaves the fewest entries first."""


@dataclass(frozen=True, slots=True)
class Looking:
    """How a page is found."""

    where: Where
    """What the index gives."""
    rest: Where
    """What an entry must fulfil besides."""
    labels: Mapping[str, str]
    """Labels that it must have."""

    @property
    def is_whole(self) -> bool:
        """Whether the index gives just what is asked."""
        return not self.rest and not self.labels

    def fits(self, document: Document) -> bool:
        if not all(_holds(condition, document.get(field)) for field, condition in self.rest.items()):
            return False
        told = document.get("metadata") or {}
        return all(told.get(name) == value for name, value in self.labels.items())


def looking(wanted: Filter) -> Looking:
    asked = _conditions(wanted)
    selective = [field for field in _SELECTIVE if field in asked]
    if wanted.outcome not in (None, Outcome.SUCCEEDED):
        selective.sort(key=lambda field: field not in ("completion_id", "outcome"))  # few attempts end otherwise
    first = set(selective[:1])
    found: dict[str, Any] = {field: condition for field, condition in asked.items() if field in first}
    labels = {} if wanted.label is None else {wanted.label.name: wanted.label.value}
    return Looking(
        where={**_within(wanted), **found},
        rest=MappingProxyType({field: condition for field, condition in asked.items() if field not in first}),
        labels=MappingProxyType(labels),
    )


def everything(wanted: Filter) -> Where:
    """All of the filter as one condition, for totals. The label's name must be one that a path may have."""
    label = {} if wanted.label is None else {f"metadata.{wanted.label.name}": wanted.label.value}
    return {**_within(wanted), **_conditions(wanted), **label}


def _within(wanted: Filter) -> dict[str, Any]:
    where: dict[str, Any] = {"tenant_id": wanted.tenant_id}
    if wanted.start_time is not None or wanted.end_time is not None:
        where["start_time"] = Range(gte=wanted.start_time, lt=wanted.end_time)
    return where


def _conditions(wanted: Filter) -> dict[str, Any]:
    """By field; entries of earlier versions lack some, which is like None."""
    asked: dict[str, Any] = {}
    for field in ("completion_id", "key_id", "user_id", "team_id", "route", "model", "provider"):
        if value := getattr(wanted, field):
            asked[field] = value
    if wanted.outcome is not None:
        asked["outcome"] = wanted.outcome.value
    if wanted.purpose is not None or wanted.answers_only:
        asked["purpose"] = None if wanted.purpose is None else wanted.purpose.value
    if wanted.operation is not None:
        asked["operation"] = wanted.operation.value
    if wanted.operation is Operation.CHAT:
        asked["operation"] = In((Operation.CHAT.value, None))
    if wanted.streamed is not None:
        asked["streamed"] = wanted.streamed
    if wanted.mode is not None:
        asked["mode"] = wanted.mode.value
    if wanted.estimated is not None:
        exact = Certainty.EXACT.value
        asked["certainty"] = Range(lt=exact) if wanted.estimated else exact
    if wanted.unpriced is not None:
        asked["cost_micros"] = None if wanted.unpriced else Not(None)
    return asked


def _holds(condition: object, value: Any) -> bool:
    """As the store has it, for the conditions that are made here."""
    match condition:
        case In(values):
            return value in values
        case Not(other):
            return bool(value != other)
        case Range(lt=bound):
            return value is not None and bool(value < bound)
        case _:
            return bool(value == condition)
