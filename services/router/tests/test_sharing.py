"""What routers write at once, and what outlives the server's loss of its disk."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from omnix_kit import streams
from omnix_kit.errors import Reason, error_for
from omnix_kit.messaging import Messaging
from omnix_kit.testing import NatsServer, connected, eventually, nats_server
from omnix_router.health.circuits import Rules
from omnix_router.health.sharing import Sharing
from omnix_router.health.state import Health
from omnix_router.routing import Target

RULES = Rules(in_a_row=1, cooldown=0.2)
LONG = Rules(in_a_row=1)
DOWN = error_for(Reason.PROVIDER_UNAVAILABLE, "down", provider="my.own", provider_status=503)


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    """A server without the word of other tests' routers."""
    with nats_server(tmp_path / "nats") as server:
        yield server


@asynccontextmanager
async def sharing(server: NatsServer, name: str, rules: Rules) -> AsyncIterator[tuple[Health, Sharing, Messaging]]:
    """A router's part in sharing, set up."""
    async with connected(server, name) as messaging:
        health = Health(rules, name)
        shared = Sharing(messaging, health)
        await shared.connected()
        messaging.at_connection(shared.connected)
        async with shared.followed():
            yield health, shared, messaging


def fail(health: Health, model: str) -> None:
    now = time.time()
    health.failed(Target("my.own", model), DOWN, now, now)


async def test_what_many_write_at_once_is_kept(nats: NatsServer) -> None:
    async with (
        sharing(nats, "one", LONG) as (one, _, _),
        sharing(nats, "two", LONG) as (two, _, messaging),
        sharing(nats, "three", LONG) as (three, _, _),
    ):
        for number in range(30):
            for health, name in ((one, "a"), (two, "b"), (three, "c")):
                fail(health, f"{name}.{number}")
            await asyncio.sleep(0)
        await eventually(lambda: [len(health.outages) for health in (one, two, three)] == [90, 90, 90], 30)
        await eventually(lambda: not (one.pending or two.pending or three.pending), 30)
        assert one.outages.keys() == two.outages.keys() == three.outages.keys()
        state = (await messaging.jetstream.stream_info(streams.HEALTH.name or "")).state
        await messaging.jetstream.purge_stream(streams.HEALTH.name or "")
        assert state.messages == 1


async def test_one_of_many_claims_the_probe(nats: NatsServer) -> None:
    async with (
        sharing(nats, "one", RULES) as (one, first, messaging),
        sharing(nats, "two", RULES) as (two, second, _),
    ):
        fail(one, "m.1")
        target = "my.own/m.1"
        await eventually(lambda: target in two.outages)
        for _ in range(5):
            await eventually(lambda: all(not each.outages[target].bars(time.time(), RULES) for each in (one, two)))
            claims = await asyncio.gather(first.claim(target), second.claim(target))
            assert sorted(claims) == [False, True]
        await messaging.jetstream.purge_stream(streams.HEALTH.name or "")


async def test_server_that_lost_its_disk_is_told_again(tmp_path: Path) -> None:
    with nats_server(tmp_path / "nats") as server:
        async with sharing(server, "one", LONG) as (one, _, messaging):
            fail(one, "m")
            await eventually(lambda: not one.pending)
            server.kill()
            await eventually(lambda: messaging.lacking() is not None, 20)
            shutil.rmtree(tmp_path / "nats")
            server.start()
            await eventually(lambda: messaging.lacking() is None, 20)
            async with sharing(server, "young", LONG) as (young, _, _):
                assert young.outages.keys() == one.outages.keys() == {"my.own/m"}
