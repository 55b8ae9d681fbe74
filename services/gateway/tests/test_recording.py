"""The recording answers in time, or is said to be away."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from omnix_gateway.streaming import recording
from omnix_gateway.streaming.recording import Recording
from omnix_kit.errors import PlatformError, Reason


async def test_waiting_for_a_turn_has_its_time_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "_WITHIN", 0.05)
    monkeypatch.setattr(recording, "_AT_ONCE", 0)
    messaging: Any = SimpleNamespace(client=SimpleNamespace(is_connected=True, new_inbox=lambda: "inbox"))
    async with asyncio.timeout(5):
        with pytest.raises(PlatformError) as away:
            await Recording(messaging).first("c")
    assert away.value.reason is Reason.UNAVAILABLE
