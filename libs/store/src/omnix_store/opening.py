"""From a URL to a store."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

from omnix_store.errors import StoreConfigurationError
from omnix_store.port import Store
from omnix_store.sqlite.store import open_sqlite

DEFAULT_TIMEOUT = timedelta(seconds=10)
DEFAULT_SWEEP = timedelta(minutes=1)


def _now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def open_store(
    url: str,
    *,
    timeout: timedelta = DEFAULT_TIMEOUT,
    clock: Callable[[], datetime] = _now,
    sweep_every: timedelta = DEFAULT_SWEEP,
) -> AsyncIterator[Store]:
    """Open ``sqlite:///absolute/path/file.db`` or ``mongodb://host/database``.

    A SQLite file is made if it is absent. A MongoDB server need not be there yet: operations raise
    ``StoreUnavailableError`` until it is. ``timeout`` is for each operation; ``clock`` decides what has expired.
    """
    async with _opened(url, timeout=timeout, clock=clock, sweep_every=sweep_every) as store:
        yield store


def _opened(
    url: str, *, timeout: timedelta, clock: Callable[[], datetime], sweep_every: timedelta
) -> AbstractAsyncContextManager[Store]:
    match url.partition(":")[0]:
        case "sqlite":
            return open_sqlite(_sqlite_path(url), timeout=timeout, clock=clock, sweep_every=sweep_every)
        case "mongodb" | "mongodb+srv":
            # The driver takes half a second to import, which a process with SQLite need not spend.
            from omnix_store.mongodb.store import open_mongodb

            return open_mongodb(url, timeout=timeout, clock=clock, sweep_every=sweep_every)
        case _:
            raise StoreConfigurationError("a store URL begins with sqlite:/// or mongodb://")


def _sqlite_path(url: str) -> Path:
    parts = urlsplit(url)
    if parts.netloc or parts.query or parts.fragment or not parts.path.strip("/") or parts.path.endswith("/"):
        raise StoreConfigurationError("a SQLite store URL is sqlite:///absolute/path/file.db and nothing else")
    return Path(unquote(parts.path))
