"""Totals by fields and by spans of time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from omnix_store import Bucket, Collection, In, InvalidQueryError, Range, Store, Total, Totals, index

START = datetime(2026, 1, 31, 23, 58, 30, tzinfo=UTC)


@pytest.fixture
async def ledger(store: Store) -> Collection:
    collection = store.collection("ledger", indexes=[index("tenant", "at")])
    await collection.insert_many(
        [
            {
                "id": f"{n:02}",
                "tenant": "ab"[n % 2],
                "model": {"name": f"m{n % 3}"},
                "usage": {"tokens": n},
                "cost": 2**40 + n,
                "at": START + timedelta(seconds=45 * n),
            }
            for n in range(12)
        ]
    )
    return collection


def total(
    count: int, *, group: dict[str, Any] | None = None, bucket: datetime | None = None, **totals: dict[str, Any]
) -> Total:
    return Total(
        group or {}, bucket, count, totals.get("sum", {}), totals.get("maximum", {}), totals.get("minimum", {})
    )


async def test_totals_of_everything(ledger: Collection) -> None:
    asked = Totals(sum=["cost", "usage.tokens"], maximum=["at", "usage.tokens"], minimum=["at", "id"])
    assert await ledger.totals(asked) == [
        total(
            12,
            sum={"cost": 12 * 2**40 + 66, "usage.tokens": 66},
            maximum={"at": START + timedelta(seconds=45 * 11), "usage.tokens": 11},
            minimum={"at": START, "id": "00"},
        )
    ]


async def test_totals_by_fields(ledger: Collection) -> None:
    asked = Totals(group_by=["tenant", "model.name"], sum=["usage.tokens"])
    assert await ledger.totals(asked, {"usage.tokens": Range(gte=3)}) == [
        total(count, group={"tenant": tenant, "model.name": model}, sum={"usage.tokens": tokens})
        for tenant, model, count, tokens in [
            ("a", "m0", 1, 6),
            ("a", "m1", 2, 14),
            ("a", "m2", 1, 8),
            ("b", "m0", 2, 12),
            ("b", "m1", 1, 7),
            ("b", "m2", 2, 16),
        ]
    ]


@pytest.mark.parametrize(
    ("bucket", "starts"),
    [
        (Bucket.MINUTE, {(1, 31, 23, 58): [0, 1], (1, 31, 23, 59): [2, 3]} | {(2, 1, 0, m): () for m in range(8)}),
        (Bucket.HOUR, {(1, 31, 23, 0): [0, 1], (2, 1, 0, 0): []}),
        (Bucket.DAY, {(1, 31, 0, 0): [0, 1], (2, 1, 0, 0): []}),
        (Bucket.MONTH, {(1, 1, 0, 0): [0, 1], (2, 1, 0, 0): []}),
    ],
)
async def test_totals_by_spans_of_time(
    ledger: Collection, bucket: Bucket, starts: dict[tuple[int, int, int, int], list[int]]
) -> None:
    asked = Totals(bucket_field="at", bucket=bucket, sum=["usage.tokens"])
    found = await ledger.totals(asked)
    counted: dict[datetime, list[int]] = {}
    for n in range(12):
        at = START + timedelta(seconds=45 * n)
        [start] = [s for s in _starts(starts) if s <= at and (s == max(t for t in _starts(starts) if t <= at))]
        counted.setdefault(start, []).append(n)
    assert found == [
        total(len(ns), bucket=start, sum={"usage.tokens": sum(ns)}) for start, ns in sorted(counted.items())
    ]


def _starts(starts: dict[tuple[int, int, int, int], list[int]]) -> list[datetime]:
    return [datetime(2026, *start, tzinfo=UTC) for start in starts]


async def test_missing_values_are_one_group_and_count_as_nothing(store: Store) -> None:
    things = store.collection("things")
    await things.insert_many(
        [
            {"id": "1", "g": None, "n": None, "at": None},
            {"id": "2"},
            {"id": "3", "n": "text", "at": "2026"},
            {"id": "4", "g": 1, "n": 2, "at": START},
            {"id": "5", "g": 1.0, "n": 0.5, "at": START},
            {"id": "6", "g": True, "n": True, "at": START},
        ]
    )
    day = START.replace(hour=0, minute=0, second=0)
    asked = Totals(group_by=["g"], bucket_field="at", bucket=Bucket.DAY, sum=["n"], maximum=["n"], minimum=["n"])
    assert await things.totals(asked) == [
        total(3, group={"g": None}, sum={"n": 0}, maximum={"n": "text"}, minimum={"n": "text"}),
        total(2, group={"g": 1}, bucket=day, sum={"n": 2.5}, maximum={"n": 2}, minimum={"n": 0.5}),
        total(1, group={"g": True}, bucket=day, sum={"n": 0}, maximum={"n": True}, minimum={"n": True}),
    ]


async def test_totals_of_nothing_are_empty(ledger: Collection) -> None:
    assert await ledger.totals(Totals(sum=["cost"]), {"tenant": In([])}) == []


async def test_a_list_cannot_be_a_group(store: Store) -> None:
    things = store.collection("things")
    await things.insert({"id": "1", "g": ["a"]})
    with pytest.raises(InvalidQueryError):
        await things.totals(Totals(group_by=["g"]))


@pytest.mark.parametrize(
    "asked",
    [
        Totals(group_by=["$a"]),
        Totals(group_by="name"),
        Totals(sum=["a b"]),
        Totals(sum=["a", "a"]),
        Totals(maximum=["'"]),
        Totals(bucket_field="at"),
        Totals(bucket=Bucket.DAY),
        Totals(bucket_field="a')", bucket=Bucket.DAY),
    ],
    ids=repr,
)
async def test_what_is_asked_is_checked(store: Store, asked: Totals) -> None:
    with pytest.raises(InvalidQueryError):
        await store.collection("things").totals(asked)


async def test_too_many_groups_are_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("omnix_store.totals", "omnix_store.sqlite.collection", "omnix_store.mongodb.collection"):
        monkeypatch.setattr(f"{module}.MAX_GROUPS", 5)
    things = store.collection("things")
    await things.insert_many([{"id": str(n)} for n in range(6)])
    assert len(await things.totals(Totals(group_by=["id"]), {"id": Range(lt="5")})) == 5
    with pytest.raises(InvalidQueryError, match="more than 5 groups"):
        await things.totals(Totals(group_by=["id"]))
