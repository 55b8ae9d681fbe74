"""How long analytics takes to answer, over the rollups of a month, and how that grows.

A store is filled with the rollups that a month's attempts leave: every key, user and team is active in every hour and
calls every model, which is the most documents there can be. The service runs as a process of its own on that store and
is asked over gRPC, one question at a time.

    python -m bench.analytics                        10 million attempts, and how it grows
    python -m bench.analytics --quick                only the 10 million
    python -m bench.analytics --mongodb mongodb://…  in an empty database there, too
"""

import argparse
import asyncio
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration
from omnix.analytics.v1 import analytics_pb2, analytics_service_pb2, analytics_service_pb2_grpc
from omnix_analytics.cells import Cell
from omnix_analytics.keeping import Keeping
from omnix_analytics.repository import rollup_document, rollups_of
from omnix_analytics.rollups import CellKey, Rollup, RollupKey, View, rollup_of
from omnix_analytics.sketch import Sketch, bucket_of, value_of
from omnix_analytics.spans import DAY, HOUR, Resolution, floor
from omnix_analytics.users import hash_of
from omnix_kit.convert import timestamp
from omnix_kit.errors import OmnixError
from omnix_kit.rpc import Remote
from omnix_kit.testing import free_port
from omnix_store import open_store

_TENANT: Final = "bench"
_DAYS: Final = 30
_KEEPING: Final = Keeping(
    {Resolution.MINUTE: timedelta(days=3), Resolution.HOUR: timedelta(days=90), Resolution.DAY: timedelta(days=1825)},
    timedelta(days=3),
)
_ROUNDS: Final = 11
_GOAL_MS: Final = 200


@dataclass(frozen=True)
class Size:
    attempts: int
    keys: int = 50
    models: int = 10
    teams: int = 5

    def __str__(self) -> str:
        return f"{self.attempts:,} attempts, {self.keys} keys"


@dataclass(frozen=True)
class Question:
    name: str
    bucket: timedelta | None
    group_by: Any = None
    key: str | None = None
    team: str | None = None
    is_the_goal: bool = False


QUESTIONS: Final = (
    Question("by day", DAY, is_the_goal=True),
    Question("by hour", HOUR, is_the_goal=True),
    Question("by day and model", DAY, analytics_pb2.DIMENSION_MODEL, is_the_goal=True),
    Question("by hour and model", HOUR, analytics_pb2.DIMENSION_MODEL),
    Question("by day and team", DAY, analytics_pb2.DIMENSION_TEAM, is_the_goal=True),
    Question("by day and key, the top 10", DAY, analytics_pb2.DIMENSION_KEY, is_the_goal=True),
    Question("by hour of one key", HOUR, key="key-07"),
    Question("by day of one team and by key", DAY, analytics_pb2.DIMENSION_KEY, team="team-2"),
    Question("totals", None, is_the_goal=True),
    Question("totals by user, the top 10", None, analytics_pb2.DIMENSION_USER, is_the_goal=True),
)


class Shape:
    """How times are distributed: log-normal, as latencies are."""

    def __init__(self, median_us: int, sigma: float) -> None:
        middle = bucket_of(median_us)
        width = sigma / math.log(value_of(middle + 1) / value_of(middle))
        self.first = middle - round(4 * width)
        weights = [math.exp(-(((bucket - middle) / width) ** 2) / 2) for bucket in self._buckets(middle, width)]
        self._shares = [weight / sum(weights) for weight in weights]

    def _buckets(self, middle: int, width: float) -> range:
        return range(self.first, middle + round(4 * width))

    def sketch(self, attempts: int, seeded: random.Random) -> Sketch:
        chance = seeded.random
        sketch = Sketch()
        sketch.merge(Sketch(self.first, [int(attempts * share + chance()) for share in self._shares]))
        return sketch


LATENCY: Final = Shape(3_000_000, 0.9)
FIRST_CONTENT: Final = Shape(600_000, 0.7)


def cell(attempts: int, actor: str, seeded: random.Random) -> Cell:
    latency, first = LATENCY.sketch(attempts, seeded), FIRST_CONTENT.sketch(attempts, seeded)
    return Cell(
        attempts=attempts,
        requests=attempts,
        succeeded=latency.total,
        failed=max(0, attempts - latency.total),
        input_tokens=attempts * 900,
        output_tokens=attempts * 300,
        latency_us=latency.total * 3_400_000,
        first_content_us=first.total * 700_000,
        costs={"USD": attempts * 5_250},
        latency=latency,
        first_content=first,
        active={hash_of(actor): attempts},
    )


def hour_of_keys(size: Size, seeded: random.Random) -> dict[tuple[View, str], dict[CellKey, Cell]]:
    """Every view's cells of an hour."""
    views: dict[tuple[View, str], dict[CellKey, Cell]] = {}
    each = size.attempts / (_DAYS * 24 * size.keys * size.models)
    for number in range(size.keys):
        team, user, key = f"team-{number % size.teams}", f"user-{number:02}", f"key-{number:02}"
        for model in range(size.models):
            attempts = int(each * seeded.uniform(0.5, 1.5) + seeded.random())
            if not attempts:
                continue
            made = cell(attempts, user, seeded)
            of_model = CellKey("openai", f"model-{model}")
            for view, value, at in (
                (View.ALL, "", of_model),
                (View.TEAM, team, of_model),
                (View.USER, user, of_model),
                (View.KEY, key, CellKey("openai", f"model-{model}", team, user)),
            ):
                views.setdefault((view, value), {}).setdefault(at, Cell()).merge(made)
    return views


