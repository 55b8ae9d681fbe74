"""A collection of a MongoDB database, changed one document at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from pymongo import ASCENDING, ReturnDocument, errors
from pymongo.asynchronous.collection import AsyncCollection

from omnix_store.change import changed, check_change, check_on_insert
from omnix_store.documents import check_document, check_id, checked_many
from omnix_store.errors import DuplicateKeyError, InvalidQueryError, StoreConfigurationError
from omnix_store.mongodb import filters
from omnix_store.mongodb.door import Door
from omnix_store.mongodb.encoding import decoded, encoded, encoded_changes
from omnix_store.mongodb.errors import is_not_implemented, translated_change
from omnix_store.mongodb.pipeline import partial_of_group, totals_pipeline
from omnix_store.mongodb.uniqueness import may_be_duplicate, taken_key, written
from omnix_store.pages import page_of, read_page_token
from omnix_store.port import Change, CollectionSpec, Page, Total, Totals
from omnix_store.query import Where, checked_limit, checked_sort, checked_where
from omnix_store.totals import MAX_GROUPS, Adding, added, check_group_count, checked_totals, partial_of, paths_of
from omnix_store.values import Document

_Raw: TypeAlias = dict[str, Any]


class MongodbCollection:
    """See ``omnix_store.port.Collection``."""

    def __init__(
        self,
        spec: CollectionSpec,
        collection: AsyncCollection[_Raw],
        *,
        door: Door,
        clock: Callable[[], datetime],
        server_groups: Callable[[], Awaitable[bool]],
    ) -> None:
        self.spec = spec
        self._collection = collection
        self._door = door
        self._clock = clock
        self._server_groups = server_groups
        self._made = False
        self._making = asyncio.Lock()

    async def make(self) -> None:
        """Make the indexes, once; the server makes the collection by itself."""
        if self._made:
            return
        async with self._making:
            if not self._made:
                with self._door.operation():
                    await self._make()
                self._made = True

    async def insert(self, document: Mapping[str, Any]) -> None:
        check_document(self.spec, document)
        raw = encoded(document)
        await self.make()
        with self._door.operation():
            await self._insert(decoded(raw), raw)

    async def insert_many(self, documents: Sequence[Mapping[str, Any]]) -> list[DuplicateKeyError | None]:
        for document in checked_many(documents):
            check_document(self.spec, document)
        raws = [encoded(document) for document in documents]
        refused: list[DuplicateKeyError | None] = [None] * len(raws)
        await self.make()
        with self._door.operation():
            for at in await self._not_inserted(raws):
                try:
                    await self._insert(decoded(raws[at]), raws[at])
                except DuplicateKeyError as exc:
                    refused[at] = exc
        return refused

    async def get(self, id: str) -> Document | None:
        check_id(id)
        await self.make()
        with self._door.operation():
            found = await self._collection.find_one({"_id": id, **self._unexpired()})
        return None if found is None else decoded(found)

    async def find(
        self,
        where: Where | None = None,
        *,
        sort: Sequence[str] = (),
        limit: int = 100,
        page_token: str | None = None,
    ) -> Page:
        condition, keys, limit = self._condition(where), checked_sort(sort), checked_limit(limit)
        if page_token is not None:
            condition = filters.all_of(
                condition, filters.after(keys, read_page_token(self.spec.name, keys, page_token))
            )
        await self.make()
        with self._door.operation():
            found = await self._collection.find(condition, sort=filters.order(keys), limit=limit + 1).to_list()
        return page_of(self.spec.name, keys, [decoded(document) for document in found], limit)

    async def update(self, where: Where, change: Change, *, sort: Sequence[str] = ()) -> Document | None:
        condition, keys = self._condition(where), checked_sort(sort)
        check_change(self.spec, change)
        raw, order = _update(change), filters.order(keys)

        async def write() -> _Raw | None:
            return await self._change(condition, raw, sort=order)

        async def taken() -> DuplicateKeyError | None:
            found = await self._collection.find_one(condition, sort=order)
            if found is None:
                return None
            return await taken_key(self.spec, self._collection, changed(decoded(found), change), or_id=False)

        await self.make()
        with self._door.operation():
            found = await written(write, purge=self._purge, taken=taken)
        return None if found is None else decoded(found)

    async def increment(
        self, id: str, amounts: Mapping[str, int | float], *, on_insert: Mapping[str, Any] | None = None
    ) -> Document:
        change = Change(increment=amounts)
        check_change(self.spec, change)
        new = check_on_insert(self.spec, id, amounts, on_insert)
        raw = encoded(new)
        on_insert_raw = {name: value for name, value in raw.items() if name != "_id"}
        operators = _update(change) | ({"$setOnInsert": on_insert_raw} if on_insert_raw else {})

        async def write() -> _Raw | None:
            return await self._change({"_id": id, **self._unexpired()}, operators, upsert=True)

        async def taken() -> DuplicateKeyError | None:
            return await taken_key(self.spec, self._collection, new, or_id=False)

        await self.make()
        with self._door.operation():
            found = await written(write, purge=self._purge, taken=taken)
        return decoded(found or {})

    async def delete(self, where: Where) -> int:
        if not where:
            raise InvalidQueryError("delete needs a condition")
        condition = self._condition(where)
        await self.make()
        with self._door.operation():
            return (await self._collection.delete_many(condition)).deleted_count

    async def totals(self, totals: Totals, where: Where | None = None) -> list[Total]:
        asked, condition = checked_totals(totals), self._condition(where)
        await self.make()
        with self._door.operation():
            if not await self._server_groups():
                return await self._added_here(asked, condition)
            try:
                return await self._added_there(asked, condition)
            except errors.OperationFailure as exc:
                if not is_not_implemented(exc):
                    raise
                return await self._added_here(asked, condition)

    async def purge_expired(self) -> int:
        await self.make()
        with self._door.operation():
            return await self._purge()

    async def _make(self) -> None:
        declared = [(each.fields, each.unique) for each in self.spec.indexes]
        if self.spec.expire_field is not None:
            declared.append(((self.spec.expire_field,), False))
        for fields, is_unique in declared:
            names = [filters.field(path) for path in fields]
            if not is_unique and "_id" not in names:
                names.append("_id")  # as every sort does
            name = "_".join(("unique" if is_unique else "index", *(path.replace(".", "_") for path in fields)))
            try:
                await self._collection.create_index([(each, ASCENDING) for each in names], name=name, unique=is_unique)
            except errors.OperationFailure as exc:
                if not is_unique or not may_be_duplicate(exc):
                    raise
                raise StoreConfigurationError(
                    f"{self.spec.name}: a unique key cannot be made, because documents that are there share it"
                ) from exc

    def _unexpired(self) -> filters.Filter:
        return filters.unexpired(self.spec, self._clock())

    def _condition(self, where: Where | None) -> filters.Filter:
        return filters.all_of(filters.where(checked_where(where)), self._unexpired())

    async def _insert(self, document: Document, raw: _Raw) -> None:
        await written(
            lambda: self._collection.insert_one(raw),
            purge=self._purge,
            taken=lambda: taken_key(self.spec, self._collection, document, or_id=True),
        )

    async def _not_inserted(self, raws: list[_Raw]) -> list[int]:
        """Insert at once what can be and return the places of what was a duplicate."""
        if not raws:
            return []
        try:
            await self._collection.insert_many(raws, ordered=False)
        except errors.BulkWriteError as exc:
            refused = (exc.details or {}).get("writeErrors", [])
            for error in refused:
                failure = errors.WriteError(error.get("errmsg", ""), error.get("code"), error)
                if not may_be_duplicate(failure):
                    raise failure from exc
            if not refused:
                raise
            return [error["index"] for error in refused]
        return []

    async def _change(
        self,
        condition: filters.Filter,
        operators: _Raw,
        *,
        sort: Sequence[tuple[str, int]] | None = None,
        upsert: bool = False,
    ) -> _Raw | None:
        try:
            return await self._collection.find_one_and_update(
                condition, operators, sort=sort, upsert=upsert, return_document=ReturnDocument.AFTER
            )
        except errors.OperationFailure as exc:
            if may_be_duplicate(exc):
                raise
            raise translated_change(exc) from exc

    async def _purge(self) -> int:
        if self.spec.expire_field is None:
            return 0
        return (await self._collection.delete_many(filters.expired(self.spec, self._clock()))).deleted_count

    async def _added_there(self, asked: Totals, condition: filters.Filter) -> list[Total]:
        cursor = await self._collection.aggregate(totals_pipeline(asked, condition, MAX_GROUPS * 2))
        rows = await cursor.to_list()
        check_group_count(len(rows) // 2)
        return added(asked, (partial_of_group(asked, row) for row in rows))

    async def _added_here(self, asked: Totals, condition: filters.Filter) -> list[Total]:
        """Read what is to be totalled, and nothing else of it, and total it in this process."""
        adding = Adding(asked)
        fields = {filters.field(path): 1 for path in paths_of(asked)}
        async for document in self._collection.find(condition, {"_id": 1, **fields}):
            adding.add(partial_of(asked, decoded(document)))
        return adding.result()


def _update(change: Change) -> _Raw:
    operators = {
        "$set": encoded_changes(change.set),
        "$inc": encoded_changes(change.increment),
        "$unset": dict.fromkeys(change.unset, ""),
    }
    return {operator: fields for operator, fields in operators.items() if fields}
