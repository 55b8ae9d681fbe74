"""No two documents share a unique key, and who tries is told which."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from omnix_store import (
    Change,
    DuplicateKeyError,
    InvalidChangeError,
    InvalidDocumentError,
    InvalidQueryError,
    Store,
    StoreConfigurationError,
    index,
    open_store,
    unique,
)

KEYS = [unique("attempt_id"), unique("tenant.id", "number"), index("tenant.id", "at")]


def entry(id: str, attempt: str, tenant: str = "t", number: int = 0) -> dict[str, Any]:
    return {"id": id, "attempt_id": attempt, "tenant": {"id": tenant}, "number": number}


async def test_the_key_that_is_taken_is_named(store: Store) -> None:
    ledger = store.collection("ledger", indexes=KEYS)
    await ledger.insert(entry("1", "a"))
    for document, key in [
        (entry("1", "b", "u"), ("id",)),
        (entry("2", "a", "u"), ("attempt_id",)),
        (entry("2", "b"), ("tenant.id", "number")),
    ]:
        with pytest.raises(DuplicateKeyError) as caught:
            await ledger.insert(document)
        assert (caught.value.collection, caught.value.key) == ("ledger", key)
    await ledger.insert(entry("2", "b", number=1))


async def test_of_many_concurrent_inserts_with_one_key_one_wins(store: Store) -> None:
    ledger = store.collection("ledger", indexes=KEYS)
    outcomes = await asyncio.gather(
        *(ledger.insert(entry(str(n), f"a{n % 10}", number=n)) for n in range(100)), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if outcome is not None]
    assert [type(each) for each in refused] == [DuplicateKeyError] * 90
    assert len((await ledger.find()).documents) == 10


async def test_an_update_into_a_taken_key_is_refused_and_changes_nothing(store: Store) -> None:
    ledger = store.collection("ledger", indexes=KEYS)
    await ledger.insert(entry("1", "a"))
    await ledger.insert(entry("2", "b", number=1))
    with pytest.raises(DuplicateKeyError) as caught:
        await ledger.update({"id": "2"}, Change(set={"attempt_id": "a", "note": "x"}))
    assert caught.value.key == ("attempt_id",)
    assert await ledger.get("2") == entry("2", "b", number=1)


async def test_an_upsert_into_a_taken_key_is_refused(store: Store) -> None:
    ledger = store.collection("ledger", indexes=KEYS)
    await ledger.insert(entry("1", "a"))
    with pytest.raises(DuplicateKeyError) as caught:
        await ledger.increment("2", {"count": 1}, on_insert=entry("2", "a", "u"))
    assert caught.value.key == ("attempt_id",)
    assert await ledger.get("2") is None


@pytest.mark.parametrize("value", [None, [1], {"a": 1}])
async def test_a_unique_field_must_be_there_and_be_a_single_value(store: Store, value: object) -> None:
    ledger = store.collection("ledger", indexes=KEYS)
    await ledger.insert(entry("1", "a"))
    with pytest.raises(InvalidDocumentError, match="attempt_id"):
        await ledger.insert({**entry("2", "b", number=1), "attempt_id": value})
    with pytest.raises(InvalidDocumentError, match="attempt_id"):
        await ledger.update({"id": "1"}, Change(set={"attempt_id": value}))
    with pytest.raises(InvalidDocumentError, match="attempt_id"):
        await ledger.update({"id": "1"}, Change(unset=["attempt_id"]))
    with pytest.raises(InvalidChangeError, match="tenant"):
        await ledger.update({"id": "1"}, Change(set={"tenant": {}}))


async def test_keys_of_different_kinds_are_different(store: Store) -> None:
    things = store.collection("things", indexes=[unique("k")])
    keys = [1, "1", True, b"1", datetime(2026, 1, 1, tzinfo=UTC), "true", 1.5]
    assert await things.insert_many([{"id": str(n), "k": key} for n, key in enumerate(keys)]) == [None] * len(keys)
    with pytest.raises(DuplicateKeyError):
        await things.insert({"id": "x", "k": 1.0})


async def test_declaring_again_is_harmless_and_more_indexes_may_come(store: Store, store_url: str) -> None:
    first = store.collection("ledger", indexes=KEYS)
    await first.insert(entry("1", "a"))
    async with open_store(store_url) as other:
        again = other.collection("ledger", indexes=[*KEYS, index("note"), unique("id", "note2")][:4])
        await other.check()
        assert await again.get("1") == entry("1", "a")
        with pytest.raises(DuplicateKeyError):
            await again.insert(entry("2", "a", number=1))


async def test_a_key_that_documents_share_cannot_be_made_unique(store: Store, store_url: str) -> None:
    await store.collection("things").insert_many([{"id": "1", "k": 1}, {"id": "2", "k": 1}])
    async with open_store(store_url) as other:
        things = other.collection("things", indexes=[unique("k")])
        with pytest.raises(StoreConfigurationError, match="things: a unique key cannot be made"):
            await things.get("1")


async def test_a_collection_is_declared_in_one_way(store: Store) -> None:
    things = store.collection("things", indexes=[unique("k")])
    assert store.collection("things", indexes=[unique("k")]) is things
    with pytest.raises(InvalidQueryError, match="declared twice"):
        store.collection("things")


@pytest.mark.parametrize("name", ["", "Things", "a-b", 'x"; DROP TABLE y', "sqlite_master", "system", "1a", "a" * 60])
async def test_collection_names_are_checked(store: Store, name: str) -> None:
    with pytest.raises(InvalidQueryError):
        store.collection(name)


@pytest.mark.parametrize("fields", [(), ("a", "a"), ("a b",), ("$a",), ("_id",), ("id.x",)])
async def test_index_fields_are_checked(store: Store, fields: tuple[str, ...]) -> None:
    with pytest.raises(InvalidQueryError):
        store.collection("things", indexes=[index(*fields)])
