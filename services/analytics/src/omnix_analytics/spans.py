"""Spans of time in UTC: the three resolutions of rollups, buckets of any size, and what covers a span."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ORIGIN = datetime(1970, 1, 5, tzinfo=UTC)
"""A Monday's midnight, from which buckets are counted: hours and days are the clock's, weeks the calendar's."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Resolution(StrEnum):
    """How fine a rollup is; finest last."""

    DAY = "day"
    HOUR = "hour"
    MINUTE = "minute"

    @property
    def length(self) -> timedelta:
        return {Resolution.DAY: DAY, Resolution.HOUR: HOUR, Resolution.MINUTE: MINUTE}[self]


Kept = Mapping[Resolution, datetime]
"""From when on rollups of each resolution are there."""


@dataclass(frozen=True, slots=True)
class Span:
    """From ``start``, that included, to ``end``, that excluded."""

    start: datetime
    end: datetime

    def widened(self, size: timedelta) -> "Span":
        return Span(floor(self.start, size), ceiling(self.end, size))


def floor(time: datetime, size: timedelta) -> datetime:
    return time - (time - ORIGIN) % size


def ceiling(time: datetime, size: timedelta) -> datetime:
    return time + (ORIGIN - time) % size


def time_of(milliseconds: int) -> datetime:
    return EPOCH + timedelta(milliseconds=milliseconds)


def coarsest(bucket: timedelta) -> Resolution:
    """The coarsest rollups that buckets of whole minutes are made of."""
    return next(resolution for resolution in Resolution if not bucket % resolution.length)


def cover(span: Span, kept: Kept) -> tuple[Span, list[tuple[Resolution, Span]]]:
    """Return the span as it can be answered, and the rollups that make it up, in the order of time.

    Its ends are widened to whole minutes; to whole hours or days where finer rollups are no longer kept.
    """
    start = floor(span.start, _kept_at(span.start, kept).length)
    end = ceiling(span.end, _kept_at(span.end, kept).length)
    widened = Span(start, max(start, end))
    return widened, _parts(widened, list(Resolution))


def _kept_at(time: datetime, kept: Kept) -> Resolution:
    """The finest rollup that is kept at the time; of days, where nothing is."""
    there = [resolution for resolution in Resolution if kept[resolution] <= floor(time, resolution.length)]
    return there[-1] if there else Resolution.DAY


def _parts(span: Span, resolutions: Sequence[Resolution]) -> list[tuple[Resolution, Span]]:
    if span.start >= span.end:
        return []
    resolution, *finer = resolutions
    inner = Span(ceiling(span.start, resolution.length), floor(span.end, resolution.length))
    if inner.start >= inner.end:
        return _parts(span, finer)
    before, after = Span(span.start, inner.start), Span(inner.end, span.end)
    return [*_parts(before, finer), (resolution, inner), *_parts(after, finer)]
