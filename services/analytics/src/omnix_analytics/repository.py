"""What analytics counts, as it is stored: the journal, marks of what was counted, rollups.

The tenant is part of every query, or of the id. Rollups and marks remember the number of the last batch that changed
them, so that carrying a batch out again changes nothing that has it. How that makes the sums exact says
``omnix_analytics.journal``.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from omnix_store import Change, Collection, Document, DuplicateKeyError, In, Range, Store, StoreUnavailableError, index

from omnix_analytics.cells import Cell
from omnix_analytics.facts import Fact
from omnix_analytics.journal import Batch, Clearing, Counting
from omnix_analytics.keeping import Keeping
from omnix_analytics.rollups import CellKey, Counted, Rollup, RollupKey, View, changed, changes_of, rollup_of
from omnix_analytics.spans import HOUR, Resolution, Span, time_of

_AT_ONCE = 1000
_WRITES_AT_ONCE = 200
_TRIES = 20
_JOURNAL = "journal"

_encoder = msgspec.msgpack.Encoder()
_batch_decoder = msgspec.msgpack.Decoder(Counting | Clearing)
_fact_decoder = msgspec.msgpack.Decoder(Fact)

T = TypeVar("T")


def rollups_of(store: Store) -> Collection:
    return store.collection(
        "rollups",
        indexes=[index("tenant_id", "view", "start"), index("tenant_id", "view", "value", "start")],
        expire_field="expire_time",
    )


def rollup_document(number: int, key: RollupKey, rollup: Rollup, keeping: Keeping) -> dict[str, Any]:
    """A rollup that was last changed by the batch of this number."""
    return {
        "id": key.id,
        "tenant_id": key.tenant_id,
        "view": _view(key.resolution, key.view),
        "value": key.value,
        "start": key.start,
        "last": number,
        "rows": rollup.rows,
        "sum": rollup.sum,
        "expire_time": keeping.expiry(key.resolution, key.start),
    }


class Repository:
    def __init__(self, store: Store, keeping: Keeping, clock: Callable[[], datetime]) -> None:
        self._journal = store.collection("journal")
        self._marks = store.collection("marks", indexes=[index("tenant_id", "time")], expire_field="expire_time")
        self._rollups = rollups_of(store)
        self._keeping = keeping
        self._clock = clock

    # The journal

    async def last(self) -> tuple[int, Batch | None]:
        found = await self._journal.get(_JOURNAL)
        return (0, None) if found is None else (found["number"], _batch_decoder.decode(found["batch"]))

    async def write(self, number: int, batch: Batch) -> bool:
        page = {"number": number, "batch": _encoder.encode(batch)}
        if await self._journal.update({"id": _JOURNAL, "number": number - 1}, Change(set=page)) is not None:
            return True
        if number > 1:
            return False
        try:
            await self._journal.insert({"id": _JOURNAL, **page})
        except DuplicateKeyError:
            return False
        return True

    async def carry_out(self, number: int, batch: Batch) -> None:
        match batch:
            case Counting():
                await self._add(number, changes_of(batch.attempts))
                await self._mark(number, batch.attempts)
            case Clearing():
                await self._clear(number, batch)

    async def counted(self, attempt_ids: Sequence[str]) -> dict[str, Fact]:
        found = await self._found(self._marks.find, attempt_ids)
        return {mark["id"]: _fact_decoder.decode(mark["fact"]) for mark in found}

    # Reading

    async def rollups(
        self, tenant_id: str, resolution: Resolution, view: View, value: str | None, span: Span
    ) -> AsyncIterator[list[Document]]:
        """Yield pages of rollups by time, of one value of the view or of all."""
        where: dict[str, Any] = {"tenant_id": tenant_id, "view": _view(resolution, view)}
        if value is not None:
            where["value"] = value
        where["start"] = Range(gte=span.start, lt=span.end)
        token: str | None = None
        while True:
            page = await self._rollups.find(where, sort=("start",), limit=_AT_ONCE, page_token=token)
            if page.documents:
                yield page.documents
            if (token := page.next_page_token) is None:
                return

    # Carrying out

    async def _add(self, number: int, changes: Mapping[RollupKey, Mapping[CellKey, Cell]]) -> None:
        now = self._clock()
        todo = {
            key.id: (key, cells)
            for key, cells in changes.items()
            if self._keeping.expiry(key.resolution, key.start) > now
        }
        for _ in range(_TRIES):
            there = {found["id"]: found for found in await self._found(self._rollups.find, list(todo))}
            todo = {id: change for id, change in todo.items() if id not in there or there[id]["last"] < number}
            written = await _several(
                self._write(number, key, cells, there.get(id)) for id, (key, cells) in todo.items()
            )
            todo = {id: change for (id, change), done in zip(todo.items(), written, strict=True) if not done}
            if not todo:
                return
        raise StoreUnavailableError("rollups are changed by somebody else all the time")

    async def _write(self, number: int, key: RollupKey, cells: Mapping[CellKey, Cell], there: Document | None) -> bool:
        """False when somebody else changed the rollup meanwhile."""
        if there is not None:
            now = changed(Rollup(there["rows"], there["sum"]), cells)
            change = Change(set={"last": number, "rows": now.rows, "sum": now.sum})
            return await self._rollups.update({"id": key.id, "last": there["last"]}, change) is not None
        try:
            await self._rollups.insert(rollup_document(number, key, rollup_of(cells), self._keeping))
        except DuplicateKeyError:
            return False
        return True

    async def _mark(self, number: int, attempts: Sequence[Counted]) -> None:
        new = [self._mark_of(number, counted.fact) for counted in attempts]
        errors = await self._marks.insert_many(new)
        await _several(
            self._marks.update(
                {"id": mark["id"], "tenant_id": mark["tenant_id"], "batch": Range(lt=number)},
                Change(set={name: value for name, value in mark.items() if name != "id"}),
            )
            for mark, error in zip(new, errors, strict=True)
            if error is not None
        )

    def _mark_of(self, number: int, fact: Fact) -> dict[str, Any]:
        ended = time_of(fact.end_ms)
        return {
            "id": fact.attempt_id,
            "tenant_id": fact.tenant_id,
            "time": ended,
            "batch": number,
            "fact": _encoder.encode(fact),
            "expire_time": self._keeping.expiry_of_mark(ended, self._clock()),
        }

    async def _clear(self, number: int, days: Clearing) -> None:
        """Of minutes and marks hour by hour, so that no deletion takes long. What a later batch has written stays."""
        day = Span(days.start, days.end)
        hours = list(_hours(day))
        for view in View:
            for resolution in Resolution:
                for span in hours if resolution is Resolution.MINUTE else [day]:
                    await self._rollups.delete(
                        {
                            "tenant_id": days.tenant_id,
                            "view": _view(resolution, view),
                            "start": Range(gte=span.start, lt=span.end),
                            "last": Range(lt=number),
                        }
                    )
        for hour in hours:
            time = Range(gte=hour.start, lt=hour.end)
            await self._marks.delete({"tenant_id": days.tenant_id, "time": time, "batch": Range(lt=number)})

    async def _found(self, find: Callable[..., Awaitable[Any]], ids: Sequence[str]) -> list[Document]:
        found: list[Document] = []
        for first in range(0, len(ids), _AT_ONCE):
            some = ids[first : first + _AT_ONCE]
            found += (await find({"id": In(some)}, limit=_AT_ONCE)).documents
        return found


def _hours(span: Span) -> Iterator[Span]:
    start = span.start
    while start < span.end:
        yield Span(start, start + HOUR)
        start += HOUR


def _view(resolution: Resolution, view: View) -> str:
    return f"{resolution}-{view}"


async def _several(writes: Iterable[Awaitable[T]]) -> list[T]:
    """Wait for all, a bounded number at once; all are done when one failed."""
    several = asyncio.Semaphore(_WRITES_AT_ONCE)

    async def one(write: Awaitable[T]) -> T:
        async with several:
            return await write

    results = await asyncio.gather(*map(one, writes), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]
