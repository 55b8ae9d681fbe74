import asyncio
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from omnix.analytics.v1 import analytics_service_pb2 as pb
from omnix.analytics.v1 import analytics_service_pb2_grpc
from omnix.usage.v1.usage_pb2 import ATTEMPT_OUTCOME_SUCCEEDED, UsageRecorded
from omnix_analytics.cells import Cell
from omnix_analytics.convert import told_from_wire
from omnix_analytics.facts import Fact
from omnix_analytics.keeping import Keeping
from omnix_analytics.rollups import CellKey, Counted, cell_from_text, changes_of, rows_from_text
from omnix_analytics.spans import HOUR, MINUTE, Resolution
from omnix_kit import subjects
from omnix_kit.convert import timestamp
from omnix_kit.durable.errors import Unreadable
from omnix_kit.errors import PlatformError
from omnix_kit.ids import uuid7
from omnix_kit.messaging import Messaging
from omnix_kit.rpc import Remote
from omnix_kit.testing import NatsServer, eventually, free_port, nats_server
from omnix_store import open_store

NOW = datetime.now(UTC).replace(microsecond=0)
"""The services have the machine's clock, so events happen about now."""
KEEPING = Keeping(
    {Resolution.MINUTE: 72 * HOUR, Resolution.HOUR: 2160 * HOUR, Resolution.DAY: 43_800 * HOUR}, 72 * HOUR
)

Rollups = Mapping[str, Mapping[CellKey, Cell]]


def event(ended: datetime = NOW, took: timedelta = timedelta(seconds=1), **more: Any) -> UsageRecorded:
    """A whole event, as an adapter sends it for 1000 input and 100 output tokens at 2.50 and 10.00 USD a million."""
    made = UsageRecorded(
        attempt_id=uuid7(),
        completion_id=uuid7(),
        attempt=1,
        requested_model="gpt-4o",
        provider="openai",
        model="gpt-4o",
        streamed=True,
        outcome=ATTEMPT_OUTCOME_SUCCEEDED,
        start_time=timestamp(ended - took),
        end_time=timestamp(ended),
        first_content_us=250_000,
    )
    made.caller.tenant_id, made.caller.key_id = "default", "k1"
    made.usage.input_tokens, made.usage.output_tokens = 1000, 100
    made.price.currency = "USD"
    made.price.effective_time.CopyFrom(timestamp(NOW - timedelta(days=30)))
    made.price.input_micros_per_million, made.price.output_micros_per_million = 2_500_000, 10_000_000
    made.MergeFrom(UsageRecorded(**more))
    return made


def fact(message: UsageRecorded) -> Fact:
    [told] = told_from_wire(message.SerializeToString(), f"x.{message.caller.tenant_id}")
    assert not isinstance(told, Unreadable), told
    return told.fact


def rollups_of(facts: Iterable[Fact]) -> Rollups:
    """What the rollups have to be when each of the attempts is counted once."""
    changes = changes_of(Counted(each) for each in facts)
    return {key.id: dict(cells) for key, cells in changes.items()}


async def rollups_in(url: str) -> Rollups:
    """What they are."""
    found: dict[str, dict[CellKey, Cell]] = {}
    async with open_store(url) as store:
        collection = store.collection("rollups", expire_field="expire_time")
        token: str | None = None
        while True:
            page = await collection.find(limit=1000, page_token=token)
            for document in page.documents:
                cells = {row.key: row.cell for row in rows_from_text(document["rows"])}
                together = Cell()
                for cell in cells.values():
                    together.merge(cell)
                whole = cell_from_text(document["sum"])
                whole.costs = {
                    currency: micros for currency, micros in whole.costs.items() if currency in together.costs
                }
                assert whole == together
                if cells:
                    found[document["id"]] = cells
            if (token := page.next_page_token) is None:
                return found


async def publish(messaging: Messaging, events: Iterable[UsageRecorded], suffix: str = "") -> None:
    """Publish as an adapter does, through outages too.

    Another suffix makes the broker take the same events for new ones.
    """
    several = asyncio.Semaphore(64)

    async def one(each: UsageRecorded) -> None:
        subject, payload = subjects.usage_recorded(each.caller.tenant_id), each.SerializeToString()
        async with several:
            while True:
                try:
                    return await messaging.publish_durable(subject, payload, each.attempt_id + suffix)
                except PlatformError:
                    await messaging.ready()
                    await asyncio.sleep(0.05)

    await asyncio.gather(*map(one, events))


