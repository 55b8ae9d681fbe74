"""What goes in comes out; what cannot be stored is refused by name."""

from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum, StrEnum
from typing import Any

import pytest
from omnix_store import DuplicateKeyError, InvalidDocumentError, Store, unique
from omnix_store.values import MAX_DEPTH, MAX_DOCUMENT_BYTES

NOON = datetime(2026, 11, 22, 12, 0, 0, 123000, tzinfo=UTC)

VALUES: dict[str, Any] = {
    "text": 'naïve 😀 \n\t" \\ \x7f',
    "text_with_nul": "a\x00b\x01c\x01\x01\x02",
    "text_like_json": '["a"]',
    "last_character": "\U0010ffff3 is no time",
    "empty": "",
    "zero": 0,
    "largest": 2**63 - 1,
    "smallest": -(2**63),
    "float": 0.1 + 0.2,
    "whole_float": 3.0,
    "huge": 1.7976931348623157e308,
    "true": True,
    "false": False,
    "none": None,
    "bytes": bytes(range(256)),
    "no_bytes": b"",
    "time": NOON,
    "first_time": datetime(1, 1, 1, tzinfo=UTC),
    "last_time": datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC),
    "list": [1, "a", None, True, b"x", NOON, {"k": [NOON]}],
    "nested": {"a": {"b": {"c": [{"d": 1}]}}, "e": {}, "l": []},
    "names": {"a.b": 1, "$c": {"$d.e": 2}, "": 3, "%2E": 4, "ü ö": 5, "a\nb": 6, "id": 7},
}


async def test_every_kind_of_value_comes_back_as_it_was(store: Store) -> None:
    things = store.collection("things")
    await things.insert({"id": "1", **VALUES})
    found = await things.get("1")
    assert found == {"id": "1", **VALUES}
    assert found is not None
    assert {name: type(value) for name, value in found.items()} == {
        "id": str,
        **{name: type(value) for name, value in VALUES.items()},
    }


async def test_an_unknown_id_is_none(store: Store) -> None:
    assert await store.collection("things").get("nobody") is None


async def test_lists_in_lists(store: Store, is_ferretdb: bool) -> None:
    if is_ferretdb:
        pytest.skip("FerretDB 1.24 refuses a list directly inside a list: 'nested arrays are not supported'")
    things = store.collection("things")
    await things.insert({"id": "1", "grid": [[1, 2], [], [[3]]]})
    assert await things.get("1") == {"id": "1", "grid": [[1, 2], [], [[3]]]}


async def test_times_are_utc_and_cut_to_the_millisecond(store: Store) -> None:
    things = store.collection("things")
    local = datetime(2026, 11, 22, 14, 0, 0, 123999, tzinfo=timezone(timedelta(hours=2)))
    await things.insert({"id": "1", "at": local})
    found = await things.get("1")
    assert found == {"id": "1", "at": NOON}
    assert found["at"].utcoffset() == timedelta(0)
    assert [each["id"] for each in (await things.find({"at": local})).documents] == ["1"]


async def test_subclasses_are_stored_as_what_they_extend(store: Store) -> None:
    class Colour(StrEnum):
        RED = "red"

    class Level(IntEnum):
        HIGH = 3

    things = store.collection("things")
    await things.insert({"id": "1", "colour": Colour.RED, "level": Level.HIGH, "pair": (1, 2)})
    assert await things.get("1") == {"id": "1", "colour": "red", "level": 3, "pair": [1, 2]}


async def test_the_document_given_is_not_changed_nor_kept(store: Store) -> None:
    things = store.collection("things")
    given: dict[str, Any] = {"id": "1", "tags": ["a"], "at": NOON}
    await things.insert(given)
    given["tags"].append("b")
    assert given == {"id": "1", "tags": ["a", "b"], "at": NOON}
    assert await things.get("1") == {"id": "1", "tags": ["a"], "at": NOON}


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"a": 1}, "id"),
        ({"id": ""}, "id"),
        ({"id": 7}, "id"),
        ({"id": "x" * 1001}, "id"),
        ({"id": "\ud800"}, "id"),
        ({"id": "1", "_id": 1}, "_id"),
        ({"id": "1", "a": {"b": [0, 2**63]}}, r"a\.b\[1\]: integer does not fit"),
        ({"id": "1", "a": -(2**63) - 1}, "a: integer does not fit"),
        ({"id": "1", "a": float("nan")}, "a: number is not finite"),
        ({"id": "1", "a": float("-inf")}, "a: number is not finite"),
        ({"id": "1", "a": datetime(2026, 1, 1)}, "a: a time must say its zone"),  # noqa: DTZ001
        ({"id": "1", "a": object()}, "a: object cannot be stored"),
        ({"id": "1", "a": {1: 2}}, "a: field names are texts"),
        ({"id": "1", "a": {1, 2}}, "a: set cannot be stored"),
        ({"id": "1", "a": "\ud800"}, "document: "),
        ({"id": "1", "a": {"\ud800": 1}}, "document: "),
        ({"id": "1", "a": "x" * MAX_DOCUMENT_BYTES}, "larger than"),
        ([("id", "1")], "a document is a mapping"),
    ],
)
async def test_what_cannot_be_stored_is_refused_by_name(store: Store, document: Any, says: str) -> None:
    things = store.collection("things")
    with pytest.raises(InvalidDocumentError, match=says):
        await things.insert(document)
    assert (await things.find()).documents == []


async def test_nesting_has_a_limit(store: Store) -> None:
    def nested(levels: int) -> dict[str, Any]:
        return {"a": nested(levels - 1)} if levels else {}

    things = store.collection("things")
    await things.insert({"id": "1", **nested(MAX_DEPTH - 1)})
    with pytest.raises(InvalidDocumentError, match="nested deeper"):
        await things.insert({"id": "2", **nested(MAX_DEPTH + 2)})
    with pytest.raises(InvalidDocumentError, match="nested deeper"):
        await things.insert({"id": "2", **nested(500)})


async def test_insert_many_names_each_duplicate_and_stores_the_rest(store: Store) -> None:
    things = store.collection("things", indexes=[unique("n")])
    await things.insert({"id": "x", "n": 1})
    outcome = await things.insert_many([{"id": str(n), "n": n % 4} for n in range(6)])
    assert [None if each is None else each.key for each in outcome] == [None, ("n",), None, None, ("n",), ("n",)]
    assert [each["id"] for each in (await things.find()).documents] == ["0", "2", "3", "x"]
    assert await things.insert_many([]) == []


async def test_insert_many_with_an_invalid_document_stores_none(store: Store) -> None:
    things = store.collection("things")
    with pytest.raises(InvalidDocumentError):
        await things.insert_many([{"id": "1"}, {"id": "2", "a": object()}])
    assert (await things.find()).documents == []


async def test_a_strange_id_is_only_an_id(store: Store) -> None:
    things = store.collection("things")
    for id in ('"; DROP TABLE things; --', "a\x00b", "\U0010ffff", "$where", "é"):
        await things.insert({"id": id})
        assert await things.get(id) == {"id": id}
        with pytest.raises(DuplicateKeyError):
            await things.insert({"id": id})
        assert await things.delete({"id": id}) == 1
