"""Figures made anew from the ledger are those that events made."""

import asyncio
import random
from datetime import timedelta
from typing import Any

from omnix.analytics.v1 import analytics_pb2
from omnix.analytics.v1 import analytics_service_pb2 as pb
from omnix.usage.v1 import usage_pb2
from omnix_analytics.spans import DAY, HOUR, floor
from omnix_kit.convert import timestamp
from omnix_kit.testing import NatsServer, connected, eventually

from .conftest import NOW, Client, Service, client_of, event, fact, publish, rollups_in, rollups_of

RUNNING, DONE = analytics_pb2.Rebuild.STATE_RUNNING, analytics_pb2.Rebuild.STATE_DONE


def some_events(count: int) -> list[usage_pb2.UsageRecorded]:
    """Of the last three days; every tenth attempt is told by two processes."""
    seeded = random.Random(11)
    told = []
    for number in range(count):
        ended = NOW - timedelta(seconds=seeded.randrange(60 * 3600))
        one = event(ended, timedelta(milliseconds=seeded.randrange(10, 9_000)), caller={"key_id": f"k{number % 3}"})
        if number % 10 == 0:
            orphan = usage_pb2.UsageRecorded()
            orphan.CopyFrom(one)
            orphan.outcome, orphan.usage.estimated = usage_pb2.ATTEMPT_OUTCOME_INTERRUPTED, True
            orphan.end_time.CopyFrom(timestamp(ended + HOUR))
            told.append(orphan)
        told.append(one)
    return told


def final(told: list[usage_pb2.UsageRecorded]) -> Any:
    return rollups_of(fact(each) for each in told if each.outcome == usage_pb2.ATTEMPT_OUTCOME_SUCCEEDED)


async def rebuilt(client: Client) -> analytics_pb2.Rebuild:
    found = analytics_pb2.Rebuild()

    async def done() -> bool:
        nonlocal found
        found = (await client.call(pb.GetRebuildRequest(tenant_id="default"))).rebuild
        return bool(found.state == DONE)

    await eventually(done, within=30)
    return found


def asked() -> pb.StartRebuildRequest:
    return pb.StartRebuildRequest(tenant_id="default", start_time=timestamp(NOW - 3 * DAY))


async def test_rebuild_of_a_lost_store_equals_what_events_made(
    service: Service, ledger: Service, nats: NatsServer
) -> None:
    told = some_events(400)
    service.more["OMNIX_USAGE_METERING_ADDRESS"] = ledger.address
    async with connected(nats) as messaging:
        service.start()
        ledger.start()
        async with client_of(service) as client:
            orphans = [each for each in told if each.outcome == usage_pb2.ATTEMPT_OUTCOME_INTERRUPTED]
            await publish(messaging, orphans, suffix="-orphan")
            await publish(messaging, (each for each in told if each not in orphans))
            await eventually(lambda: service.events("counted") + service.events("duplicate") == len(told))
        assert service.stop() == 0
        assert await rollups_in(service.store_url) == final(told)
        for file in service.folder.glob("analytics.db*"):
            file.unlink()
        service.start()
        async with client_of(service) as client:
            assert await client.attempts() == 0
            began = (await client.call(asked())).rebuild
            assert (began.state, began.start_time) == (RUNNING, timestamp(floor(NOW - 3 * DAY, DAY)))
            found = await rebuilt(client)
            assert (found.rebuild_id, found.reached_time, found.error) == (began.rebuild_id, began.start_time, "")
            assert found.entries_read >= 400
    assert service.stop() == 0
    assert await rollups_in(service.store_url) == final(told)


async def test_rebuild_counts_what_comes_meanwhile_once_and_outlives_a_crash(
    service: Service, ledger: Service, nats: NatsServer
) -> None:
    told = [each for each in some_events(900) if each.outcome == usage_pb2.ATTEMPT_OUTCOME_SUCCEEDED]
    service.more["OMNIX_USAGE_METERING_ADDRESS"] = ledger.address
    async with connected(nats) as messaging:
        service.start()
        ledger.start()
        async with client_of(service) as client:
            await publish(messaging, told[:600])
            await client.until_attempts(1)
            began = (await client.call(asked())).rebuild
            assert (await client.call(asked())).rebuild.rebuild_id == began.rebuild_id  # one is enough
            async with asyncio.TaskGroup() as group:
                group.create_task(publish(messaging, told[600:]))
                await eventually(lambda: service.metric("omnix_analytics_rebuilt_entries_total") > 0, within=20)
                service.kill()
        service.start()
        async with client_of(service) as client:
            # The dead one's hold on the rebuild has to end first.
            assert (await rebuilt_within(client, 60)).state == DONE
            await eventually(lambda: service.metric("omnix_analytics_pending") == 0)
    assert service.stop() == 0
    assert await rollups_in(service.store_url) == final(told)


async def rebuilt_within(client: Client, seconds: float) -> analytics_pb2.Rebuild:
    async with asyncio.timeout(seconds):
        while True:
            try:
                return await rebuilt(client)
            except TimeoutError:
                continue


async def test_rebuild_waits_for_a_ledger_that_is_away_and_clears_nothing(
    service: Service, ledger: Service, nats: NatsServer
) -> None:
    told = [event(NOW - timedelta(minutes=number)) for number in range(50)]
    service.more["OMNIX_USAGE_METERING_ADDRESS"] = ledger.address
    async with connected(nats) as messaging:
        service.start()
        async with client_of(service) as client:
            await publish(messaging, told)
            await client.until_attempts(50)
            await client.call(asked())

            async def waits() -> bool:
                found = (await client.call(pb.GetRebuildRequest(tenant_id="default"))).rebuild
                return found.state == RUNNING and "away" in found.error

            await eventually(waits, within=20)
            answer = await client.totals()
            assert (answer.total.attempts, answer.rebuilding) == (50, True)
            ledger.start()
            await rebuilt(client)
            answer = await client.totals()
            assert (answer.total.attempts, answer.rebuilding) == (50, False)
    assert service.stop() == 0
    assert await rollups_in(service.store_url) == rollups_of(map(fact, told))
