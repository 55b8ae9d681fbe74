"""What SQLite's file holds after a kill, under two processes, on a full disk, and when callers leave."""

import asyncio
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from omnix_store import (
    StoreError,
    StoreOverloadedError,
    StoreTimeoutError,
    StoreUnavailableError,
    open_store,
    unique,
)
from omnix_store.sqlite.connection import connect
from omnix_store.sqlite.jobs import Desk
from omnix_store.sqlite.readers import Readers

INSERT_UNTIL_KILLED = """
import asyncio, sys
from omnix_store import open_store, unique

async def main(url, first):
    async with open_store(url) as store:
        ledger = store.collection("ledger", indexes=[unique("n")])
        async def insert_for_ever(lane):
            n = first + lane
            while True:
                await ledger.insert({"id": str(n), "n": n, "text": "x" * 500})
                print(n, flush=True)
                n += 50
        await asyncio.gather(*(insert_for_ever(lane) for lane in range(50)))

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""

COUNT = """
import asyncio, sys
from omnix_store import open_store, unique, DuplicateKeyError

async def main(url, name):
    async with open_store(url) as store:
        things = store.collection("things", indexes=[unique("n")])
        await asyncio.gather(*(things.increment("counter", {"sum": 1}, on_insert={"n": -1}) for _ in range(200)))
        won = 0
        for n in range(100):
            try:
                await things.insert({"id": f"{name}-{n}", "n": n})
                won += 1
            except DuplicateKeyError:
                pass
        print(won)

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite://{tmp_path}/store.db"


async def test_what_was_answered_survives_kill_9(url: str, tmp_path: Path) -> None:
    answered: set[str] = set()
    for attempt in range(3):
        command = [sys.executable, "-c", INSERT_UNTIL_KILLED, url, str(attempt * 1_000_000)]
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        async with asyncio.timeout(30):
            for _ in range(400 + 137 * attempt):
                answered.add((await process.stdout.readline()).decode().strip())
            process.kill()
            answered |= {line.decode() for line in (await process.stdout.read()).splitlines(keepends=False) if line}
            await process.wait()
    async with open_store(url) as store:
        ledger = store.collection("ledger", indexes=[unique("n")])
        for id in answered:
            assert await ledger.get(id) == {"id": id, "n": int(id), "text": "x" * 500}
    with sqlite3.connect(tmp_path / "store.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_two_processes_share_one_file(url: str) -> None:
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", COUNT, url, name, stdout=subprocess.PIPE)
        for name in ("a", "b", "c")
    ]
    async with asyncio.timeout(60):
        outputs = [await process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sum(int(output) for output, _ in outputs) == 100
    async with open_store(url) as store:
        assert await store.collection("things").get("counter") == {"id": "counter", "n": -1, "sum": 600}


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements of the writer's connection, as they are run."""
    statements: list[str] = []

    def watched(path: Path, *, busy_timeout: timedelta, read_only: bool) -> sqlite3.Connection:
        connection = connect(path, busy_timeout=busy_timeout, read_only=read_only)
        connection.set_trace_callback(statements.append)
        return connection

    monkeypatch.setattr("omnix_store.sqlite.writer.connect", watched)
    return statements


async def test_a_thousand_concurrent_inserts_share_a_few_transactions(url: str, connections: list[str]) -> None:
    async with open_store(url) as store:
        things = store.collection("things", indexes=[unique("n")])
        await store.check()
        connections.clear()
        documents = [{"id": str(n), "n": n if n % 100 else 0} for n in range(1000)]
        outcomes = await asyncio.gather(*(things.insert(each) for each in documents), return_exceptions=True)
        assert connections.count("COMMIT") <= 5
        assert [n for n, outcome in enumerate(outcomes) if outcome is not None] == list(range(100, 1000, 100))
        assert len((await things.find(limit=1000)).documents) == 991


async def test_a_caller_that_leaves_harms_nobody(url: str) -> None:
    async with open_store(url) as store:
        things = store.collection("things")
        await store.check()
        tasks = [asyncio.create_task(things.insert({"id": f"{n:03}", "text": "x" * 100})) for n in range(400)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(each) for each in outcomes] == [asyncio.CancelledError, type(None)] * 200
        found = {each["id"]: each for each in (await things.find(limit=1000)).documents}
        assert {f"{n:03}" for n in range(1, 400, 2)} <= set(found)
        assert all(each == {"id": id, "text": "x" * 100} for id, each in found.items())
        await things.insert({"id": "after"})


async def test_a_locked_file_is_unavailable_and_then_works_again(url: str, tmp_path: Path) -> None:
    async with open_store(url, timeout=timedelta(seconds=0.4)) as store:
        things = store.collection("things")
        await store.check()
        other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError):
            await things.insert({"id": "1"})
        assert await things.get("1") is None
        other.execute("ROLLBACK")
        other.close()
        await things.insert({"id": "1"})


