"""The connection's promises, against a real server that is killed and started again."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from nats.aio.msg import Msg
from nats.js.api import StorageType
from nats.js.errors import ServerError
from omnix_kit import streams, subjects
from omnix_kit.errors import PlatformError
from omnix_kit.health import Readiness
from omnix_kit.messaging import Hook, Messaging, nats_connection
from omnix_kit.settings import ServiceSettings
from omnix_kit.testing import NatsServer, connected, eventually

pytestmark = pytest.mark.connected


async def test_entering_does_not_wait_for_the_server_and_readiness_tells(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "nats")
    readiness = Readiness()
    async with nats_connection(ServiceSettings(nats_url=server.url), readiness, "test") as messaging:
        assert "is away" in readiness.lacking()["nats"]
        with pytest.raises(PlatformError):
            await messaging.publish("a.subject", b"x")
        server.start()
        try:
            await eventually(lambda: readiness.lacking() == {})
        finally:
            server.kill()


async def test_subscription_goes_on_after_the_server_was_killed(nats: NatsServer) -> None:
    got: list[bytes] = []

    async def keep(message: Msg) -> None:
        got.append(message.data)

    async with connected(nats) as messaging:
        await messaging.subscribe("a.*", keep)
        await messaging.publish("a.b", b"before")
        await eventually(lambda: got == [b"before"])
        nats.kill()
        await eventually(lambda: messaging.lacking() is not None)
        with pytest.raises(PlatformError):
            await messaging.publish_durable("a.b", b"during", "id-1")
        nats.start()
        await eventually(lambda: messaging.lacking() is None)
        await messaging.publish("a.b", b"after")
        await eventually(lambda: got == [b"before", b"after"])


async def test_hooks_run_at_every_connection_and_again_after_a_failure(nats: NatsServer) -> None:
    runs: list[int] = []

    async def hook() -> None:
        runs.append(1)
        if len(runs) == 1:
            raise TimeoutError

    settings = ServiceSettings(nats_url=nats.url)
    async with nats_connection(settings, Readiness(), "test") as messaging:
        messaging.at_connection(hook)
        async with asyncio.timeout(10):
            await messaging.ready()
        assert len(runs) == 2
        nats.kill()
        nats.start()
        await eventually(lambda: len(runs) == 3)


async def test_hook_that_is_added_late_is_run_at_once_and_at_every_connection(nats: NatsServer) -> None:
    ran: list[str] = []

    def hook(name: str, failures: int = 0) -> Hook:
        async def run() -> None:
            ran.append(name)
            if ran.count(name) <= failures:
                raise TimeoutError

        return run

    async with connected(nats) as messaging:
        messaging.at_connection(hook("first"))
        await eventually(lambda: ran == ["first"])
        await messaging.ready()
        messaging.at_connection(hook("failing", failures=1))
        assert messaging.lacking() == "NATS is being set up"
        messaging.at_connection(hook("last"))
        async with asyncio.timeout(10):
            await messaging.ready()
        assert ran == ["first", "failing", "failing", "last"]
        nats.kill()
        nats.start()
        await eventually(lambda: ran[4:] == ["first", "failing", "last"])
        await eventually(lambda: messaging.lacking() is None)


async def test_usage_is_kept_although_its_consumer_was_never_there(nats: NatsServer) -> None:
    async with connected(nats) as messaging:
        for _ in range(2):
            await streams.ensure(messaging.jetstream, streams.USAGE)
        await messaging.publish_durable(subjects.usage_recorded("t1"), b"event", "id-1")
        await messaging.publish_durable(subjects.usage_recorded("t1"), b"event", "id-1")
        info = await messaging.jetstream.stream_info("OMNIX_USAGE")
        assert info.state.messages == 1


async def test_stream_forgets_what_every_durable_acknowledged_and_nothing_else(nats: NatsServer) -> None:
    async with connected(nats) as messaging:
        jetstream = messaging.jetstream
        await streams.ensure(jetstream, streams.USAGE)
        assert await streams.forget_acknowledged(jetstream, streams.USAGE) == 0
        for number in range(10):
            await messaging.publish_durable(subjects.usage_recorded("t1"), b"event", f"id-{number}")
        assert await streams.forget_acknowledged(jetstream, streams.USAGE) == 0
        durable = await jetstream.pull_subscribe_bind(durable="usage-metering", stream="OMNIX_USAGE")
        messages = await durable.fetch(10, timeout=5)
        for message in (*messages[:6], messages[8]):
            await message.ack_sync()
        assert await streams.forget_acknowledged(jetstream, streams.USAGE) == 6
        assert await streams.forget_acknowledged(jetstream, streams.USAGE) == 0
        state = (await jetstream.stream_info("OMNIX_USAGE")).state
        assert (state.first_seq, state.messages) == (7, 4)
        await durable.unsubscribe()


async def _acknowledge(messaging: Messaging, durable: str, count: int) -> None:
    reader = await messaging.jetstream.pull_subscribe_bind(durable=durable, stream="OMNIX_USAGE")
    for message in await reader.fetch(count, timeout=5):
        await message.ack_sync()
    await reader.unsubscribe()


async def test_stream_waits_for_a_guest_while_there_is_one(nats: NatsServer) -> None:
    async with connected(nats) as messaging:
        jetstream = messaging.jetstream
        await streams.ensure(jetstream, streams.USAGE, streams.ANALYTICS)
        for number in range(10):
            await messaging.publish_durable(subjects.usage_recorded("t1"), b"event", f"id-{number}")
        await _acknowledge(messaging, "usage-metering", 10)
        assert await streams.forget_acknowledged(jetstream, streams.USAGE) == 0
        await _acknowledge(messaging, "analytics", 4)
        assert await streams.forget_acknowledged(jetstream, streams.USAGE) == 4
        await streams.ensure(jetstream, streams.USAGE)  # as a service does that knows of no guest
        assert await streams.forget_acknowledged(jetstream, streams.USAGE) == 0
        await jetstream.delete_consumer("OMNIX_USAGE", "analytics")
        assert await streams.forget_acknowledged(jetstream, streams.USAGE) == 6


async def test_stream_that_is_half_full_waits_for_no_guest(nats: NatsServer) -> None:
    little = replace(streams.USAGE, max_bytes=100_000)
    async with connected(nats) as messaging:
        jetstream = messaging.jetstream
        await streams.ensure(jetstream, little, streams.ANALYTICS)
        for number in range(40):
            await messaging.publish_durable(subjects.usage_recorded("t1"), bytes(1000), f"id-{number}")
        await _acknowledge(messaging, "usage-metering", 30)
        assert await streams.forget_acknowledged(jetstream, little) == 0
        for number in range(40, 60):
            await messaging.publish_durable(subjects.usage_recorded("t1"), bytes(1000), f"id-{number}")
        assert await streams.forget_acknowledged(jetstream, little) == 30
        reader = await jetstream.pull_subscribe_bind(durable="analytics", stream="OMNIX_USAGE")
        [first] = await reader.fetch(1, timeout=5)
        assert first.metadata.sequence.stream == 31
        await reader.unsubscribe()


async def test_recorded_chunks_outlive_their_server(nats: NatsServer, tmp_path: Path) -> None:
    """They are written behind the acknowledgement; the last ones before the death are the sender's to repeat."""
    async with connected(nats) as messaging:
        await streams.ensure(messaging.jetstream, streams.CHUNKS)
        for number in range(50):
            await messaging.publish_durable(subjects.chunks("gw", "c1"), bytes(2000), f"id-{number}")
        await eventually(lambda: sum(path.read_bytes().count(b"id-") for path in tmp_path.rglob("*.blk")) == 50)
        nats.kill()
        await eventually(lambda: messaging.lacking() is not None)
        nats.start()
        await eventually(lambda: messaging.lacking() is None)
        await streams.ensure(messaging.jetstream, streams.CHUNKS)
        assert (await messaging.jetstream.stream_info("OMNIX_CHUNKS")).state.messages == 50