@dataclass
class Service:
    """A service as a process of its own."""

    module: str
    folder: Path
    nats: str
    more: dict[str, str] = field(default_factory=dict)
    grpc_port: int = field(default_factory=free_port)
    ops_port: int = field(default_factory=free_port)
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def log(self) -> Path:
        return self.folder / f"log-{self.ops_port}"

    @property
    def database(self) -> Path:
        return self.folder / "analytics.db"

    @property
    def store_url(self) -> str:
        return f"sqlite://{self.database}"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    def start(self) -> None:
        variables = {
            "OMNIX_DATA_DIR": str(self.folder),
            "OMNIX_NATS_URL": self.nats,
            "OMNIX_GRPC_PORT": str(self.grpc_port),
            "OMNIX_OPS_PORT": str(self.ops_port),
            **self.more,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self.module], env={**os.environ, **variables}, stderr=log
            )

    def stop(self) -> int:
        if self._process is None:
            return 0
        self._process.terminate()
        try:
            return self._process.wait(15)
        finally:
            self.kill()

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def wait(self) -> int:
        assert self._process is not None
        return self._process.wait(10)

    def probe(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ops_port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as exc:
            return exc.code, exc.read().decode()
        except OSError:
            return 0, ""

    def ready(self) -> bool:
        return self.probe("/readyz")[0] == 200

    def metric(self, name: str) -> float:
        for line in self.probe("/metrics")[1].splitlines():
            if line.startswith(f"{name} "):
                return float(line.rpartition(" ")[2])
        return 0.0

    def events(self, result: str) -> float:
        return self.metric(f'omnix_analytics_events_total{{result="{result}"}}')


class Client:
    """Calls the service as the gateway does."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._stub = analytics_service_pb2_grpc.AnalyticsServiceStub(remote.channel)

    async def call(self, request: Message) -> Any:
        method = getattr(self._stub, type(request).__name__.removesuffix("Request"))
        return await self._remote.call(method, request, timeout=timedelta(seconds=10))

    async def totals(self, group_by: Any = None, top: int = 0, **wanted: Any) -> pb.QueryTotalsResponse:
        request = pb.QueryTotalsRequest(filter=asked_for(**wanted), group_by=group_by, top=top)
        answer: pb.QueryTotalsResponse = await self.call(request)
        return answer

    async def series(self, bucket: timedelta, group_by: Any = None, **wanted: Any) -> pb.QuerySeriesResponse:
        request = pb.QuerySeriesRequest(filter=asked_for(**wanted), group_by=group_by)
        request.bucket.FromTimedelta(bucket)
        answer: pb.QuerySeriesResponse = await self.call(request)
        return answer

    async def attempts(self, **wanted: Any) -> int:
        return (await self.totals(**wanted)).total.attempts

    async def until_attempts(self, count: int, within: float = 20) -> None:
        async def there() -> bool:
            return await self.attempts() >= count

        await eventually(there, within)


def asked_for(**wanted: Any) -> pb.AnalyticsFilter:
    """By default the last two days of the tenant ``default``."""
    usual = {
        "tenant_id": "default",
        "start_time": timestamp(NOW - timedelta(days=2)),
        "end_time": timestamp(NOW + HOUR + MINUTE),
    }
    return pb.AnalyticsFilter(**{**usual, **wanted})


@asynccontextmanager
async def client_of(service: Service) -> AsyncIterator[Client]:
    await eventually(service.ready, within=15)
    async with Remote("analytics", service.address) as remote:
        yield Client(remote)


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    with nats_server(tmp_path / "nats") as server:
        yield server


@pytest.fixture
def service(nats: NatsServer, tmp_path: Path) -> Iterator[Service]:
    """Not started yet; stopped at the end."""
    made = Service("omnix_analytics", tmp_path / "data", nats.url)
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def ledger(nats: NatsServer, tmp_path: Path) -> Iterator[Service]:
    """Usage-metering, not started yet."""
    made = Service("omnix_usage_metering", tmp_path / "ledger", nats.url)
    try:
        yield made
    finally:
        made.stop()
