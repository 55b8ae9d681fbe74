"""The pipeline that totals on a server, and the reading of its answer."""

from datetime import UTC, datetime
from typing import Any

from bson.int64 import Int64
from omnix_store import Bucket, Total, Totals
from omnix_store.mongodb.pipeline import partial_of_group, totals_pipeline
from omnix_store.totals import added

ASKED = Totals(
    group_by=["tenant.id"], bucket_field="at", bucket=Bucket.HOUR, sum=["cost"], maximum=["at"], minimum=["id"]
)


def test_the_pipeline_uses_old_operators_only() -> None:
    start = {"$dateToString": {"date": "$at", "format": "%Y-%m-%dT%H:00:00"}}
    assert totals_pipeline(ASKED, {"tenant.id": "t"}, 10) == [
        {"$match": {"tenant.id": "t"}},
        {
            "$group": {
                "_id": {
                    "bucket": {"$cond": [{"$eq": [{"$type": "$at"}, "date"]}, start, None]},
                    "group0": "$tenant.id",
                },
                "count": {"$sum": 1},
                "sum0": {"$sum": "$cost"},
                "maximum0": {"$max": "$at"},
                "minimum0": {"$min": "$_id"},
            }
        },
        {"$limit": 10},
    ]


def test_missing_and_null_are_one_group() -> None:
    at = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
    hour = "2026-11-22T12:00:00"
    rows: list[dict[str, Any]] = [
        {"_id": {"bucket": hour}, "count": 1, "sum0": Int64(2), "maximum0": None, "minimum0": "b"},
        {"_id": {"bucket": hour, "group0": None}, "count": 2, "sum0": Int64(3), "maximum0": at, "minimum0": "a"},
        {"_id": {"bucket": None, "group0": "t"}, "count": 1, "sum0": 0.5, "maximum0": None, "minimum0": "c"},
    ]
    assert added(ASKED, (partial_of_group(ASKED, row) for row in rows)) == [
        Total({"tenant.id": "t"}, None, 1, {"cost": 0.5}, {"at": None}, {"id": "c"}),
        Total({"tenant.id": None}, at.replace(minute=0), 3, {"cost": 5}, {"at": at}, {"id": "a"}),
    ]