async def test_recording_of_another_kind_is_replaced_and_money_never(nats: NatsServer) -> None:
    async with connected(nats) as messaging:
        jetstream = messaging.jetstream
        before = replace(streams.CHUNKS, storage=StorageType.MEMORY, persist_mode=None)
        await jetstream.add_stream(before)
        await streams.ensure(jetstream, streams.CHUNKS)
        assert (await jetstream.stream_info("OMNIX_CHUNKS")).config.storage == StorageType.FILE
        await jetstream.add_stream(replace(streams.USAGE, storage=StorageType.MEMORY))
        with pytest.raises(ServerError):
            await streams.ensure(jetstream, streams.USAGE)


async def test_stream_is_made_again_after_the_server_was_killed(nats: NatsServer) -> None:
    async with connected(nats) as messaging:

        async def hook() -> None:
            await streams.ensure(messaging.jetstream, streams.CHUNKS)

        messaging.at_connection(hook)
        await hook()
        nats.kill()
        await eventually(lambda: messaging.lacking() is not None)
        nats.start()
        await eventually(lambda: messaging.lacking() is None)
        await messaging.publish_durable(subjects.chunks("gw", "c1"), b"chunk", "id-2")


async def test_hook_with_a_defect_is_run_again(nats: NatsServer) -> None:
    runs: list[int] = []

    async def hook() -> None:
        runs.append(1)
        if len(runs) == 1:
            raise KeyError("a defect")

    async with nats_connection(ServiceSettings(nats_url=nats.url), Readiness(), "test") as messaging:
        messaging.at_connection(hook)
        async with asyncio.timeout(10):
            await messaging.ready()
        assert len(runs) == 2


async def test_publishing_to_a_server_that_reads_nothing_ends_in_time(nats: NatsServer) -> None:
    async with connected(nats) as messaging:
        with nats.paused():
            async with asyncio.timeout(6):
                with pytest.raises(PlatformError):
                    await messaging.publish_all(("a.b", bytes(512 * 1024)) for _ in range(200))
