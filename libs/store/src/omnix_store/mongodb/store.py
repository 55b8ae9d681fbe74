"""A service's database on a MongoDB-compatible server."""

import asyncio
import logging
import warnings
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from bson.codec_options import CodecOptions
from pymongo import AsyncMongoClient, errors
from pymongo.asynchronous.database import AsyncDatabase

from omnix_store.errors import StoreConfigurationError
from omnix_store.mongodb.collection import MongodbCollection
from omnix_store.mongodb.door import Door
from omnix_store.port import CollectionSpec, Index, same_declaration
from omnix_store.sweeping import sweeping

_log = logging.getLogger(__name__)

MAX_WAITING = 10_000
_SELECTION_TIMEOUT = timedelta(seconds=5)


class MongodbStore:
    """See ``omnix_store.port.Store``."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]], *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._door = Door(MAX_WAITING)
        self._ferretdb: bool | None = None
        self.collections: dict[str, MongodbCollection] = {}

    def collection(
        self, name: str, *, indexes: Sequence[Index] = (), expire_field: str | None = None
    ) -> MongodbCollection:
        spec = CollectionSpec(name, tuple(indexes), expire_field)
        known = self.collections.get(name)
        if known is not None:
            return same_declaration(known, spec)
        made = MongodbCollection(
            spec, self._database[name], door=self._door, clock=self._clock, server_groups=self._server_groups
        )
        self.collections[name] = made
        return made

    async def check(self) -> None:
        with self._door.operation():
            await self._database.command("ping")
            await self._is_ferretdb()
        for collection in self.collections.values():
            await collection.make()

    async def _server_groups(self) -> bool:
        """FerretDB 1.24 answers a group of two sums with 0 for the second, so its groups are not to be trusted."""
        return not await self._is_ferretdb()

    async def _is_ferretdb(self) -> bool:
        if self._ferretdb is None:
            about = await self._database.client.admin.command("buildInfo")
            self._ferretdb = "ferretdbVersion" in about
            if self._ferretdb:
                _log.warning(
                    "the store is FerretDB %s, which may lose changes made at the same time: use it for tests only",
                    about["ferretdbVersion"],
                )
        return self._ferretdb


@asynccontextmanager
async def open_mongodb(
    url: str, *, timeout: timedelta, clock: Callable[[], datetime], sweep_every: timedelta
) -> AsyncIterator[MongodbStore]:
    """Make a client; nothing is connected to before it is needed."""
    client, database = _client(url, timeout)
    try:
        store = MongodbStore(database, clock=clock)
        async with sweeping(store.collections, every=sweep_every):
            yield store
    finally:
        await asyncio.wait_for(client.close(), timeout.total_seconds())


def _client(url: str, timeout: timedelta) -> tuple[AsyncMongoClient[dict[str, Any]], AsyncDatabase[dict[str, Any]]]:
    """The driver's own messages about a URL may quote parts of a password, so they are left out.

    It only warns of an option it cannot read and goes on without it, which for ``tls`` must not be.
    """
    wait = int(timeout.total_seconds() * 1000)
    selection = int(min(timeout, _SELECTION_TIMEOUT).total_seconds() * 1000)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
                url,
                w="majority",
                journal=True,
                timeoutMS=wait,
                serverSelectionTimeoutMS=selection,
                connectTimeoutMS=selection,
                appname="omnix",
            )
    except (errors.PyMongoError, ValueError, UserWarning):
        raise StoreConfigurationError("the MongoDB URL is not valid; it is mongodb://host[:port]/database") from None
    options: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True, tzinfo=UTC)
    try:
        return client, client.get_default_database(codec_options=options)
    except errors.ConfigurationError:
        raise StoreConfigurationError("the MongoDB URL must name a database: mongodb://host/database") from None
