"""One store fixture over every implementation that can be had here."""

import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from omnix_store import Store, open_store
from pymongo import AsyncMongoClient, MongoClient

_TOOLS = Path(__file__).parents[3] / ".tools" / "bin"
_START = 20.0
_NAMED_SERVER = "OMNIX_TEST_MONGODB_URL"


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "mongodb"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a store of the test's own."""
    if request.param == "sqlite":
        yield f"sqlite://{tmp_path}/data/store.db"
        return
    server: str = request.getfixturevalue("mongodb_server")
    url = urlsplit(server)._replace(path=f"/omnix_test_{uuid.uuid4().hex}").geturl()
    yield url
    if _NAMED_SERVER in os.environ:  # the others end with the session
        with MongoClient[dict[str, object]](url) as client:
            client.drop_database(client.get_default_database().name)


@pytest.fixture
async def store(store_url: str, clock: Clock) -> AsyncIterator[Store]:
    async with open_store(store_url, clock=clock) as opened:
        yield opened


@pytest.fixture(scope="session")
def mongodb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server: the one that was named, a FerretDB of our own, or one in a container."""
    if named := os.environ.get(_NAMED_SERVER):
        yield named
    elif binary := shutil.which("ferretdb") or shutil.which("ferretdb", path=_TOOLS):
        yield from _ferretdb(binary, tmp_path_factory.mktemp("ferretdb"))
    else:
        yield from _container()


def _ferretdb(binary: str, directory: Path) -> Iterator[str]:
    (directory / "data").mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        binary,
        "--handler=sqlite",
        f"--sqlite-url=file:{directory}/data/",
        f"--listen-addr=127.0.0.1:{port}",
        "--debug-addr=-",
        "--telemetry=disable",
        f"--state-dir={directory}",
        "--log-level=ERROR",
    ]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _wait_until_it_listens(process, port, directory / "log")
        yield f"mongodb://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _wait_until_it_listens(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    give_up = time.monotonic() + _START
    while time.monotonic() < give_up and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    pytest.fail(f"ferretdb did not start: {log.read_text()[-2000:]}")


def _container() -> Iterator[str]:
    from docker.errors import DockerException  # type: ignore[import-untyped]
    from testcontainers.mongodb import MongoDbContainer

    try:
        container = MongoDbContainer("mongo:7")
        container.start()
    except DockerException as exc:
        pytest.skip(f"no MongoDB: {_NAMED_SERVER} is unset, there is no ferretdb, and Docker says: {exc}")
    with container:
        address = f"{container.get_container_host_ip()}:{container.get_exposed_port(27017)}"
        yield f"mongodb://{container.username}:{container.password}@{address}/?authSource=admin"


@pytest.fixture
async def is_ferretdb(store_url: str) -> bool:
    """Whether the server says it is FerretDB, whose gaps are named where they matter."""
    if store_url.startswith("sqlite"):
        return False
    async with AsyncMongoClient[dict[str, object]](store_url, serverSelectionTimeoutMS=5000) as client:
        return "ferretdbVersion" in await client.admin.command("buildInfo")
