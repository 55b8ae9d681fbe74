"""Totals: checking what is asked, and adding up, group by group."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from omnix_store.errors import InvalidQueryError
from omnix_store.port import Bucket, Total, Totals
from omnix_store.query import checked_path
from omnix_store.values import Scalar, at_path, kind_of, sort_key

MAX_GROUPS = 10_000


def checked_totals(totals: Totals) -> Totals:
    """Return the request with every path checked."""
    if (totals.bucket is None) != (totals.bucket_field is None):
        raise InvalidQueryError("bucket and bucket_field go together")
    for paths in (totals.group_by, totals.sum, totals.maximum, totals.minimum):
        if isinstance(paths, str) or len(set(paths)) != len(paths) or len(paths) > 16:
            raise InvalidQueryError("totals take sequences of at most 16 different field paths")
        for path in paths:
            checked_path(path)
    if totals.bucket_field is not None:
        checked_path(totals.bucket_field)
    return totals


def paths_of(totals: Totals) -> list[str]:
    """Return the fields that are looked at, those inside another one left out."""
    bucket = [] if totals.bucket_field is None else [totals.bucket_field]
    paths = {*totals.group_by, *bucket, *totals.sum, *totals.maximum, *totals.minimum}
    return sorted(path for path in paths if not any(path.startswith(f"{other}.") for other in paths))


def bucket_start(time: datetime, bucket: Bucket) -> datetime:
    match bucket:
        case Bucket.MINUTE:
            return time.replace(second=0, microsecond=0)
        case Bucket.HOUR:
            return time.replace(minute=0, second=0, microsecond=0)
        case Bucket.DAY:
            return time.replace(hour=0, minute=0, second=0, microsecond=0)
        case Bucket.MONTH:
            return time.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


@dataclass(slots=True)
class _Sums:
    count: int = 0
    sum: list[int | float] = field(default_factory=list)
    maximum: list[Scalar] = field(default_factory=list)
    minimum: list[Scalar] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Partial:
    """Some of a group's total; lists are in the order of the request's fields."""

    group: tuple[Scalar, ...]
    bucket: datetime | None
    count: int
    sum: tuple[int | float, ...]
    maximum: tuple[Scalar, ...]
    minimum: tuple[Scalar, ...]


def partial_of(totals: Totals, document: Mapping[str, Any]) -> Partial:
    """Return the total of one document alone."""
    time = None if totals.bucket_field is None else at_path(document, totals.bucket_field)
    in_bucket = isinstance(time, datetime) and totals.bucket is not None
    return Partial(
        group=tuple(scalar(path, at_path(document, path)) for path in totals.group_by),
        bucket=bucket_start(time, totals.bucket) if in_bucket and totals.bucket and time else None,
        count=1,
        sum=tuple(_number(at_path(document, path)) for path in totals.sum),
        maximum=tuple(scalar(path, at_path(document, path)) for path in totals.maximum),
        minimum=tuple(scalar(path, at_path(document, path)) for path in totals.minimum),
    )


class Adding:
    """Adds partial totals up; more than ``MAX_GROUPS`` groups are refused, so memory stays bounded."""

    def __init__(self, totals: Totals) -> None:
        self._totals = totals
        self._sums: dict[tuple[Any, ...], _Sums] = {}
        self._groups: dict[tuple[Any, ...], tuple[datetime | None, tuple[Scalar, ...]]] = {}

    def add(self, partial: Partial) -> None:
        key = (sort_key(partial.bucket), *(sort_key(value) for value in partial.group))
        sums = self._sums.get(key)
        if sums is None:
            check_group_count(len(self._sums) + 1)
            sums = self._sums[key] = _Sums(0, [0] * len(partial.sum), list(partial.maximum), list(partial.minimum))
            self._groups[key] = (partial.bucket, partial.group)
        sums.count += partial.count
        sums.sum = [one + other for one, other in zip(sums.sum, partial.sum, strict=True)]
        sums.maximum = [_pick(max, pair) for pair in zip(sums.maximum, partial.maximum, strict=True)]
        sums.minimum = [_pick(min, pair) for pair in zip(sums.minimum, partial.minimum, strict=True)]

    def result(self) -> list[Total]:
        return [self._total(*self._groups[key], self._sums[key]) for key in sorted(self._sums)]

    def _total(self, bucket: datetime | None, group: tuple[Scalar, ...], sums: _Sums) -> Total:
        asked = self._totals
        return Total(
            group=dict(zip(asked.group_by, group, strict=True)),
            bucket=bucket,
            count=sums.count,
            sum=dict(zip(asked.sum, sums.sum, strict=True)),
            maximum=dict(zip(asked.maximum, sums.maximum, strict=True)),
            minimum=dict(zip(asked.minimum, sums.minimum, strict=True)),
        )


def added(totals: Totals, partials: Iterable[Partial]) -> list[Total]:
    adding = Adding(totals)
    for partial in partials:
        adding.add(partial)
    return adding.result()


def check_group_count(count: int) -> None:
    if count > MAX_GROUPS:
        raise InvalidQueryError(f"more than {MAX_GROUPS} groups; narrow the query or group by fewer fields")


def _pick(best: Callable[..., Scalar], pair: tuple[Scalar, Scalar]) -> Scalar:
    present = [value for value in pair if value is not None]
    return best(present, key=sort_key) if present else None


def scalar(path: str, value: Any) -> Scalar:
    if kind_of(value) is None:
        raise InvalidQueryError(f"cannot total by {path}: it holds a {type(value).__name__}")
    scalar: Scalar = value
    return scalar


def _number(value: Any) -> int | float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else 0
