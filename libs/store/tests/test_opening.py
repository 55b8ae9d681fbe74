"""Opening a store, and being told clearly when that is not possible."""

import asyncio
import socket
import time
from datetime import timedelta
from pathlib import Path

import pytest
from omnix_store import (
    Store,
    StoreConfigurationError,
    StoreDamagedError,
    StoreUnavailableError,
    open_store,
)

SECRET = "hunter2"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "store.db",
        f"postgres://u:{SECRET}@h/db",
        "sqlite://",
        "sqlite:///",
        "sqlite://host/path.db",
        "sqlite:///path/",
        "sqlite:///path.db?mode=ro",
        "mongodb://localhost",
        f"mongodb://u:{SECRET}@localhost",
        f"mongodb://u:{SECRET}/x@localhost/db",
        f"mongodb://u:{SECRET}@localhost:{SECRET}/db",
        "mongodb:///db",
        "mongodb://localhost/db?timeoutMS=abc&tls=maybe",
    ],
)
async def test_a_wrong_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(StoreConfigurationError) as caught:
        async with open_store(url):
            pass
    assert SECRET not in str(caught.value)


async def test_what_was_written_is_there_after_opening_again(store_url: str) -> None:
    for n in range(3):
        async with open_store(store_url) as store:
            things = store.collection("things")
            await things.insert({"id": str(n)})
            assert len((await things.find()).documents) == n + 1


async def test_check_returns_when_all_is_well(store: Store) -> None:
    store.collection("things")
    await store.check()


async def test_writes_that_wait_when_the_store_closes_are_done(store_url: str) -> None:
    async with open_store(store_url) as store:
        things = store.collection("things")
        await store.check()
        waiting = [asyncio.create_task(things.insert({"id": f"{n:03}"})) for n in range(200)]
        await asyncio.gather(*waiting)
    with pytest.raises(StoreUnavailableError):
        await things.insert({"id": "late"})
    async with open_store(store_url) as store:
        assert len((await store.collection("things").find(limit=1000)).documents) == 200


async def test_a_path_in_the_url_may_be_quoted(tmp_path: Path) -> None:
    async with open_store(f"sqlite://{tmp_path}/with%20space/store.db") as store:
        await store.collection("things").insert({"id": "1"})
    assert (tmp_path / "with space" / "store.db").stat().st_mode & 0o777 == 0o600


async def test_a_file_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "store.db", tmp_path):
        with pytest.raises(StoreConfigurationError, match=str(path.parent)):
            async with open_store(f"sqlite://{path}"):
                pass


async def test_a_file_that_is_no_store_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"this is not a database, whatever its name says" * 100)
    with pytest.raises(StoreDamagedError):
        async with open_store(f"sqlite://{tmp_path}/store.db"):
            pass


async def test_a_server_that_is_absent_is_unavailable_until_it_comes() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with open_store(f"mongodb://127.0.0.1:{port}/db", timeout=timedelta(seconds=0.3)) as store:
        things = store.collection("things")
        started = time.monotonic()
        for call in (store.check(), things.insert({"id": "1"}), things.get("1"), things.find()):
            with pytest.raises(StoreUnavailableError):
                await call
        assert time.monotonic() - started < 10


async def test_a_server_that_never_answers_is_unavailable() -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with open_store(f"mongodb://127.0.0.1:{port}/db", timeout=timedelta(seconds=0.3)) as store:
            with pytest.raises(StoreUnavailableError):
                await store.collection("things").insert({"id": "1"})
