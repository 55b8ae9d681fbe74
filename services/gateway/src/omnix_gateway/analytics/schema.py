"""Questions about figures, and their answers."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

Time = Annotated[datetime, Meta(tz=True)]
Length = Annotated[
    str, Meta(pattern=r"^[1-9][0-9]{0,5}(m|h|d|w)$", description="Minutes, hours, days or weeks, such as `5m`.")
]
Dimension = Literal["model", "provider", "team", "user", "key"]


class FiguresQuery(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which attempts: those that ended at or after `start` and before `end`. Times are RFC 3339.

    Without times they are the last 24 hours. `model` is `provider/model`.
    """

    start: Time | None = None
    end: Time | None = None
    group_by: Dimension | None = None
    model: str | None = None
    provider: str | None = None
    team_id: str | None = None
    user_id: str | None = None
    key_id: str | None = None


class SeriesQuery(FiguresQuery, kw_only=True, forbid_unknown_fields=True):
    """Over time. `bucket` is by itself minutes up to two hours, hours up to three days, and days beyond."""

    bucket: Length | None = None
    top: Annotated[int, Meta(ge=1, le=100)] = 10


class TotalsQuery(FiguresQuery, kw_only=True, forbid_unknown_fields=True):
    """Of the whole time."""

    top: Annotated[int, Meta(ge=1, le=1000)] = 10


class LiveQuery(Struct, kw_only=True, forbid_unknown_fields=True):
    """Figures of the last minutes, `window` of them, up to an hour."""

    window: Length = "5m"
    group_by: Dimension | None = None
    model: str | None = None
    provider: str | None = None
    team_id: str | None = None
    user_id: str | None = None
    key_id: str | None = None
    top: Annotated[int, Meta(ge=1, le=100)] = 10


class Timing(Struct, kw_only=True):
    """Milliseconds. Percentiles are within 2 % of a time that was measured."""

    count: int
    average_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


class Cost(Struct, kw_only=True):
    """Money of one currency; `cost` is a decimal string."""

    currency: str
    cost: str
    cost_micros: int


class Figures(Struct, kw_only=True):
    """What attempts add up to.

    `requests` are first attempts for an answer, `attempts` all of them. `unpriced` attempts have no cost that is known.
    `active_users` counts users, and keys without one. `latency` is that of attempts that succeeded, and null without
    one; `first_content` is the time to the first token of streamed ones.
    """

    attempts: int
    requests: int
    requests_per_minute: float
    succeeded: int
    failed: int
    cancelled: int
    error_rate: float
    estimated: int
    unpriced: int
    input_tokens: int
    output_tokens: int
    total_tokens: int
    cached_input_tokens: int
    reasoning_tokens: int
    costs: list[Cost]
    active_users: int
    latency: Timing | None
    first_content: Timing | None


class Point(Figures, kw_only=True):
    """One bucket, by its beginning."""

    start: str


class Series(Struct, kw_only=True):
    """The buckets of one group in which something ended. `rest` is all groups that are not among the top."""

    group: str | None
    rest: bool
    points: list[Point]


class FiguresSeries(Struct, kw_only=True):
    """Series, most attempts first.

    `start` and `end` are widened to whole buckets. `kept_from` tells that what is before is no longer kept, and
    `rebuilding` that some of the figures are incomplete for a while.
    """

    object: Literal["analytics.series"] = "analytics.series"
    start: str
    end: str
    bucket_seconds: int
    group_by: Dimension | None
    series: list[Series]
    kept_from: str | None
    rebuilding: bool


class GroupFigures(Figures, kw_only=True):
    """The figures of one group, or of the rest."""

    group: str | None
    rest: bool


class FiguresTotals(Struct, kw_only=True):
    """Figures of everything asked for, and of the groups, most attempts first; see the series for the times."""

    object: Literal["analytics.totals"] = "analytics.totals"
    start: str
    end: str
    group_by: Dimension | None
    total: Figures
    groups: list[GroupFigures] = field(default_factory=list)
    kept_from: str | None
    rebuilding: bool


class LiveFigures(Struct, kw_only=True):
    """What a live event tells: the whole window, so that each event stands for itself."""

    object: Literal["analytics.live"] = "analytics.live"
    start: str
    end: str
    group_by: Dimension | None
    total: Figures
    groups: list[GroupFigures]
    points: list[Point]


class RebuildRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """Days (UTC) whose figures are made anew from the ledger: from that of `start` to that of `end`, or to now."""

    start: Time
    end: Time | None = None


class RebuildQuery(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which rebuild; the latest, unless told."""

    id: str | None = None


class Rebuild(Struct, kw_only=True):
    """How far a rebuild is: from `reached` on, figures are what the ledger says."""

    id: str
    object: Literal["analytics.rebuild"] = "analytics.rebuild"
    state: Literal["running", "done", "failed"]
    start: str
    end: str
    reached: str
    entries_read: int
    error: str | None
    create_time: str
    update_time: str
