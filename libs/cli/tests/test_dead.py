"""Dead messages, over a real NATS server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from omnix_cli import dead as command
from omnix_cli.errors import CommandError
from omnix_kit import dead, streams
from omnix_kit.testing import NatsServer, connected, nats_server

pytestmark = pytest.mark.connected


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    with nats_server(tmp_path / "nats") as server:
        yield server


async def bury(server: NatsServer, *messages: str) -> None:
    async with connected(server) as messaging:
        await dead.ensure(messaging)
        await streams.ensure(messaging.jetstream, streams.USAGE)
        for message in messages:
            await dead.bury(
                messaging,
                "usage-metering",
                "cannot be read",
                subject="omnix.v1.usage.recorded.default",
                message_id=message,
                payload=message.encode(),
            )


async def usage_events(server: NatsServer) -> list[bytes]:
    async with connected(server) as messaging:
        reader = await messaging.jetstream.pull_subscribe_bind("usage-metering", "OMNIX_USAGE")
        return [message.data for message in await reader.fetch(10, timeout=1)]


def test_replayed_messages_are_on_their_subject_and_off_the_list(nats: NatsServer) -> None:
    import asyncio

    asyncio.run(bury(nats, "one", "two", "three"))
    assert [(letter.message_id, letter.reason) for letter in command.letters(nats.url)] == [
        (message, "cannot be read") for message in ("one", "two", "three")
    ]
    assert "omnix.v1.usage.recorded.default" in [*command.table(command.letters(nats.url)).columns[3].cells]
    told: list[str] = []
    assert command.replay(nats.url, [2], lambda letter: told.append(letter.message_id)) == 1
    assert command.replay(nats.url, None, lambda letter: told.append(letter.message_id)) == 2
    assert told == ["two", "one", "three"]
    assert command.letters(nats.url) == []
    assert asyncio.run(usage_events(nats)) == [b"two", b"one", b"three"]


def test_unknown_message_is_told(nats: NatsServer) -> None:
    with pytest.raises(CommandError, match="there is no dead message 7"):
        command.replay(nats.url, [7], lambda letter: None)
    assert command.letters(nats.url) == []