async def test_no_more_wait_than_the_bound(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omnix_store.sqlite.store.MAX_WAITING", 10)
    async with open_store(url) as store:
        things = store.collection("things")
        await store.check()
        other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        tasks = [asyncio.create_task(things.insert({"id": str(n)})) for n in range(10)]
        await asyncio.sleep(0)
        with pytest.raises(StoreOverloadedError):
            await things.insert({"id": "10"})
        other.execute("ROLLBACK")
        other.close()
        await asyncio.gather(*tasks)
        await things.insert({"id": "10"})
        assert len((await things.find()).documents) == 11


async def test_a_full_disk_is_unavailable_and_loses_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[sqlite3.Connection] = []

    def small(path: Path, **options: Any) -> sqlite3.Connection:
        connection = connect(path, **options)
        connection.execute("PRAGMA max_page_count = 50")
        opened.append(connection)
        return connection

    monkeypatch.setattr("omnix_store.sqlite.writer.connect", small)
    async with open_store(url) as store:
        things = store.collection("things")
        outcomes = await asyncio.gather(
            *(things.insert({"id": str(n), "text": "x" * 3000}) for n in range(40)), return_exceptions=True
        )
        for n in range(40, 100):
            outcomes += await asyncio.gather(things.insert({"id": str(n), "text": "x" * 3000}), return_exceptions=True)
        stored = {str(n) for n, outcome in enumerate(outcomes) if outcome is None}
        refused = [outcome for outcome in outcomes if outcome is not None]
        assert {type(outcome) for outcome in refused} == {StoreUnavailableError}
        assert {each["id"] for each in (await things.find(limit=1000)).documents} == stored
        assert len(stored) > 10
        await things.delete({"id": next(iter(stored))})
        await things.insert({"id": "again", "text": "x" * 3000})


async def test_a_query_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    readers = Readers(tmp_path / "store.db", threads=1, busy_timeout=timedelta(seconds=1))
    desk = Desk(readers.hand_over, capacity=10, timeout=timedelta(seconds=0.2))
    readers.start(desk)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    with pytest.raises(StoreTimeoutError):
        await desk.do(lambda connection: connection.execute(endless).fetchone())
    async with asyncio.timeout(10):
        while True:
            try:
                assert await desk.do(lambda connection: connection.execute("SELECT 1").fetchone()) == (1,)
                break
            except StoreTimeoutError:
                continue
    desk.close()
    readers.stop()
    for thread in readers.threads:
        await asyncio.to_thread(thread.join, 10)


async def test_a_damaged_document_is_damaged_and_the_rest_is_served(url: str, tmp_path: Path) -> None:
    async with open_store(url) as store:
        things = store.collection("things")
        await things.insert_many([{"id": "1"}, {"id": "2"}])
        other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
        other.execute("UPDATE things SET doc = '{\"id\": ' WHERE id = '1'")
        other.close()
        with pytest.raises(StoreError):
            await things.get("1")
        assert await things.get("2") == {"id": "2"}
