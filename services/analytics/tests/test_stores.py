"""The same figures from every store that can be had here."""

import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from omnix_analytics.answering import Answering
from omnix_analytics.facts import Fact
from omnix_analytics.journal import Journal
from omnix_analytics.questions import Dimension, Filter
from omnix_analytics.rebuilding import Rebuilds
from omnix_analytics.repository import Repository
from omnix_analytics.spans import DAY, HOUR, MINUTE, Span, floor
from omnix_kit.testing import free_port
from omnix_store import open_store

from .conftest import KEEPING, NOW, event, fact, rollups_in, rollups_of

_TOOLS = Path(__file__).parents[3] / ".tools" / "bin"
_NAMED_SERVER = "OMNIX_TEST_MONGODB_URL"


@pytest.fixture(params=["sqlite", "mongodb"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite://{tmp_path}/analytics.db"
        return
    name = f"omnix_test_{uuid.uuid4().hex}"
    if server := os.environ.get(_NAMED_SERVER):
        yield f"{server.rstrip('/')}/{name}"
        return
    binary = shutil.which("ferretdb") or shutil.which("ferretdb", path=_TOOLS)
    if binary is None:
        pytest.skip(f"no MongoDB: {_NAMED_SERVER} is unset, and there is no ferretdb")
    yield from _ferretdb(binary, tmp_path, name)


def _ferretdb(binary: str, folder: Path, name: str) -> Iterator[str]:
    port = free_port()
    (folder / "ferretdb").mkdir()
    command = [
        binary,
        "--handler=sqlite",
        f"--sqlite-url=file:{folder}/ferretdb/",
        f"--listen-addr=127.0.0.1:{port}",
        "--debug-addr=-",
        "--telemetry=disable",
        f"--state-dir={folder}",
        "--log-level=ERROR",
    ]
    process = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"mongodb://127.0.0.1:{port}/{name}"
    finally:
        process.terminate()
        process.wait(10)


def now() -> datetime:
    return datetime.now(UTC)


def some_facts() -> list[Fact]:
    return [
        fact(
            event(
                floor(NOW, HOUR) - number * 7 * MINUTE,
                timedelta(milliseconds=100 + number),
                model=f"m{number % 3}",
                caller={"key_id": f"k{number % 2}", "team_id": f"t{number % 5}"},
            )
        )
        for number in range(60)
    ]


async def test_attempts_are_counted_once_cleared_and_told_alike(store_url: str) -> None:
    told = some_facts()
    async with open_store(store_url) as store:
        repository = Repository(store, KEEPING, now)
        journal = Journal(repository)
        assert await journal.count(told[:40]) == [True] * 40
        assert await journal.count(told) == [False] * 40 + [True] * 20
        await journal.clear("default", floor(NOW - 8 * HOUR, DAY), floor(NOW, DAY) + DAY)
        assert await journal.count(told[30:]) == [True] * 30
        again = Journal(repository)  # as another process, which carries the last batch out again
        assert await again.count(told) == [True] * 30 + [False] * 30
        answering = Answering(repository, Rebuilds(store, now), KEEPING, now)
        wanted = Filter("default", Span(NOW - DAY, NOW + HOUR), key="k1")
        totals = await answering.totals(wanted, Dimension.MODEL, 2)
        assert [(group.name, group.is_rest) for group in totals.groups] == [
            ("openai/m0", False),
            ("openai/m1", False),
            ("", True),
        ]
        assert [cell.attempts for group in totals.groups for cell in group.points.values()] == [10, 10, 10]
        series = await answering.series(wanted, HOUR, None, 0)
        [line] = series.groups
        assert sum(cell.attempts for cell in line.points.values()) == 30
    assert await rollups_in(store_url) == rollups_of(told)
