"""The one thread that writes, in groups.

Everything that queued up while the last transaction was on its way to the disk goes into the next one, so the
cost of an fsync is shared by all who wait. That takes no savepoints: SQLite undoes a statement that fails, and no
job has two statements that make sense only together. A job that is refused leaves its neighbours alone.
"""

import queue
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from copy import copy
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

from omnix_store.errors import StoreError, StoreUnavailableError
from omnix_store.sqlite.connection import connect, sqlite_errors, translated
from omnix_store.sqlite.jobs import Desk, Insert, Job, Outcome

MAX_GROUP = 512
_ROWS_A_STATEMENT = (64, 16, 4, 1)

_Batch = list[Job[Any]]


class Writer:
    """Start it, give it lists of jobs, and in the end ``None``."""

    def __init__(self, path: Path, *, busy_timeout: timedelta) -> None:
        self._path = path
        self._busy_timeout = busy_timeout
        self._inbox: queue.SimpleQueue[_Batch | None] = queue.SimpleQueue()
        self._desk: Desk | None = None
        self.thread = threading.Thread(target=self._work, name=f"store-writer-{path.name}", daemon=True)

    def start(self, desk: Desk) -> None:
        self._desk = desk
        self.thread.start()

    def hand_over(self, jobs: _Batch) -> None:
        self._inbox.put(jobs)

    def stop(self) -> None:
        self._inbox.put(None)

    def _work(self) -> None:
        connection: sqlite3.Connection | None = None
        for jobs in self._groups():
            try:
                if connection is None:
                    connection = connect(self._path, busy_timeout=self._busy_timeout, read_only=False)
                outcomes = self._transaction(connection, jobs)
            except StoreError as exc:
                outcomes = [(job, None, copy(exc)) for job in jobs]
            except Exception as exc:
                outcomes = [(job, None, _unexpected(exc)) for job in jobs]
            if self._desk is not None:
                self._desk.deliver(outcomes)
        if connection is not None:
            connection.close()

    def _groups(self) -> Iterator[_Batch]:
        """Yield what is waiting, at most ``MAX_GROUP`` at a time, until told to stop."""
        ended = False
        waiting: _Batch = []
        while not ended:
            item = self._inbox.get()
            while item is not None:
                waiting += item
                if len(waiting) >= MAX_GROUP or self._inbox.empty():
                    break
                item = self._inbox.get()
            ended = item is None
            while len(waiting) >= MAX_GROUP or (waiting and (ended or self._inbox.empty())):
                yield waiting[:MAX_GROUP]
                del waiting[:MAX_GROUP]

    def _transaction(self, connection: sqlite3.Connection, jobs: _Batch) -> list[Outcome]:
        with sqlite_errors(self._path):
            try:
                connection.execute("BEGIN IMMEDIATE")
                outcomes = list(self._run_all(connection, jobs))
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        return outcomes

    def _run_all(self, connection: sqlite3.Connection, jobs: Iterable[Job[Any]]) -> Iterator[Outcome]:
        for table, same in groupby(jobs, key=lambda job: job.table if isinstance(job, Insert) else None):
            if table is None:
                for job in same:
                    yield self._run(connection, job)
            else:
                yield from self._insert(connection, table, [job for job in same if isinstance(job, Insert)])

    def _insert(self, connection: sqlite3.Connection, table: str, jobs: list[Insert]) -> Iterator[Outcome]:
        """Insert many rows by one statement; if one is refused, all are tried one by one.

        Besides being quicker, this takes the interpreter's lock once for many rows.
        """
        for rows in _ROWS_A_STATEMENT:
            while len(jobs) >= rows:
                part, jobs = jobs[:rows], jobs[rows:]
                if rows > 1 and not any(job.given_up for job in part) and _inserted(connection, table, part):
                    yield from ((job, None, None) for job in part)
                else:
                    yield from [self._run(connection, job) for job in part]

    def _run(self, connection: sqlite3.Connection, job: Job[Any]) -> Outcome:
        if job.given_up:
            return job, None, StoreUnavailableError("the operation was given up before it began")
        try:
            return job, job.run(connection), None
        except StoreError as exc:
            error: Exception = exc
        except sqlite3.Error as exc:
            error = translated(self._path, exc)
            error.__cause__ = exc
        except Exception as exc:
            error = _unexpected(exc)
        if not connection.in_transaction:  # the disk is full or fails: SQLite has undone the whole transaction
            raise error
        return job, None, error


def _inserted(connection: sqlite3.Connection, table: str, jobs: list[Insert]) -> bool:
    values = ", ".join(["(?, ?)"] * len(jobs))
    try:
        connection.execute(
            f'INSERT INTO "{table}" (id, doc) VALUES {values}',  # noqa: S608 - the name is checked, values are bound
            [part for job in jobs for part in (job.id, job.raw)],
        )
    except sqlite3.IntegrityError:
        return False
    return True


def _unexpected(exc: Exception) -> StoreUnavailableError:
    error = StoreUnavailableError(f"the operation failed: {type(exc).__name__}: {exc}")
    error.__cause__ = exc
    return error
