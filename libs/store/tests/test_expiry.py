"""A document whose time has come is gone for every operation."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from omnix_store import (
    Change,
    Collection,
    DuplicateKeyError,
    InvalidChangeError,
    InvalidDocumentError,
    Store,
    Totals,
    index,
    open_store,
    unique,
)

HOUR = timedelta(hours=1)


@pytest.fixture
def leases(store: Store) -> Collection:
    return store.collection("leases", indexes=[unique("slot"), index("n")], expire_field="expire_time")


async def test_an_expired_document_is_absent_everywhere(leases: Collection, clock: Any) -> None:
    await leases.insert({"id": "1", "slot": "a", "n": 1, "expire_time": clock.now + HOUR})
    await leases.insert({"id": "2", "slot": "b", "n": 1, "expire_time": None})
    await leases.insert({"id": "3", "slot": "c", "n": 1})
    assert [each["id"] for each in (await leases.find({"n": 1})).documents] == ["1", "2", "3"]
    clock.advance(HOUR)
    assert await leases.get("1") is None
    assert [each["id"] for each in (await leases.find({"n": 1}, sort=["slot"])).documents] == ["2", "3"]
    assert await leases.update({"id": "1"}, Change(set={"n": 2})) is None
    assert [each.count for each in await leases.totals(Totals())] == [2]
    assert await leases.delete({"n": 1}) == 2


async def test_its_keys_are_free_again(leases: Collection, clock: Any) -> None:
    await leases.insert({"id": "1", "slot": "a", "expire_time": clock.now + HOUR})
    clock.advance(HOUR)
    await leases.insert({"id": "2", "slot": "a", "expire_time": clock.now + HOUR})
    with pytest.raises(DuplicateKeyError):
        await leases.insert({"id": "1", "slot": "a"})
    clock.advance(HOUR)
    assert await leases.insert_many([{"id": "2", "slot": "a"}, {"id": "3", "slot": "b"}]) == [None, None]


async def test_a_change_may_take_its_keys(leases: Collection, clock: Any) -> None:
    await leases.insert({"id": "1", "slot": "a", "expire_time": clock.now + HOUR})
    await leases.insert({"id": "2", "slot": "b"})
    clock.advance(HOUR)
    assert await leases.update({"id": "2"}, Change(set={"slot": "a"})) == {"id": "2", "slot": "a"}


async def test_an_increment_begins_anew(store: Store, clock: Any) -> None:
    windows = store.collection("windows", expire_field="expire_time")
    for expected in (1, 2):
        counted = await windows.increment("k", {"n": 1}, on_insert={"expire_time": clock.now + HOUR})
        assert counted["n"] == expected
    clock.advance(HOUR)
    counted = await windows.increment("k", {"n": 1}, on_insert={"expire_time": clock.now + HOUR})
    assert counted == {"id": "k", "n": 1, "expire_time": clock.now + HOUR}


async def test_a_lease_that_is_prolonged_lives_on(leases: Collection, clock: Any) -> None:
    await leases.insert({"id": "1", "slot": "a", "expire_time": clock.now + HOUR})
    await leases.update({"id": "1"}, Change(set={"expire_time": clock.now + 2 * HOUR}))
    clock.advance(HOUR)
    assert await leases.get("1") is not None
    await leases.update({"id": "1"}, Change(unset=["expire_time"]))
    clock.advance(100 * HOUR)
    assert await leases.get("1") == {"id": "1", "slot": "a"}


async def test_purging_frees_what_has_expired_and_nothing_else(leases: Collection, clock: Any) -> None:
    documents = [{"id": str(n), "slot": n, "expire_time": clock.now + (n % 2 + 1) * HOUR} for n in range(900)]
    await leases.insert_many(documents)
    assert await leases.purge_expired() == 0
    clock.advance(HOUR)
    assert await leases.purge_expired() == 450
    assert await leases.purge_expired() == 0
    assert [each.count for each in await leases.totals(Totals())] == [450]


async def test_the_store_purges_by_itself(store_url: str, clock: Any) -> None:
    async with open_store(store_url, clock=clock) as first:
        leases = first.collection("leases", expire_field="expire_time")
        await leases.insert({"id": "1", "expire_time": clock.now + HOUR})
        await leases.insert({"id": "2", "expire_time": clock.now + 3 * HOUR})
    clock.advance(2 * HOUR)
    async with (
        open_store(store_url, clock=clock) as watching,
        open_store(store_url, clock=clock, sweep_every=timedelta(milliseconds=10)) as sweeping,
    ):
        everything = watching.collection("leases")
        sweeping.collection("leases", expire_field="expire_time")
        async with asyncio.timeout(20):
            remaining = None
            while remaining != ["2"]:
                remaining = [each["id"] for each in (await everything.find()).documents]


@pytest.mark.parametrize("value", ["tomorrow", 1, True, []])
async def test_an_expiry_that_is_no_time_is_refused(leases: Collection, value: object) -> None:
    with pytest.raises(InvalidDocumentError, match="expire_time"):
        await leases.insert({"id": "1", "slot": "a", "expire_time": value})
    with pytest.raises(InvalidDocumentError, match="expire_time"):
        await leases.update({"id": "1"}, Change(set={"expire_time": value}))
    with pytest.raises(InvalidChangeError, match="expire_time"):
        await leases.update({"id": "1"}, Change(increment={"expire_time": 1}))
