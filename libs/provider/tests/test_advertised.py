"""Which address heartbeats carry, and when."""

from pathlib import Path

import pytest
from nats.aio.msg import Msg
from omnix.provider.v1.heartbeat_pb2 import SenderHeartbeat
from omnix_kit import subjects
from omnix_kit.errors import ConfigurationError
from omnix_kit.settings import load
from omnix_kit.testing import connected, eventually, nats_server
from omnix_provider.advertised import advertised
from omnix_provider.publisher import publishing
from omnix_provider.settings import AdapterSettings


@pytest.mark.parametrize(
    ("host", "set_to", "address"),
    [
        ("127.0.0.1", None, "127.0.0.1:5001"),
        ("localhost", None, "localhost:5001"),
        ("::1", None, "[::1]:5001"),
        ("0.0.0.0", None, ""),
        ("10.0.0.7", None, ""),
        ("0.0.0.0", "acme.adapters:7000", "acme.adapters:7000"),
        ("127.0.0.1", "[fd00::7]:7000", "[fd00::7]:7000"),
    ],
)
def test_address_is_what_is_set_or_where_loopback_is_listened_on(host: str, set_to: str | None, address: str) -> None:
    settings = AdapterSettings.model_validate({"grpc_host": host, "grpc_token": "shared", "advertised_address": set_to})
    assert advertised(settings, 5001) == address


@pytest.mark.parametrize("value", ["acme", "acme:0", "acme:65536", "http://acme:1", "unix:/acme", "a b:1", "fd00::7:1"])
def test_wrong_address_is_told_with_its_variable(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("OMNIX_ADVERTISED_ADDRESS", value)
    with pytest.raises(ConfigurationError, match="OMNIX_ADVERTISED_ADDRESS: must be host:port"):
        load(AdapterSettings)


async def test_address_is_told_at_once_and_taken_back_when_the_process_begins_to_stop(tmp_path: Path) -> None:
    with nats_server(tmp_path) as server:
        async with connected(server) as listener, connected(server) as messaging:
            heard: list[str] = []

            async def on_beat(message: Msg) -> None:
                heard.append(SenderHeartbeat.FromString(message.data).address)

            await listener.subscribe(subjects.SENDER_HEARTBEATS, on_beat)
            await listener.client.flush()
            async with publishing(messaging, "s1", 0) as publisher:
                await eventually(lambda: heard[-1:] == [""])
                async with publisher.advertising("127.0.0.1:5001"):
                    await eventually(lambda: heard[-1] == "127.0.0.1:5001", within=0.8)
                await eventually(lambda: heard[-1] == "", within=0.8)
