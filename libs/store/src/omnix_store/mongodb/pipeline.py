"""Totals as an aggregation pipeline, of operators that MongoDB has had since version 3."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from omnix_store.mongodb.filters import Filter, field
from omnix_store.port import Bucket, Totals
from omnix_store.totals import Partial, scalar

_FORMATS = {
    Bucket.MINUTE: "%Y-%m-%dT%H:%M:00",
    Bucket.HOUR: "%Y-%m-%dT%H:00:00",
    Bucket.DAY: "%Y-%m-%dT00:00:00",
    Bucket.MONTH: "%Y-%m-01T00:00:00",
}


def totals_pipeline(asked: Totals, condition: Filter, limit: int) -> list[dict[str, Any]]:
    """Return the stages; the parts of each group are numbered, for paths have dots."""
    group: dict[str, Any] = {"_id": {"bucket": _bucket(asked), **_numbered("group", asked.group_by)}}
    group["count"] = {"$sum": 1}
    for name, operator, paths in (
        ("sum", "$sum", asked.sum),
        ("maximum", "$max", asked.maximum),
        ("minimum", "$min", asked.minimum),
    ):
        group |= {key: {operator: value} for key, value in _numbered(name, paths).items()}
    return [{"$match": condition}, {"$group": group}, {"$limit": limit}]


def _numbered(name: str, paths: Sequence[str]) -> dict[str, str]:
    return {f"{name}{at}": f"${field(path)}" for at, path in enumerate(paths)}


def _bucket(asked: Totals) -> Any:
    if asked.bucket is None or asked.bucket_field is None:
        return None
    at = f"${field(asked.bucket_field)}"
    start = {"$dateToString": {"date": at, "format": _FORMATS[asked.bucket]}}
    return {"$cond": [{"$eq": [{"$type": at}, "date"]}, start, None]}


def partial_of_group(asked: Totals, row: Mapping[str, Any]) -> Partial:
    """Read one group; a missing value and null are two groups to the server and one to the port."""

    def take(source: Mapping[str, Any], name: str, paths: Sequence[str]) -> tuple[Any, ...]:
        return tuple(scalar(path, _plain(source.get(f"{name}{at}"))) for at, path in enumerate(paths))

    bucket = row["_id"].get("bucket")
    return Partial(
        group=take(row["_id"], "group", asked.group_by),
        bucket=None if bucket is None else datetime.fromisoformat(bucket).replace(tzinfo=UTC),
        count=int(row["count"]),
        sum=take(row, "sum", asked.sum),
        maximum=take(row, "maximum", asked.maximum),
        minimum=take(row, "minimum", asked.minimum),
    )


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value
