"""A service's database in one file."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

from omnix_store.port import CollectionSpec, Index, same_declaration
from omnix_store.sqlite.collection import SqliteCollection
from omnix_store.sqlite.jobs import Desk
from omnix_store.sqlite.readers import Readers
from omnix_store.sqlite.writer import Writer
from omnix_store.sweeping import sweeping

READER_THREADS = 2
MAX_WAITING = 10_000
_BUSY_TIMEOUT = timedelta(seconds=4)
_CLOSING = 30.0


class SqliteStore:
    """See ``omnix_store.port.Store``."""

    def __init__(self, *, writes: Desk, reads: Desk, clock: Callable[[], datetime]) -> None:
        self._writes = writes
        self._reads = reads
        self._clock = clock
        self.collections: dict[str, SqliteCollection] = {}

    def collection(
        self, name: str, *, indexes: Sequence[Index] = (), expire_field: str | None = None
    ) -> SqliteCollection:
        spec = CollectionSpec(name, tuple(indexes), expire_field)
        known = self.collections.get(name)
        if known is not None:
            return same_declaration(known, spec)
        made = SqliteCollection(spec, writes=self._writes, reads=self._reads, clock=self._clock)
        self.collections[name] = made
        return made

    async def check(self) -> None:
        for collection in self.collections.values():
            await collection.make()
        await self._writes.do(lambda connection: connection.execute("SELECT 1").fetchone())
        await self._reads.do(lambda connection: connection.execute("SELECT 1").fetchone())


@asynccontextmanager
async def open_sqlite(
    path: Path, *, timeout: timedelta, clock: Callable[[], datetime], sweep_every: timedelta
) -> AsyncIterator[SqliteStore]:
    """Open the file; what is waiting to be written when the context ends is written first."""
    busy_timeout = min(_BUSY_TIMEOUT, timeout / 2)
    writer = Writer(path, busy_timeout=busy_timeout)
    readers = Readers(path, threads=READER_THREADS, busy_timeout=busy_timeout)
    writes = Desk(writer.hand_over, capacity=MAX_WAITING, timeout=timeout)
    reads = Desk(readers.hand_over, capacity=MAX_WAITING, timeout=timeout)
    writer.start(writes)
    readers.start(reads)
    store = SqliteStore(writes=writes, reads=reads, clock=clock)
    try:
        await store.check()
        async with sweeping(store.collections, every=sweep_every):
            yield store
    finally:
        for desk in (writes, reads):
            desk.close()
        readers.stop()
        writer.stop()
        for thread in (*readers.threads, writer.thread):
            await asyncio.to_thread(thread.join, _CLOSING)
