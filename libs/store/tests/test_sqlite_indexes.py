"""Declared indexes serve the queries they were declared for: a search in order, no scan, no sorting."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from omnix_store import Range, Scalar, Where, index, unique
from omnix_store.port import CollectionSpec
from omnix_store.query import checked_sort, checked_where
from omnix_store.sqlite import sql

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SPEC = CollectionSpec("ledger", (unique("attempt_id"), index("tenant", "at"), index("at")), "expire_time")


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with sqlite3.connect(":memory:") as opened:
        for statement in sql.schema(SPEC):
            opened.execute(statement)
        yield opened


@pytest.mark.parametrize(
    ("where", "sort", "served_by"),
    [
        ({"id": "1"}, [], "sqlite_autoindex_ledger_1 (id=?)"),
        ({"attempt_id": "a"}, [], "ledger_unique_attempt_id (<expr>=?)"),
        ({"tenant": "t"}, ["-at"], "ledger_index_tenant_at (<expr>=?)"),
        ({"tenant": "t", "at": Range(gte=NOON)}, ["at"], "ledger_index_tenant_at (<expr>=? AND <expr>>?"),
        ({"tenant": "t", "at": Range(gte=NOON)}, ["-at"], "ledger_index_tenant_at (<expr>=? AND <expr>>?"),
        ({"at": Range(lt=NOON)}, ["-at"], "ledger_index_at (<expr>>? AND <expr><?)"),
        ({"tenant": "t", "at": NOON}, ["at"], "ledger_index_tenant_at (<expr>=? AND <expr>=?)"),
    ],
)
def test_a_query_searches_its_index(
    connection: sqlite3.Connection, where: Where, sort: list[str], served_by: str
) -> None:
    for segment in sql.segments(checked_where(where), checked_sort(sort), None):
        found = plan(connection, segment)
        assert served_by in found
        assert "TEMP B-TREE" not in found
        assert "SCAN" not in found


@pytest.mark.parametrize("sort", [["-at"], ["at"], ["-tenant", "-at"]])
def test_a_later_page_searches_its_index_too(connection: sqlite3.Connection, sort: list[str]) -> None:
    keys = checked_sort(sort)
    stands_at: dict[str, Scalar] = {"tenant": "t", "at": NOON, "id": "1"}
    values = [stands_at[key.path] for key in keys]
    for segment in sql.segments(checked_where({"tenant": "t"}), keys, values):
        found = plan(connection, segment)
        assert "ledger_index_tenant_at (<expr>=?" in found
        assert "TEMP B-TREE" not in found


def plan(connection: sqlite3.Connection, segment: sql.Segment) -> str:
    condition = sql.all_of(segment.condition, sql.unexpired(SPEC, NOON))
    statement = f"EXPLAIN QUERY PLAN SELECT doc FROM ledger WHERE {condition.text}{sql.order_by(segment.keys)} LIMIT 10"
    return " / ".join(row[3] for row in connection.execute(statement, condition.parameters))
