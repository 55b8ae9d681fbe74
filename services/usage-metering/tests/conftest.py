import asyncio
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from omnix.usage.v1 import usage_service_pb2 as pb
from omnix.usage.v1 import usage_service_pb2_grpc
from omnix.usage.v1.usage_pb2 import ATTEMPT_OUTCOME_SUCCEEDED, UsageEntry, UsageRecorded
from omnix_kit import subjects
from omnix_kit.convert import timestamp
from omnix_kit.durable.errors import Poison, Unreadable
from omnix_kit.errors import PlatformError
from omnix_kit.ids import uuid7
from omnix_kit.messaging import Messaging
from omnix_kit.rpc import Remote
from omnix_kit.testing import NatsServer, eventually, free_port, nats_server
from omnix_usage_metering.convert import entries_from_wire
from omnix_usage_metering.entries import Entry

from .stores import is_ferretdb, mongodb_server, store, store_url  # type: ignore[import-not-found] # noqa: F401 # fixtures

START = datetime(2026, 11, 22, 12, tzinfo=UTC)


def event(**more: Any) -> UsageRecorded:
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
        start_time=timestamp(START),
        end_time=timestamp(START + timedelta(seconds=1)),
        first_content_us=250_000,
        metadata={"job": "naïve"},
    )
    made.caller.tenant_id, made.caller.key_id = "default", "k1"
    made.usage.input_tokens, made.usage.output_tokens = 1000, 100
    made.price.currency = "USD"
    made.price.effective_time.CopyFrom(timestamp(START - timedelta(days=30)))
    made.price.input_micros_per_million, made.price.output_micros_per_million = 2_500_000, 10_000_000
    made.MergeFrom(UsageRecorded(**more))
    return made


def entry_from_wire(payload: bytes, subject: str, record_time: datetime) -> Entry:
    """Read a message of one event."""
    [read] = entries_from_wire(payload, subject, record_time)
    if isinstance(read, Unreadable):
        raise Poison(read.reason)
    return read


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
    """Usage-metering as a process of its own."""

    folder: Path
    nats: str
    grpc_port: int = field(default_factory=free_port)
    ops_port: int = field(default_factory=free_port)
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def database(self) -> Path:
        return self.folder / "usage-metering.db"

    def start(self) -> None:
        variables = {
            "OMNIX_DATA_DIR": str(self.folder),
            "OMNIX_NATS_URL": self.nats,
            "OMNIX_GRPC_PORT": str(self.grpc_port),
            "OMNIX_OPS_PORT": str(self.ops_port),
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "omnix_usage_metering"], env={**os.environ, **variables}, stderr=log
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


class Client:
    """Calls the service as the gateway does."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._stub = usage_service_pb2_grpc.UsageServiceStub(remote.channel)

    async def call(self, request: Message) -> Any:
        method = getattr(self._stub, type(request).__name__.removesuffix("Request"))
        return await self._remote.call(method, request, timeout=timedelta(seconds=10))

    async def page(self, size: int = 0, token: str = "", **wanted: Any) -> tuple[list[UsageEntry], str]:
        wanted = {"tenant_id": "default", **wanted}
        answer: pb.ListUsageEntriesResponse = await self.call(
            pb.ListUsageEntriesRequest(filter=pb.UsageFilter(**wanted), page_size=size, page_token=token)
        )
        return list(answer.entries), answer.next_page_token

    async def entries(self, **wanted: Any) -> list[UsageEntry]:
        found, token = await self.page(1000, **wanted)
        while token:
            page, token = await self.page(1000, token, **wanted)
            found += page
        return found

    async def attempts(self) -> int:
        answer: pb.SummarizeUsageResponse = await self.call(
            pb.SummarizeUsageRequest(filter=pb.UsageFilter(tenant_id="default"))
        )
        return sum(total.attempts for total in answer.totals)

    async def until_attempts(self, count: int, within: float = 20) -> None:
        async def there() -> bool:
            return await self.attempts() >= count

        await eventually(there, within)


@asynccontextmanager
async def client_of(service: Service) -> AsyncIterator[Client]:
    await eventually(service.ready, within=15)
    async with Remote("usage-metering", f"127.0.0.1:{service.grpc_port}") as remote:
        yield Client(remote)


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    with nats_server(tmp_path / "nats") as server:
        yield server


@pytest.fixture
def service(nats: NatsServer, tmp_path: Path) -> Iterator[Service]:
    """Not started yet; stopped at the end."""
    made = Service(tmp_path / "data", nats.url)
    try:
        yield made
    finally:
        made.stop()


def ids(entries: Iterable[UsageEntry]) -> list[str]:
    return sorted(entry.event.attempt_id for entry in entries)
