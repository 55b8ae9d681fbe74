"""A few threads that read, each by its own connection, while the writer writes."""

import queue
import sqlite3
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from omnix_store.errors import StoreError, StoreUnavailableError
from omnix_store.sqlite.connection import connect, sqlite_errors
from omnix_store.sqlite.jobs import Desk, Job

_STEPS_BETWEEN_LOOKS = 20_000
"""How often SQLite asks whether a query is still wanted: several hundred times a second while it works."""


class Readers:
    """Start them, give them jobs, and in the end stop them."""

    def __init__(self, path: Path, *, threads: int, busy_timeout: timedelta) -> None:
        self._path = path
        self._busy_timeout = busy_timeout
        self._inbox: queue.SimpleQueue[Job[Any] | None] = queue.SimpleQueue()
        self._desk: Desk | None = None
        self.threads = [
            threading.Thread(target=self._work, name=f"store-reader-{path.name}-{at}", daemon=True)
            for at in range(threads)
        ]

    def start(self, desk: Desk) -> None:
        self._desk = desk
        for thread in self.threads:
            thread.start()

    def hand_over(self, jobs: list[Job[Any]]) -> None:
        for job in jobs:
            self._inbox.put(job)

    def stop(self) -> None:
        for _ in self.threads:
            self._inbox.put(None)

    def _work(self) -> None:
        connection: sqlite3.Connection | None = None
        while (job := self._inbox.get()) is not None:
            result, error = None, None
            try:
                if connection is None:
                    connection = connect(self._path, busy_timeout=self._busy_timeout, read_only=True)
                result = self._read(connection, job)
            except StoreError as exc:
                error = exc
            except Exception as exc:
                error = StoreUnavailableError(f"the query failed: {type(exc).__name__}: {exc}")
                error.__cause__ = exc
            if self._desk is not None:
                self._desk.deliver([(job, result, error)])
        if connection is not None:
            connection.close()

    def _read(self, connection: sqlite3.Connection, job: Job[Any]) -> Any:
        """Run the job on one snapshot, and stop it when nobody waits for it any more."""
        if job.given_up:
            raise StoreUnavailableError("the query was given up before it began")
        connection.set_progress_handler(lambda: job.given_up or time.monotonic() > job.deadline, _STEPS_BETWEEN_LOOKS)
        with sqlite_errors(self._path):
            connection.execute("BEGIN")
            try:
                return job.run(connection)
            finally:
                connection.execute("ROLLBACK")
