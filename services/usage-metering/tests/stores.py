"""The stores that the ledger is tested on: SQLite, and MongoDB or what speaks its protocol, where there is one."""

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from omnix_kit.testing import free_port
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
