"""Freeing the space of expired documents from time to time.

The store does this itself, since not every MongoDB-compatible server has TTL indexes and SQLite has none.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from omnix_store.errors import StoreError
from omnix_store.port import Collection

_log = logging.getLogger(__name__)


@asynccontextmanager
async def sweeping(collections: Mapping[str, Collection], *, every: timedelta) -> AsyncIterator[None]:
    """Sweep as long as the context lasts, also what is declared meanwhile."""
    task = asyncio.create_task(_sweep(collections, every), name="store-sweeping")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _sweep(collections: Mapping[str, Collection], every: timedelta) -> None:
    while True:
        await asyncio.sleep(every.total_seconds())
        for name, collection in list(collections.items()):
            try:
                await collection.purge_expired()
            except StoreError as exc:
                _log.warning("expired documents of %s were not deleted: %s", name, exc)
