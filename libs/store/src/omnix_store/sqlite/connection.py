"""Connections to the file, and SQLite's exceptions in the port's words."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from omnix_store.errors import (
    StoreConfigurationError,
    StoreDamagedError,
    StoreError,
    StoreTimeoutError,
    StoreUnavailableError,
)

_OLDEST = (3, 38, 0)
"""The first version with the JSON functions always built in."""

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA fullfsync = 1",  # macOS: an ordinary fsync there does not reach the disk
    "PRAGMA checkpoint_fullfsync = 1",
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA cache_size = -8192",
    "PRAGMA temp_store = MEMORY",
)

_CONFIGURATION = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_AUTH}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def connect(path: Path, *, busy_timeout: timedelta, read_only: bool) -> sqlite3.Connection:
    """Open the file, making it and its directory if need be, readable by its owner only."""
    if sqlite3.sqlite_version_info < _OLDEST:
        raise StoreConfigurationError(f"SQLite {sqlite3.sqlite_version} is too old; 3.38 or newer is needed")
    with sqlite_errors(path):
        _make_file(path)
        connection = sqlite3.connect(
            path, timeout=busy_timeout.total_seconds(), isolation_level=None, cached_statements=256
        )
        try:
            _prepare(connection, busy_timeout, read_only=read_only)
        except BaseException:
            connection.close()
            raise
    return connection


def _make_file(path: Path) -> None:
    """Make the file if it is absent, and open it only then.

    Closing any descriptor of a file gives up all locks the process has on it, those of SQLite's connections too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _prepare(connection: sqlite3.Connection, busy_timeout: timedelta, *, read_only: bool) -> None:
    """Two processes that switch one new file to WAL get SQLITE_BUSY at once, whatever the busy timeout."""
    give_up = time.monotonic() + busy_timeout.total_seconds()
    while True:
        try:
            for pragma in _PRAGMAS:
                connection.execute(pragma).fetchall()
            break
        except sqlite3.OperationalError as exc:
            if primary_code(exc) != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
    if read_only:
        connection.execute("PRAGMA query_only = 1")


def primary_code(exc: sqlite3.Error) -> int:
    """Return SQLite's result code without its extension; misuse found by Python itself has none."""
    return getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


@contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as exc:
        raise translated(path, exc) from exc
    except OSError as exc:
        raise StoreConfigurationError(f"{path}: {exc.strerror or exc}") from exc


def translated(path: Path, exc: sqlite3.Error) -> StoreError:
    code = primary_code(exc)
    if code in _CONFIGURATION:
        return StoreConfigurationError(f"{path}: {exc}")
    if code in _DAMAGED:
        return StoreDamagedError(f"{path}: {exc}")
    if code == sqlite3.SQLITE_INTERRUPT:
        return StoreTimeoutError(f"{path}: the query was stopped because it took too long")
    return StoreUnavailableError(f"{path}: {exc}")
