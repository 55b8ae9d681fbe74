"""Changing documents: conditions decide, and nothing is lost among many who change at once."""

import asyncio
from typing import Any

import pytest
from omnix_store import (
    Change,
    In,
    InvalidChangeError,
    InvalidDocumentError,
    InvalidQueryError,
    Not,
    Range,
    Store,
    index,
)


async def test_a_change_sets_adds_and_removes_at_once(store: Store) -> None:
    jobs = store.collection("jobs")
    await jobs.insert({"id": "1", "state": "new", "tries": 1, "old": {"a": 1, "b": 2}, "note": "x"})
    after = await jobs.update(
        {"id": "1"},
        Change(
            set={"state": "done", "result.text": "ok", "result.parts": [1]},
            increment={"tries": 2, "spent.micros": 5, "score": 0.5},
            unset=["note", "old.a", "nothing.there"],
        ),
    )
    expected = {
        "id": "1",
        "state": "done",
        "tries": 3,
        "old": {"b": 2},
        "result": {"text": "ok", "parts": [1]},
        "spent": {"micros": 5},
        "score": 0.5,
    }
    assert after == expected
    assert await jobs.get("1") == expected


async def test_a_change_happens_only_where_the_condition_holds(store: Store) -> None:
    jobs = store.collection("jobs")
    await jobs.insert({"id": "1", "version": 1})
    bump = Change(set={"version": 2})
    assert await jobs.update({"id": "1", "version": 1}, bump) == {"id": "1", "version": 2}
    assert await jobs.update({"id": "1", "version": 1}, bump) is None
    assert await jobs.update({"id": "2"}, bump) is None
    assert await jobs.get("1") == {"id": "1", "version": 2}


async def test_of_many_with_the_same_condition_one_wins(store: Store, is_ferretdb: bool) -> None:
    if is_ferretdb:
        pytest.skip("FerretDB 1.24 does findAndModify as a read and then a write, not as one step: two callers win")
    jobs = store.collection("jobs")
    await jobs.insert({"id": "1", "owner": None})
    claims = (jobs.update({"id": "1", "owner": None}, Change(set={"owner": f"w{n}"})) for n in range(20))
    winners = [claim for claim in await asyncio.gather(*claims) if claim is not None]
    assert len(winners) == 1
    assert await jobs.get("1") == winners[0]


async def test_the_first_in_the_order_is_changed(store: Store) -> None:
    jobs = store.collection("jobs", indexes=[index("state", "priority")])
    await jobs.insert_many([{"id": str(n), "state": "new", "priority": n % 3} for n in range(6)])
    claimed = [await jobs.update({"state": "new"}, Change(set={"state": "run"}), sort=["-priority"]) for _ in range(7)]
    assert [each and each["id"] for each in claimed] == ["5", "2", "4", "1", "3", "0", None]


async def test_no_increment_is_lost_among_many(store: Store, is_ferretdb: bool) -> None:
    if is_ferretdb:
        pytest.skip("FerretDB 1.24 does findAndModify as a read and then a write, not as one step: $inc are lost")
    counters = store.collection("counters")
    await asyncio.gather(
        *(counters.increment(f"c{n % 3}", {"sum.tokens": n, "calls": 1}, on_insert={"tenant": "t"}) for n in range(90))
    )
    assert (await counters.find()).documents == [
        {"id": f"c{c}", "tenant": "t", "calls": 30, "sum": {"tokens": sum(range(c, 90, 3))}} for c in range(3)
    ]


async def test_increment_makes_the_document_it_needs(store: Store) -> None:
    counters = store.collection("counters")
    new = await counters.increment("a", {"n": 2, "by.day": 1.5}, on_insert={"tenant": "t", "a.b": {"$c": 1}})
    assert new == {"id": "a", "tenant": "t", "a.b": {"$c": 1}, "n": 2, "by": {"day": 1.5}}
    again = await counters.increment("a", {"n": -5, "by.day": 1}, on_insert={"tenant": "other"})
    assert again == {"id": "a", "tenant": "t", "a.b": {"$c": 1}, "n": -3, "by": {"day": 2.5}}
    assert await counters.increment("b", {"n": 1}) == {"id": "b", "n": 1}


