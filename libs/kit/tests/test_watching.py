"""Looking after a service's needs goes on whatever a look meets."""

import pytest
from nats.js.api import ConsumerConfig, StreamConfig
from omnix_kit.durable import watching
from omnix_kit.health import Readiness
from omnix_kit.testing import NatsServer, connected, eventually
from prometheus_client import REGISTRY, Gauge


async def test_look_with_a_defect_is_told_and_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_LOOK_AGAIN_AFTER", 0.05)
    readiness = Readiness()
    fails = True

    async def look() -> str | None:
        if fails:
            raise KeyError("a defect")
        return None

    async with watching.watching("it", readiness, look):
        await eventually(lambda: "log" in readiness.lacking().get("it", ""))
        fails = False
        await eventually(lambda: readiness.lacking() == {})


@pytest.mark.connected
async def test_age_of_the_oldest_message_is_told_until_it_is_acknowledged(nats: NatsServer) -> None:
    stream = StreamConfig(name="AGED", subjects=["aged"])
    durable = ConsumerConfig(durable_name="keeper")

    def age() -> float | None:
        return REGISTRY.get_sample_value("omnix_durable_oldest_seconds", {"durable": "keeper"})

    async with connected(nats) as messaging:
        jetstream = messaging.jetstream
        await jetstream.add_stream(stream)
        subscription = await jetstream.pull_subscribe("aged", durable="keeper", stream="AGED", config=durable)
        gauges = [Gauge(name, "Of this test.", registry=None) for name in ("pending", "in_hand")]
        behind = watching.Behind(messaging, stream, durable, *gauges)
        assert await behind.look() is None
        assert age() == 0
        await jetstream.publish("aged", b"1")
        await jetstream.publish("aged", b"2")
        assert await behind.look() is None
        first = age()
        assert first is not None
        assert 0 < first < 60
        messages = await subscription.fetch(2, timeout=5)
        await messages[0].ack_sync(5)
        assert await behind.look() is None
        second = age()
        assert second is not None
        assert second > 0, "the second is taken, and not acknowledged"
        await messages[1].ack_sync(5)
        assert await behind.look() is None
        assert age() == 0
