"""The recording answers in time, or is said to be away."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from omnix_kit import recording
from omnix_kit.errors import PlatformError, Reason
from omnix_kit.recording import Recording
from omnix_kit.testing import NatsServer, connected, eventually


async def test_waiting_for_a_turn_has_its_time_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "_WITHIN", 0.05)
    monkeypatch.setattr(recording, "_AT_ONCE", 0)
    messaging: Any = SimpleNamespace(client=SimpleNamespace(is_connected=True, new_inbox=lambda: "inbox"))
    async with asyncio.timeout(5):
        with pytest.raises(PlatformError) as away:
            await Recording(messaging).first("c")
    assert away.value.reason is Reason.UNAVAILABLE


@pytest.mark.connected
async def test_broker_that_takes_nothing_more_keeps_nobody_waiting(nats: NatsServer) -> None:
    """The client library swallows the cancellation of whoever waits for room in it; nobody is told twice."""
    async with connected(nats) as messaging:
        with nats.paused():
            client: Any = messaging.client
            publishing: list[asyncio.Task[None]] = []
            async with asyncio.timeout(10):
                while not client._flush_queue.full():
                    held_back = client._transport._io_writer.transport.get_write_buffer_size() > 0
                    payload = b"" if held_back else bytes(60_000)
                    publishing.append(asyncio.create_task(client.publish("flood", payload)))
                    await asyncio.sleep(0)
            async with asyncio.timeout(10):
                with pytest.raises(PlatformError) as away:
                    await Recording(messaging).first("0" * 32)
        await asyncio.wait(publishing, timeout=10)
        await eventually(client._flush_queue.empty)
    assert away.value.reason is Reason.UNAVAILABLE
