"""Whatever a vendor says, and whatever fails, an attempt that reached it has its event."""

import errno
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from omnix.usage.v1 import usage_pb2
from omnix_kit.caller import Caller
from omnix_kit.errors import PlatformError, Reason
from omnix_kit.health import Readiness
from omnix_kit.ids import uuid7
from omnix_kit.messaging import Messaging, nats_connection
from omnix_kit.settings import ServiceSettings
from omnix_kit.testing import NatsServer, eventually
from omnix_provider.errors import TooBusy
from omnix_provider.journal import orphans
from omnix_provider.types import Attempt, CompletionRequest, Usage
from omnix_provider.usage import Meter, metering

REQUEST = CompletionRequest("gpt-4o", ())


def attempt() -> Attempt:
    return Attempt(uuid7(), uuid7(), 1, Caller("t1", "", "", "k1"), "openai", "gpt-4o")


@pytest_asyncio.fixture
async def away() -> AsyncIterator[Messaging]:
    """A broker that is not there."""
    async with nats_connection(ServiceSettings(nats_url="nats://127.0.0.1:9"), Readiness(), "test") as messaging:
        yield messaging


@pytest_asyncio.fixture
async def meter(away: Messaging, tmp_path: Path) -> AsyncIterator[Meter]:
    async with metering(away, tmp_path, slots=4, spool_bytes=1_000_000) as standing:
        yield standing


async def test_event_is_kept_although_error_and_usage_cannot_be_written_down(meter: Meter, tmp_path: Path) -> None:
    metered = meter.open(attempt(), REQUEST, streamed=True, sandbox=False, input_tokens=7)
    metered.handed_over()
    metered.progress(5)
    error = PlatformError("half a pair: \ud83d", reason=Reason.INTERNAL, retry_after=timedelta(seconds=1))
    metered.close(usage_pb2.ATTEMPT_OUTCOME_FAILED, Usage(output_tokens=2**80), error)
    [left] = orphans(tmp_path / "0" / "journal")
    assert left.closed
    event = usage_pb2.UsageRecorded.FromString(left.event)
    assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_FAILED
    assert (event.usage.input_tokens, event.usage.output_tokens, event.usage.estimated) == (7, 5, True)
    assert event.error.message


async def test_disk_that_was_full_once_refuses_nothing_after_the_broker_came_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int, __: memoryview) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    server = NatsServer(tmp_path / "nats")
    async with (
        nats_connection(ServiceSettings(nats_url=server.url), Readiness(), "test") as messaging,
        metering(messaging, tmp_path, slots=4, spool_bytes=1_000_000) as meter,
    ):
        with monkeypatch.context() as patch:
            patch.setattr("os.write", full)
            metered = meter.open(attempt(), REQUEST, streamed=False, sandbox=False, input_tokens=7)
            metered.handed_over()
            metered.close(usage_pb2.ATTEMPT_OUTCOME_SUCCEEDED, Usage(1, 1))
            await eventually(lambda: meter.lacking() is not None)
            with pytest.raises(TooBusy):
                meter.open(attempt(), REQUEST, streamed=False, sandbox=False, input_tokens=7)
            try:
                server.start()
                await eventually(lambda: meter.lacking() is None)
            finally:
                server.kill()
        assert list(orphans(tmp_path / "0" / "journal")) == []


async def test_metadata_of_the_largest_size_that_the_gateway_takes_is_kept(meter: Meter, tmp_path: Path) -> None:
    metadata = {f"{number:02}".ljust(64, "😀"): "😀" * 512 for number in range(16)}
    request = CompletionRequest("gpt-4o", (), metadata=metadata)
    metered = meter.open(attempt(), request, streamed=True, sandbox=False, input_tokens=7)
    metered.handed_over()
    metered.close(usage_pb2.ATTEMPT_OUTCOME_SUCCEEDED, Usage(1, 1))
    [left] = orphans(tmp_path / "0" / "journal")
    assert left.closed
    assert dict(usage_pb2.UsageRecorded.FromString(left.event).metadata) == metadata
    assert (tmp_path / "0" / "journal").stat().st_blocks * 512 < 200_000
