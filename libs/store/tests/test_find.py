"""Finding by conditions, in an order, page by page."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from omnix_store import (
    Collection,
    In,
    InvalidPageTokenError,
    InvalidQueryError,
    Not,
    Range,
    Store,
    Where,
    index,
)

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LATER = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)

ONE_OF_EACH: dict[str, Any] = {
    "none": None,
    "int": 5,
    "float": 5.5,
    "text": "five",
    "bracket": "[5]",
    "brace": '{"a": 5}',
    "last": "\U0010ffff",
    "nul": "\x00",
    "bytes": b"five",
    "false": False,
    "true": True,
    "time": NOON,
    "list": [5],
    "texts": ["five"],
    "mapping": {"a": 5},
}


@pytest.fixture
async def kinds(store: Store) -> Collection:
    collection = store.collection("kinds", indexes=[index("v")])
    await collection.insert_many([{"id": id, "v": value} for id, value in ONE_OF_EACH.items()])
    await collection.insert({"id": "missing"})
    return collection


async def ids(collection: Collection, where: Where | None, sort: Sequence[str] = ()) -> list[str]:
    return [document["id"] for document in (await collection.find(where, sort=sort)).documents]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (5, {"int"}),
        (5.0, {"int"}),
        ("five", {"text"}),
        ("[5]", {"bracket"}),
        ('{"a": 5}', {"brace"}),
        ('{"a":5}', set()),
        ("\U0010ffff", {"last"}),
        ("\x00", {"nul"}),
        (b"five", {"bytes"}),
        (True, {"true"}),
        (1, set()),
        (NOON, {"time"}),
        (None, {"none", "missing"}),
        (In([5, "five", None]), {"int", "text", "none", "missing"}),
        (In(["[5]", True]), {"bracket", "true"}),
        (In([]), set()),
        (Not(5), {*ONE_OF_EACH, "missing"} - {"int"}),
        (Not("[5]"), {*ONE_OF_EACH, "missing"} - {"bracket"}),
        (Not(None), set(ONE_OF_EACH) - {"none"}),
        (Range(gt=5), {"float"}),
        (Range(gte=5), {"int", "float"}),
        (Range(lt=100), {"int", "float"}),
        (Range(gte=5, lt=5.5), {"int"}),
        (Range(gte=""), {"text", "bracket", "brace", "last", "nul"}),
        (Range(gt="f", lt="g"), {"text"}),
        (Range(lte="["), {"nul"}),
        (Range(gt=b""), {"bytes"}),
        (Range(lt=b"fivea"), {"bytes"}),
        (Range(lt=b"z"), set()),
        (Range(gte=False), {"false", "true"}),
        (Range(gt=False), {"true"}),
        (Range(lt=LATER), {"time"}),
        (Range(gte=NOON, lt=LATER), {"time"}),
        (Range(gt=NOON), set()),
    ],
    ids=repr,
)
async def test_a_condition_matches_its_own_kind_only(kinds: Collection, condition: Any, expected: set[str]) -> None:
    assert set(await ids(kinds, {"v": condition})) == expected


async def test_all_conditions_must_hold(store: Store) -> None:
    things = store.collection("things", indexes=[index("a.b", "c")])
    await things.insert_many([{"id": f"{b}{c}", "a": {"b": b}, "c": c} for b in range(3) for c in range(3)])
    assert await ids(things, {"a.b": 1, "c": Range(gte=1)}) == ["11", "12"]
    assert await ids(things, {"id": In(["00", "11", "99"]), "c": 1}) == ["11"]
    assert await ids(things, {"id": Range(gt="20")}) == ["21", "22"]
    assert await ids(things, {"id": 11}) == []


async def test_a_path_does_not_enter_lists(store: Store) -> None:
    things = store.collection("things")
    await things.insert({"id": "list", "a": [{"b": 1}]})
    await things.insert({"id": "mapping", "a": {"b": 1}})
    assert await ids(things, {"a.b": 1}) == ["mapping"]
    assert await ids(things, {"a.b": Range(gte=0)}) == ["mapping"]
    assert await ids(things, {"a.b": Not(1)}) == ["list"]


async def test_the_order_of_kinds(store: Store) -> None:
    things = store.collection("things", indexes=[index("v")])
    ordered: list[Any] = [
        None, -(2**63), -1.5, 0, 0.5, 2**63 - 1, "", "\x00", "\x01", "A", "a", "é", "😀", "\U0010ffff", "\U0010ffffa",
        b"", b"\xff", b"aa", False, True, NOON, LATER,
    ]  # fmt: skip
    places = [(place * 7) % len(ordered) for place in range(len(ordered))]
    await things.insert_many([{"id": f"{place:02}", "v": ordered[place]} for place in places])
    expected = [f"{place:02}" for place in range(len(ordered))]
    assert await ids(things, None, ["v"]) == expected
    assert await ids(things, None, ["-v"]) == expected[::-1]
    for sort, whole in ((["v"], expected), (["-v"], expected[::-1])):
        assert await paged(things, sort, 1) == whole


async def paged(collection: Collection, sort: Sequence[str], limit: int) -> list[str]:
    found: list[str] = []
    token = None
    for _ in range(1000):
        page = await collection.find(sort=sort, limit=limit, page_token=token)
        found += [document["id"] for document in page.documents]
        token = page.next_page_token
        if token is None:
            return found
    raise AssertionError("the pages do not end")


@pytest.mark.parametrize("sort", [["a", "b"], ["-a", "b"], ["a", "-b"], ["-a", "-b"], [], ["-id"], ["b", "-id"]])
async def test_pages_hold_everything_once_and_in_order(store: Store, sort: list[str]) -> None:
    things = store.collection("things", indexes=[index("a", "b")])
    await things.insert_many([{"id": f"{n:02}", "a": n % 3 or None, "b": (n * 5) % 4} for n in range(25)])
    whole = await ids(things, None, sort)
    assert sorted(whole) == [f"{n:02}" for n in range(25)]
    for limit in (1, 4, 25):
        assert await paged(things, sort, limit) == whole


async def test_a_page_goes_on_where_the_last_one_ended_though_documents_come_and_go(store: Store) -> None:
    things = store.collection("things", indexes=[index("n")])
    await things.insert_many([{"id": f"{n:02}", "n": n} for n in range(0, 20, 2)])
    first = await things.find(sort=["n"], limit=3)
    assert [each["n"] for each in first.documents] == [0, 2, 4]
    await things.insert({"id": "01", "n": 1})
    await things.insert({"id": "05", "n": 5})
    await things.delete({"n": 4})
    second = await things.find(sort=["n"], limit=3, page_token=first.next_page_token)
    assert [each["n"] for each in second.documents] == [5, 6, 8]


async def test_the_last_page_has_no_token(store: Store) -> None:
    things = store.collection("things")
    assert (await things.find()).next_page_token is None
    await things.insert_many([{"id": str(n)} for n in range(4)])
    page = await things.find(limit=2)
    assert page.next_page_token is not None
    assert (await things.find(limit=2, page_token=page.next_page_token)).next_page_token is None


async def test_a_bad_page_token_is_a_clear_error(store: Store) -> None:
    things = store.collection("things")
    await things.insert_many([{"id": str(n), "a": n, "t": NOON, "b": b"x"} for n in range(4)])
    token = (await things.find(sort=["a", "t", "b"], limit=2)).next_page_token
    assert token is not None
    page = await things.find(sort=["a", "t", "b"], limit=2, page_token=token)
    assert [each["id"] for each in page.documents] == ["2", "3"]
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    altered = [
        raw.replace(b'["t","2026-11-22T12', b'["t","2026-11-99T12'),
        raw.replace(b'["t","', b'["z","'),
        raw.replace(b'["b","78"]', b'["b","7"]'),
        raw.replace(b'["",1]', b'["",99999999999999999999]'),
        raw.replace(b'["",1]', b'["",[1]]'),
        raw[:-3],
        b"[" * 5000,
    ]
    assert raw not in altered
    bad = ["", "x", "é", "!!!!", "A" * 20_000, token[:-4], token + "AAAA"]
    bad += [base64.urlsafe_b64encode(each).decode().rstrip("=") for each in altered]
    for each in bad:
        with pytest.raises(InvalidPageTokenError):
            await things.find(sort=["a", "t", "b"], page_token=each)
    with pytest.raises(InvalidPageTokenError, match="another query"):
        await things.find(sort=["-a", "t", "b"], page_token=token)
    with pytest.raises(InvalidPageTokenError, match="another query"):
        await store.collection("others").find(sort=["a", "t", "b"], page_token=token)


@pytest.mark.parametrize("value", [[1], {"a": 1}])
async def test_a_field_that_holds_more_than_one_value_cannot_be_sorted_by(store: Store, value: object) -> None:
    things = store.collection("things")
    await things.insert({"id": "1", "v": value})
    with pytest.raises(InvalidQueryError, match="cannot sort by v"):
        await things.find(sort=["v"])


@pytest.mark.parametrize(
    "path", ["", "a.", ".a", "a..b", "$a", "a.$b", "a b", "a'b", 'a"b', "a)--", "_id", "id.x", "a.0", "a" * 65, "é"]
)
async def test_field_names_are_checked_everywhere(store: Store, path: str) -> None:
    things = store.collection("things")
    for call in (things.find({path: 1}), things.find(sort=[path]), things.delete({path: 1})):
        with pytest.raises(InvalidQueryError):
            await call


BAD_OPERANDS: list[Any] = [
    [1],
    {"$gt": 1},
    object(),
    2**63,
    float("nan"),
    "\ud800",
    datetime(2026, 1, 1),  # noqa: DTZ001
    Range(),
    Range(gt=1, lt="a"),
    Range(gt=1, gte=2),
    In("abc"),
    In([[1]]),  # type: ignore[list-item]
    In([1] * 1001),
]


@pytest.mark.parametrize("value", BAD_OPERANDS)
async def test_operands_are_checked(store: Store, value: Any) -> None:
    with pytest.raises(InvalidQueryError):
        await store.collection("things").find({"a": value})


@pytest.mark.parametrize("limit", [0, -1, 1001])
async def test_limits_are_checked(store: Store, limit: int) -> None:
    with pytest.raises(InvalidQueryError):
        await store.collection("things").find(limit=limit)


async def test_a_sort_is_checked(store: Store) -> None:
    things = store.collection("things")
    for sort in ("name", ["a", "-a"]):
        with pytest.raises(InvalidQueryError):
            await things.find(sort=sort)
