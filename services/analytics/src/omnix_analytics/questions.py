"""What may be asked, and which rollups answer it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from omnix_analytics.cells import Cell
from omnix_analytics.rollups import Row, View
from omnix_analytics.spans import Span


class Dimension(StrEnum):
    """By what figures are told apart."""

    MODEL = "model"
    PROVIDER = "provider"
    TEAM = "team"
    USER = "user"
    KEY = "key"


_IN_EVERY_VIEW = frozenset({Dimension.MODEL, Dimension.PROVIDER})
_OF_VIEW = {View.TEAM: Dimension.TEAM, View.USER: Dimension.USER, View.KEY: Dimension.KEY}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which attempts of a tenant. None matches everything, an empty text attempts of none."""

    tenant_id: str
    span: Span
    model: str | None = None
    """``provider/model``."""
    provider: str | None = None
    team: str | None = None
    user: str | None = None
    key: str | None = None

    def wanted(self, dimension: Dimension) -> str | None:
        return {
            Dimension.MODEL: self.model,
            Dimension.PROVIDER: self.provider,
            Dimension.TEAM: self.team,
            Dimension.USER: self.user,
            Dimension.KEY: self.key,
        }[dimension]


@dataclass(frozen=True, slots=True)
class Plan:
    """Which rollups to read, which of their rows count, and for which group."""

    view: View
    value: str | None
    """The view's value that is wanted; None for all of them."""
    filters: tuple[tuple[Dimension, str], ...]
    """What the rows themselves have to be."""
    group_by: Dimension | None

    @property
    def is_whole(self) -> bool:
        """Whether nothing inside of a rollup has to be told apart."""
        return not self.filters and (self.group_by is None or self.group_by is _OF_VIEW.get(self.view))

    def takes(self, value: str, row: Row) -> bool:
        return all(self._of(dimension, value, row) == wanted for dimension, wanted in self.filters)

    def group(self, value: str, row: Row) -> str:
        return "" if self.group_by is None else self._of(self.group_by, value, row)

    def _of(self, dimension: Dimension, value: str, row: Row) -> str:
        if dimension is _OF_VIEW.get(self.view):
            return value
        match dimension:
            case Dimension.MODEL:
                return f"{row.provider}/{row.model}" if row.provider else row.model
            case Dimension.PROVIDER:
                return row.provider
            case Dimension.TEAM:
                return row.team_id
            case Dimension.USER:
                return row.user_id
            case Dimension.KEY:
                raise ValueError("only the rollups of keys tell keys")


def plan(wanted: Filter, group_by: Dimension | None) -> Plan:
    """Choose the coarsest view that tells apart what is asked for."""
    filters = {dimension: value for dimension in Dimension if (value := wanted.wanted(dimension)) is not None}
    asked = (filters.keys() | ({group_by} if group_by is not None else set())) - _IN_EVERY_VIEW
    view = View.ALL
    if asked:
        view = next((view for view, own in _OF_VIEW.items() if asked == {own}), View.KEY)
    own = _OF_VIEW.get(view)
    return Plan(
        view=view,
        value="" if own is None else filters.get(own),
        filters=tuple((dimension, value) for dimension, value in filters.items() if dimension is not own),
        group_by=group_by,
    )


@dataclass(frozen=True, slots=True)
class Group:
    """One group's cells by the beginning of their bucket."""

    name: str
    is_rest: bool
    points: dict[datetime, Cell]


@dataclass(frozen=True, slots=True)
class Answer:
    """Groups with most attempts first, the rest last."""

    groups: list[Group]
    span: Span
    kept_from: datetime | None
    """Set where some of the span is no longer kept."""
    rebuilding: bool
