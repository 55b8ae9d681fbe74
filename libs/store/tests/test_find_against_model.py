"""Both implementations against a third one: a list of documents and Python's own sorting."""

import operator
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omnix_store import In, Not, Range, Store, index

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([-(2**63), 2**63 - 1, 2**53 + 1]),
    st.floats(-3, 3, allow_subnormal=False).map(lambda value: value + 0.0),
    st.text(st.sampled_from("ab[{é\x00\x01\U0010ffff😀\n"), max_size=3),
    st.binary(max_size=2),
    st.integers(-3, 3).map(lambda hours: EPOCH + timedelta(hours=hours)),
)
present = scalars.filter(lambda value: value is not None)
nested = st.fixed_dictionaries({}, optional={"c": scalars})
documents = st.lists(st.fixed_dictionaries({}, optional={"a": scalars, "b": scalars, "n": nested}), max_size=12)
conditions = st.one_of(
    scalars,
    scalars.map(Not),
    st.lists(scalars, max_size=3).map(In),
    present.map(lambda value: Range(gte=value)),
    present.map(lambda value: Range(gt=value)),
    present.map(lambda value: Range(lt=value)),
    present.map(lambda value: Range(lte=value)),
)
paths = st.sampled_from(["a", "b", "n.c", "absent"])
queries = st.dictionaries(paths, conditions, max_size=2)
sorts = st.lists(st.tuples(st.sampled_from(["", "-"]), paths), max_size=2, unique_by=lambda key: key[1]).map(
    lambda keys: [sign + path for sign, path in keys]
)


def value_at(document: dict[str, Any], path: str) -> Any:
    if path == "n.c":
        return document.get("n", {}).get("c")
    return document.get(path)


def rank(value: Any) -> tuple[Any, ...]:
    if value is None:
        return (0,)
    if isinstance(value, bool):
        return (4, value)
    if isinstance(value, int | float):
        return (1, value)
    if isinstance(value, str):
        return (2, value.encode())
    return (3, len(value), value) if isinstance(value, bytes) else (5, value)


def matches(value: Any, condition: Any) -> bool:
    if isinstance(condition, Not):
        return rank(value) != rank(condition.value)
    if isinstance(condition, In):
        return any(rank(value) == rank(each) for each in condition.values)
    if not isinstance(condition, Range):
        return rank(value) == rank(condition)
    mine = rank(value)
    bounds: list[tuple[Any, Callable[[Any, Any], bool]]] = [
        (condition.gt, operator.gt),
        (condition.gte, operator.ge),
        (condition.lt, operator.lt),
        (condition.lte, operator.le),
    ]
    return all(rank(bound)[0] == mine[0] and holds(mine, rank(bound)) for bound, holds in bounds if bound is not None)


def expected(stored: list[dict[str, Any]], where: dict[str, Any], sort: Sequence[str]) -> list[str]:
    found = [
        document
        for document in stored
        if all(matches(value_at(document, path), condition) for path, condition in where.items())
    ]
    descending = bool(sort) and sort[-1].startswith("-")
    found.sort(key=lambda document: document["id"], reverse=descending)
    for key in reversed(sort):
        path = key.removeprefix("-")
        found.sort(key=lambda document: rank(value_at(document, path)), reverse=key.startswith("-"))
    return [document["id"] for document in found]


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(documents=documents, where=queries, sort=sorts, limit=st.integers(1, 13), indexed=st.booleans())
async def test_find_answers_as_the_model_does(
    store: Store, documents: list[dict[str, Any]], where: dict[str, Any], sort: list[str], limit: int, indexed: bool
) -> None:
    stored = [{"id": f"{n:02}", **document} for n, document in enumerate(documents)]
    indexes = [index("a", "b"), index("n.c")] if indexed else []
    collection = store.collection(f"c{uuid.uuid4().hex}", indexes=indexes)
    await collection.insert_many(stored)
    found: list[dict[str, Any]] = []
    token = None
    for _ in range(len(stored) + 1):
        page = await collection.find(where, sort=sort, limit=limit, page_token=token)
        found += page.documents
        token = page.next_page_token
        if token is None:
            break
    assert [document["id"] for document in found] == expected(stored, where, sort)
    assert all(document == stored[int(document["id"])] for document in found)
