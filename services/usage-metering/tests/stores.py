"""The stores that the ledger is tested on: SQLite, and MongoDB or what speaks its protocol, where there is one."""

import os
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from omnix_kit.testing import free_port
from omnix_store import Store, open_store
from pymongo import MongoClient

_NAMED = "OMNIX_TEST_MONGODB_URL"
_TOOLS = Path(__file__).parents[3] / ".tools" / "bin"


@contextmanager
def mongodb(folder: Path) -> Iterator[str]:
    """A server: the one that is named, or a FerretDB of our own."""
    if named := os.environ.get(_NAMED):
        yield named
        return
    binary = shutil.which("ferretdb") or shutil.which("ferretdb", path=_TOOLS)
    if binary is None:
        pytest.skip(f"no MongoDB: {_NAMED} is unset, and there is no ferretdb")
    (folder / "data").mkdir(parents=True)
    port = free_port()
    command = [
        binary,
        "--handler=sqlite",
        f"--sqlite-url=file:{folder}/data/",
        f"--listen-addr=127.0.0.1:{port}",
        "--debug-addr=-",
        "--telemetry=disable",
        f"--state-dir={folder}",
        "--log-level=ERROR",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        url = f"mongodb://127.0.0.1:{port}"
        with MongoClient[dict[str, object]](url, serverSelectionTimeoutMS=20_000) as client:
            client.admin.command("ping")
        yield url
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


@contextmanager
def database(server: str) -> Iterator[str]:
    """A database of the test's own."""
    url = urlsplit(server)._replace(path=f"/omnix_test_{uuid.uuid4().hex}").geturl()
    yield url
    if _NAMED in os.environ:  # the others end with the session
        with MongoClient[dict[str, object]](url) as client:
            client.drop_database(client.get_default_database().name)


@pytest.fixture(scope="session")
def mongodb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mongodb(tmp_path_factory.mktemp("mongodb")) as url:
        yield url


@pytest.fixture(params=["sqlite", "mongodb"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite://{tmp_path}/ledger.db"
        return
    with database(request.getfixturevalue("mongodb_server")) as url:
        yield url


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    async with open_store(store_url, timeout=timedelta(seconds=20)) as opened:
        yield opened


@pytest.fixture
def is_ferretdb(store_url: str) -> bool:
    """Whether the server says it is FerretDB, whose gaps are named where they matter."""
    if store_url.startswith("sqlite"):
        return False
    with MongoClient[dict[str, object]](store_url, serverSelectionTimeoutMS=5000) as client:
        return "ferretdbVersion" in client.admin.command("buildInfo")