def rollups_of_month(size: Size, end: datetime) -> Iterator[tuple[RollupKey, Rollup]]:
    seeded = random.Random(size.attempts)
    for day in range(_DAYS):
        start = end - (_DAYS - day) * DAY
        whole: dict[tuple[View, str], dict[CellKey, Cell]] = {}
        for hour in range(24):
            for (view, value), cells in hour_of_keys(size, seeded).items():
                yield RollupKey(_TENANT, Resolution.HOUR, start + hour * HOUR, view, value), rollup_of(cells)
                for key, made in cells.items():
                    whole.setdefault((view, value), {}).setdefault(key, Cell()).merge(made)
        for (view, value), cells in whole.items():
            yield RollupKey(_TENANT, Resolution.DAY, start, view, value), rollup_of(cells)


async def fill(url: str, size: Size, end: datetime) -> tuple[int, int]:
    """Answers how many documents, and how many bytes their cells have."""
    documents, count, length = [], 0, 0
    async with open_store(url, timeout=timedelta(seconds=60)) as store:
        rollups = rollups_of(store)
        for key, rollup in rollups_of_month(size, end):
            documents.append(rollup_document(1, key, rollup, _KEEPING))
            count, length = count + 1, length + len(rollup.rows) + len(rollup.sum)
            if len(documents) == 500:
                await rollups.insert_many(documents)
                documents = []
        if documents:
            await rollups.insert_many(documents)
    return count, length


@contextmanager
def service(url: str, folder: Path) -> Iterator[str]:
    port = free_port()
    variables = {
        "OMNIX_STORE_URL": url,
        "OMNIX_DATA_DIR": str(folder),
        "OMNIX_GRPC_PORT": str(port),
        "OMNIX_NATS_URL": f"nats://127.0.0.1:{free_port()}",
    }
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "omnix_analytics"], env={**os.environ, **variables}, stderr=log
        )
    try:
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(10)


async def ask(remote: Remote, question: Question, end: datetime) -> int:
    """Answers how many points or groups there were."""
    stub = analytics_service_pb2_grpc.AnalyticsServiceStub(remote.channel)
    wanted = analytics_service_pb2.AnalyticsFilter(
        tenant_id=_TENANT,
        key_id=question.key,
        team_id=question.team,
        start_time=timestamp(end - _DAYS * DAY),
        end_time=timestamp(end),
    )
    within = timedelta(seconds=60)
    if question.bucket is None:
        totals = analytics_service_pb2.QueryTotalsRequest(filter=wanted, group_by=question.group_by)
        answer = await remote.call(stub.QueryTotals, totals, timeout=within)
        return max(1, len(answer.groups))
    series = analytics_service_pb2.QuerySeriesRequest(
        filter=wanted, group_by=question.group_by, bucket=Duration(seconds=int(question.bucket.total_seconds()))
    )
    points = await remote.call(stub.QuerySeries, series, timeout=within)
    return sum(len(each.points) for each in points.series)


async def measured(url: str, size: Size, rounds: int) -> list[str]:
    end = floor(datetime.now(UTC), DAY)
    began = time.monotonic()
    count, length = await fill(url, size, end)
    lines = [
        f"{size}: {count:,} rollups, {length / 1e6:,.0f} MB in them, filled in {time.monotonic() - began:.0f} s",
        "",
    ]
    lines += ["| question, over 30 days | points | least ms | median ms | under 200 ms |", "|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder, service(url, Path(folder)) as address:
        async with Remote("analytics", address) as remote:
            await remote_ready(remote, end)
            for question in QUESTIONS:
                took, points = [], 0
                for _ in range(rounds):
                    at = time.perf_counter()
                    points = await ask(remote, question, end)
                    took.append((time.perf_counter() - at) * 1000)
                least, median = min(took), statistics.median(took)
                verdict = "yes" if least < _GOAL_MS else ("**no**" if question.is_the_goal else "no")
                lines.append(f"| {question.name} | {points:,} | {least:.0f} | {median:.0f} | {verdict} |")
    return [*lines, ""]


async def remote_ready(remote: Remote, end: datetime) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                await ask(remote, QUESTIONS[0], end)
            except OmnixError:
                await asyncio.sleep(0.1)
            else:
                return


async def run(sizes: Sequence[Size], mongodb: str | None, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for number, size in enumerate(sizes):
            sys.stdout.write(
                "\n".join(["## SQLite", "", *await measured(f"sqlite://{folder}/{number}.db", size, rounds)])
            )
            sys.stdout.write("\n")
            sys.stdout.flush()
            (folder / f"{number}.db").unlink()
        if mongodb is None:
            sys.stdout.write("MongoDB: no server was named (--mongodb).\n")
        else:
            sys.stdout.write("\n".join(["## MongoDB", "", *await measured(mongodb, sizes[0], rounds)]))


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.analytics", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only the ten million")
    parser.add_argument("--mongodb", metavar="URL", help="an empty database there")
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    asked = parser.parse_args()
    ten = Size(10_000_000)
    more = [] if asked.quick else [Size(1_000_000), Size(100_000_000), Size(10_000_000, keys=100)]
    asyncio.run(run([ten, *more], asked.mongodb, asked.rounds))


if __name__ == "__main__":
    main()
