"""A collection as a table of JSON documents."""

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from omnix_store.change import changed, check_change, check_on_insert
from omnix_store.documents import check_document, check_id, checked_many
from omnix_store.errors import DuplicateKeyError, InvalidQueryError, StoreConfigurationError
from omnix_store.pages import page_of, read_page_token
from omnix_store.port import Change, CollectionSpec, Page, Total, Totals
from omnix_store.query import Conditions, Is, SortKey, Where, checked_limit, checked_sort, checked_where
from omnix_store.sqlite import sql
from omnix_store.sqlite.encoding import decoded, decoded_lines, decoded_scalar, encoded, encoded_text
from omnix_store.sqlite.jobs import Desk
from omnix_store.totals import MAX_GROUPS, Partial, added, check_group_count, checked_totals
from omnix_store.values import Document, at_path

_PURGE_AT_ONCE = 500

_Connection = sqlite3.Connection


class SqliteCollection:
    """See ``omnix_store.port.Collection``."""

    def __init__(self, spec: CollectionSpec, *, writes: Desk, reads: Desk, clock: Callable[[], datetime]) -> None:
        self.spec = spec
        self._table = f'"{spec.name}"'
        self._writes = writes
        self._reads = reads
        self._clock = clock
        self._made = False
        self._making = asyncio.Lock()

    async def make(self) -> None:
        """Make the table and its indexes, once."""
        if self._made:
            return
        async with self._making:
            if not self._made:
                await self._writes.do(self._make)
                self._made = True

    async def insert(self, document: Mapping[str, Any]) -> None:
        id = check_document(self.spec, document)
        raw = encoded(document)
        if not self._made:
            await self.make()
        await self._writes.insert(
            self.spec.name, encoded_text(id), raw, lambda connection: self._insert(connection, id, raw)
        )

    async def insert_many(self, documents: Sequence[Mapping[str, Any]]) -> list[DuplicateKeyError | None]:
        rows = [(check_document(self.spec, document), encoded(document)) for document in checked_many(documents)]
        await self.make()
        return await self._writes.do(lambda connection: [self._insert_if_new(connection, *row) for row in rows])

    async def get(self, id: str) -> Document | None:
        conditions = (("id", Is(check_id(id))),)
        await self.make()
        found = await self._reads.do(lambda connection: self._first(connection, conditions, ()))
        return None if found is None else found[1]

    async def find(
        self,
        where: Where | None = None,
        *,
        sort: Sequence[str] = (),
        limit: int = 100,
        page_token: str | None = None,
    ) -> Page:
        conditions, keys, limit = checked_where(where), checked_sort(sort), checked_limit(limit)
        after = None if page_token is None else read_page_token(self.spec.name, keys, page_token)
        segments = sql.segments(conditions, keys, after)
        await self.make()
        documents = await self._reads.do(lambda connection: self._find(connection, segments, limit + 1))
        return page_of(self.spec.name, keys, documents, limit)

    async def update(self, where: Where, change: Change, *, sort: Sequence[str] = ()) -> Document | None:
        conditions, keys = checked_where(where), checked_sort(sort)
        check_change(self.spec, change)
        encoded(change.set)
        await self.make()
        return await self._writes.do(lambda connection: self._update(connection, conditions, keys, change))

    async def increment(
        self, id: str, amounts: Mapping[str, int | float], *, on_insert: Mapping[str, Any] | None = None
    ) -> Document:
        change = Change(increment=amounts)
        check_change(self.spec, change)
        new = decoded(encoded(check_on_insert(self.spec, id, amounts, on_insert)))
        await self.make()
        return await self._writes.do(lambda connection: self._increment(connection, new, change))

    async def delete(self, where: Where) -> int:
        if not where:
            raise InvalidQueryError("delete needs a condition")
        condition = self._condition(checked_where(where))
        await self.make()
        return await self._writes.do(
            lambda connection: (
                connection.execute(
                    f"DELETE FROM {self._table} WHERE {condition.text}",  # noqa: S608 - see sqlite/sql.py
                    condition.parameters,
                ).rowcount
            )
        )

    async def totals(self, totals: Totals, where: Where | None = None) -> list[Total]:
        asked, condition = checked_totals(totals), self._condition(checked_where(where))
        statement = sql.totals(self.spec, asked, condition, MAX_GROUPS + 1)
        await self.make()
        rows = await self._reads.do(
            lambda connection: connection.execute(statement.text, statement.parameters).fetchall()
        )
        check_group_count(len(rows))
        return added(asked, (_partial(asked, row) for row in rows))

    async def purge_expired(self) -> int:
        if self.spec.expire_field is None:
            return 0
        await self.make()
        purged = 0
        while (count := await self._writes.do(self._purge)) > 0:
            purged += count
        return purged

    def _make(self, connection: _Connection) -> None:
        for statement in sql.schema(self.spec):
            try:
                connection.execute(statement)
            except sqlite3.IntegrityError as exc:
                raise StoreConfigurationError(
                    f"{self.spec.name}: a unique key cannot be made, because documents that are there share it"
                ) from exc

    def _condition(self, conditions: Conditions, *more: sql.Sql) -> sql.Sql:
        return sql.all_of(sql.where(conditions), *more, sql.unexpired(self.spec, self._clock()))

    def _insert(self, connection: _Connection, id: str, raw: str) -> None:
        statement = f"INSERT INTO {self._table} (id, doc) VALUES (?, ?)"  # noqa: S608 - see sqlite/sql.py
        try:
            connection.execute(statement, (encoded_text(id), raw))
        except sqlite3.IntegrityError as exc:
            if self._purge(connection) == 0:
                raise self._duplicate(connection, decoded(raw)) from exc
            self._insert(connection, id, raw)

    def _insert_if_new(self, connection: _Connection, id: str, raw: str) -> DuplicateKeyError | None:
        try:
            self._insert(connection, id, raw)
        except DuplicateKeyError as exc:
            return exc
        return None

    def _first(
        self, connection: _Connection, conditions: Conditions, keys: Sequence[SortKey]
    ) -> tuple[int, Document] | None:
        condition = self._condition(conditions)
        order = sql.order_by(keys)
        row = connection.execute(
            f"SELECT seq, doc FROM {self._table} WHERE {condition.text}{order} LIMIT 1",  # noqa: S608
            condition.parameters,
        ).fetchone()
        return None if row is None else (row[0], decoded(row[1]))

    def _find(self, connection: _Connection, segments: Sequence[sql.Segment], limit: int) -> list[Document]:
        """Read all documents as one row of lines: fetching row by row takes the interpreter's lock for each."""
        documents: list[Document] = []
        unexpired = sql.unexpired(self.spec, self._clock())
        for segment in segments:
            condition = sql.all_of(segment.condition, unexpired)
            [lines] = connection.execute(
                f"SELECT group_concat(doc, char(10)) FROM (SELECT doc FROM {self._table} "  # noqa: S608
                f"WHERE {condition.text}{sql.order_by(segment.keys)} LIMIT ?)",
                (*condition.parameters, limit - len(documents)),
            ).fetchone()
            if lines is not None:
                documents += decoded_lines(lines)
            if len(documents) >= limit:
                break
        return documents

    def _update(
        self, connection: _Connection, conditions: Conditions, keys: Sequence[SortKey], change: Change
    ) -> Document | None:
        found = self._first(connection, conditions, keys)
        if found is None:
            return None
        seq, document = found
        return self._replace(connection, seq, changed(document, change))

    def _increment(self, connection: _Connection, new: Document, change: Change) -> Document:
        found = self._first(connection, (("id", Is(new["id"])),), ())
        if found is not None:
            return self._replace(connection, found[0], changed(found[1], change))
        raw = encoded(changed(new, change))
        self._insert(connection, new["id"], raw)
        return decoded(raw)

    def _replace(self, connection: _Connection, seq: int, document: Document) -> Document:
        check_document(self.spec, document)
        raw = encoded(document)
        try:
            connection.execute(f"UPDATE {self._table} SET doc = ? WHERE seq = ?", (raw, seq))  # noqa: S608
        except sqlite3.IntegrityError as exc:
            if self._purge(connection) == 0:
                raise self._duplicate(connection, document) from exc
            return self._replace(connection, seq, document)
        return decoded(raw)

    def _purge(self, connection: _Connection) -> int:
        """Delete some expired documents and return how many."""
        if self.spec.expire_field is None:
            return 0
        gone = sql.expired(self.spec.expire_field, self._clock())
        return connection.execute(
            f"DELETE FROM {self._table} WHERE seq IN "  # noqa: S608
            f"(SELECT seq FROM {self._table} WHERE {gone.text} LIMIT {_PURGE_AT_ONCE})",
            gone.parameters,
        ).rowcount

    def _duplicate(self, connection: _Connection, document: Document) -> DuplicateKeyError:
        """Find out, in the same transaction, which unique key another document has taken."""
        for key in self.spec.unique_keys:
            taken = sql.where(tuple((path, Is(at_path(document, path))) for path in key))
            row = connection.execute(
                f"SELECT 1 FROM {self._table} WHERE {taken.text} AND id <> ?",  # noqa: S608
                (*taken.parameters, encoded_text(document["id"])),
            ).fetchone()
            if row is not None:
                return DuplicateKeyError(self.spec.name, key)
        return DuplicateKeyError(self.spec.name, ("id",))


def _partial(asked: Totals, row: tuple[Any, ...]) -> Partial:
    bucket, *rest, composite = row
    if composite:
        raise InvalidQueryError("cannot total by a field that holds a list or a mapping")
    values = iter(rest)

    def take(paths: Sequence[str]) -> tuple[Any, ...]:
        return tuple(decoded_scalar(next(values)) for _ in paths)

    return Partial(
        group=take(asked.group_by),
        bucket=None if bucket is None else _bucket_start(bucket),
        count=next(values),
        sum=take(asked.sum),
        maximum=take(asked.maximum),
        minimum=take(asked.minimum),
    )


def _bucket_start(text: str) -> datetime:
    return datetime.fromisoformat(text + "0001-01-01T00:00"[len(text) :]).replace(tzinfo=UTC)