async def test_integers_are_64_bits_wide_and_do_not_wrap(store: Store) -> None:
    counters = store.collection("counters")
    await counters.increment("a", {"n": 2**62})
    assert await counters.increment("a", {"n": 2**62 - 1}) == {"id": "a", "n": 2**63 - 1}
    with pytest.raises(InvalidChangeError):
        await counters.increment("a", {"n": 1})
    assert await counters.get("a") == {"id": "a", "n": 2**63 - 1}


@pytest.mark.parametrize(
    "change",
    [
        Change(increment={"text": 1}),
        Change(increment={"none": 1}),
        Change(increment={"flag": 1}),
        Change(increment={"list": 1}),
        Change(set={"text.a": 1}),
        Change(set={"none.a": 1}),
        Change(set={"list.a": 1}),
        Change(increment={"text.a": 1}),
    ],
    ids=repr,
)
async def test_a_change_that_does_not_fit_the_document_changes_nothing(store: Store, change: Change) -> None:
    things = store.collection("things")
    document = {"id": "1", "text": "x", "none": None, "flag": True, "list": [1]}
    await things.insert(document)
    with pytest.raises(InvalidChangeError):
        await things.update({"id": "1"}, change)
    assert await things.get("1") == document


@pytest.mark.parametrize(
    "change",
    [
        Change(),
        Change(set={"id": "2"}),
        Change(unset=["id"]),
        Change(set={"a": 1}, unset=["a"]),
        Change(set={"a": {}}, increment={"a.b": 1}),
        Change(increment={"a": True}),
        Change(increment={"a": "1"}),  # type: ignore[dict-item]
        Change(increment={"a": 2**63}),
        Change(increment={"a": float("inf")}),
        Change(set={"$a": 1}),
        Change(set={"a.0": 1}),
        Change(set={"_id": 1}),
        Change(unset=["a b"]),
        Change(set={"a": object()}),
        Change(set={"a": {"b": 2**63}}),
    ],
    ids=repr,
)
async def test_a_change_that_can_never_work_is_refused(store: Store, change: Change) -> None:
    things = store.collection("things")
    await things.insert({"id": "1"})
    with pytest.raises((InvalidChangeError, InvalidQueryError, InvalidDocumentError)):
        await things.update({"id": "1"}, change)
    assert await things.get("1") == {"id": "1"}


async def test_on_insert_and_amounts_may_not_overlap(store: Store) -> None:
    things = store.collection("things")
    overlapping: list[dict[str, Any]] = [{"n": 1}, {"a": {}}]
    for on_insert in overlapping:
        with pytest.raises(InvalidChangeError):
            await things.increment("1", {"n": 1, "a.b": 1}, on_insert=on_insert)


async def test_delete_removes_all_that_matches(store: Store) -> None:
    things = store.collection("things", indexes=[index("n")])
    await things.insert_many([{"id": str(n), "n": n} for n in range(10)])
    assert await things.delete({"n": Range(gte=5)}) == 5
    assert await things.delete({"id": In(["0", "1"]), "n": Not(0)}) == 1
    assert await things.delete({"id": "nobody"}) == 0
    assert [each["n"] for each in (await things.find()).documents] == [0, 2, 3, 4]
    with pytest.raises(InvalidQueryError):
        await things.delete({})


async def test_values_are_never_operators(store: Store) -> None:
    things = store.collection("things")
    tricky: dict[str, Any] = {"$set": {"x": 1}, "a.b": "$c"}
    await things.insert({"id": "1"})
    assert await things.update({"id": "1"}, Change(set={"v": tricky, "w": "$id"})) == {
        "id": "1",
        "v": tricky,
        "w": "$id",
    }
    assert [each["id"] for each in (await things.find({"w": "$id"})).documents] == ["1"]
