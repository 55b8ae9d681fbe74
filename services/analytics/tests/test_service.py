"""Analytics as a process, through outages and crashes: every attempt once, in its own time, for its own tenant."""

import asyncio
import contextlib
import random
import sqlite3
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from nats.aio.msg import Msg
from omnix.analytics.v1 import analytics_pb2
from omnix.analytics.v1 import analytics_service_pb2 as pb
from omnix.usage.v1 import usage_pb2
from omnix_analytics.spans import DAY, HOUR, MINUTE, floor
from omnix_kit import dead, streams, subjects
from omnix_kit.convert import datetime_from, timestamp
from omnix_kit.errors import OmnixError, Reason
from omnix_kit.testing import NatsServer, connected, eventually

from .conftest import (
    NOW,
    Service,
    asked_for,
    client_of,
    event,
    fact,
    publish,
    rollups_in,
    rollups_of,
)

MODELS = ("gpt-4o", "gpt-4.1")


def some_events(count: int, seed: int = 3) -> list[usage_pb2.UsageRecorded]:
    seeded = random.Random(seed)
    return [
        event(
            NOW - timedelta(seconds=seeded.randrange(7200)),
            timedelta(milliseconds=seeded.randrange(10, 9_000)),
            model=seeded.choice(MODELS),
            caller={"key_id": f"k{seeded.randrange(3)}", "user_id": f"u{seeded.randrange(5)}"},
        )
        for _ in range(count)
    ]


async def test_events_that_piled_up_are_counted_once_and_poison_is_told(service: Service, nats: NatsServer) -> None:
    events = some_events(1500)
    carrier, carried = event(), some_events(200, seed=4)
    poison = event(usage={"input_tokens": -1})
    carrier.more.extend([*carried, poison])
    late = event(NOW - timedelta(hours=73))
    async with connected(nats) as messaging:
        await streams.ensure(messaging.jetstream, streams.USAGE, streams.ANALYTICS)
        await publish(messaging, [*events[:800], carrier, late])
        await messaging.publish_durable(subjects.usage_recorded("default"), b"\xff\xff", "garbage")
        await publish(messaging, events[500:1000], suffix="-again")  # as the broker forgot them: its window is over
        await publish(messaging, [*events, *carried[:20]])
        service.start()
        async with client_of(service) as client:
            await client.until_attempts(1701)
            await eventually(lambda: (service.events("dead"), service.events("late")) == (2, 1))
            await eventually(lambda: service.events("duplicate") == 520)

        async def taken() -> bool:
            info = await messaging.jetstream.consumer_info("OMNIX_USAGE", "analytics")
            return (info.num_pending, info.num_ack_pending) == (0, 0)

        await eventually(taken)
        letters = {letter.message_id: letter async for letter in dead.letters(messaging, "analytics")}
    assert service.stop() == 0
    assert await rollups_in(service.store_url) == rollups_of(
        map(fact, [*events, event_without_more(carrier), *carried])
    )
    assert letters["garbage"].reason == "it is not a UsageRecorded"
    assert letters[poison.attempt_id].payload == poison.SerializeToString()


def event_without_more(carrier: usage_pb2.UsageRecorded) -> usage_pb2.UsageRecorded:
    alone = usage_pb2.UsageRecorded()
    alone.CopyFrom(carrier)
    alone.ClearField("more")
    return alone


async def test_killed_again_and_again_two_processes_count_every_attempt_once(
    service: Service, nats: NatsServer
) -> None:
    seeded = random.Random(7)
    events = some_events(1200)
    other = replace(service, grpc_port=0, ops_port=service.ops_port + 1)
    pair = [service, other]
    async with connected(nats) as messaging:
        await streams.ensure(messaging.jetstream, streams.USAGE, streams.ANALYTICS)

        async def publishing() -> None:
            for at in range(0, len(events), 50):
                await publish(messaging, events[at : at + 50])

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(publishing())
                for each in pair:
                    await asyncio.to_thread(each.start)
                for _ in range(4):
                    victim = seeded.choice(pair)
                    before, more = victim.events("counted"), seeded.randrange(1, 200)

                    def taken(victim: Service = victim, target: float = before + more) -> bool:
                        return victim.events("counted") >= target

                    with contextlib.suppress(TimeoutError):  # the rest may be in the hands of the one that died
                        await eventually(taken, within=2.5)
                    victim.kill()
                    await asyncio.to_thread(victim.start)
            async with client_of(service) as client:
                await client.until_attempts(1200, within=40)
        finally:
            other.stop()
    assert service.stop() == 0
    assert await rollups_in(service.store_url) == rollups_of(map(fact, events))


async def test_outages_of_store_and_broker_lose_and_double_nothing(service: Service, nats: NatsServer) -> None:
    events = some_events(900)
    async with connected(nats) as messaging:
        service.start()
        async with client_of(service) as client:
            locked = sqlite3.connect(service.database, isolation_level=None)
            locked.execute("BEGIN EXCLUSIVE")
            await publish(messaging, events[:500])
            await eventually(lambda: service.metric('omnix_analytics_put_back_total{cause="store"}') > 0, within=15)
            locked.execute("ROLLBACK")
            locked.close()
            await client.until_attempts(500, within=30)
            nats.kill()
            await eventually(lambda: "NATS" in service.probe("/readyz")[1])
            nats.start()
            await messaging.ready()
            await publish(messaging, events[400:])
            await client.until_attempts(900, within=30)
        assert [letter async for letter in dead.letters(messaging)] == []
    assert service.stop() == 0
    assert await rollups_in(service.store_url) == rollups_of(map(fact, events))


async def test_figures_say_what_the_events_say(service: Service, nats: NatsServer) -> None:
    at = floor(NOW - 3 * HOUR, HOUR)
    seconds = [1, 2, 3, 4, 10]
    good = [event(at + number * MINUTE, timedelta(seconds=took)) for number, took in enumerate(seconds)]
    for number, each in enumerate(good):
        each.caller.user_id = f"u{number % 2}"
        each.first_content_us = 100_000 * (number + 1)
    failed = event(at, outcome=usage_pb2.ATTEMPT_OUTCOME_FAILED, model="o3", provider="other")
    failed.ClearField("price")
    again = event(at, attempt=2, caller={"team_id": "t"}, usage={"estimated": True})
    shadow = event(at + HOUR, purpose=usage_pb2.PURPOSE_SHADOW, streamed=False)
    shadow.streamed = False
    shadow.price.currency = "EUR"
    cancelled = event(at + HOUR, outcome=usage_pb2.ATTEMPT_OUTCOME_CANCELLED, streamed=False)
    cancelled.first_content_us = 0
    async with connected(nats) as messaging:
        service.start()
        async with client_of(service) as client:
            await publish(messaging, [*good, failed, again, shadow, cancelled])
            await client.until_attempts(9)
            total = (await client.totals()).total
            assert (total.attempts, total.requests) == (9, 7)
            assert (total.succeeded, total.failed, total.cancelled) == (7, 1, 1)
            assert (total.estimated, total.unpriced) == (1, 1)
            assert (total.input_tokens, total.output_tokens) == (9000, 900)
            assert {cost.currency: cost.micros for cost in total.costs} == {"USD": 7 * 3500, "EUR": 3500}
            assert total.active_users == 3  # two users, and the key where there is none
            assert total.latency.count == 7
            assert total.latency.average_us == 22_000_000 // 7
            assert abs(total.latency.p50_us - 2_000_000) <= 40_000
            assert abs(total.latency.p99_us - 10_000_000) <= 200_000
            assert total.first_content.count == 7
            by_model = await client.totals(analytics_pb2.DIMENSION_MODEL)
            assert [(group.group, group.figures.attempts) for group in by_model.groups] == [
                ("openai/gpt-4o", 8),
                ("other/o3", 1),
            ]
            by_team = await client.totals(analytics_pb2.DIMENSION_TEAM, provider="openai")
            assert [(group.group, group.figures.attempts) for group in by_team.groups] == [("", 7), ("t", 1)]
            assert (await client.attempts(team_id="")) == 8
            by_user = await client.totals(analytics_pb2.DIMENSION_USER, top=1, team_id="")
            assert [(group.group, group.rest, group.figures.attempts) for group in by_user.groups] == [
                ("", False, 3),
                ("", True, 5),
            ]
            hours = await client.series(HOUR, analytics_pb2.DIMENSION_PROVIDER)
            told = {
                series.group: [(datetime_from(point.start_time), point.figures.attempts) for point in series.points]
                for series in hours.series
            }
            assert told == {"openai": [(at, 6), (at + HOUR, 2)], "other": [(at, 1)]}
            few = await client.series(
                5 * MINUTE, start_time=timestamp(at + MINUTE), end_time=timestamp(at + 4 * MINUTE)
            )
            assert (datetime_from(few.start_time), datetime_from(few.end_time)) == (at, at + 5 * MINUTE)
            assert [point.figures.attempts for point in few.series[0].points] == [7]
            minutes = await client.totals(start_time=timestamp(at + MINUTE), end_time=timestamp(at + 3 * MINUTE))
            assert minutes.total.attempts == 2
            week = await client.series(7 * DAY, start_time=timestamp(NOW - 21 * DAY))
            assert sum(point.figures.attempts for point in week.series[0].points) == 9


async def test_late_event_counts_in_its_own_time(service: Service, nats: NatsServer) -> None:
    spooled = event(NOW - timedelta(hours=30))
    async with connected(nats) as messaging:
        service.start()
        async with client_of(service) as client:
            await publish(messaging, [event(), spooled])
            await client.until_attempts(2)
            hour = floor(NOW - timedelta(hours=30), HOUR)
            assert await client.attempts(start_time=timestamp(hour), end_time=timestamp(hour + HOUR)) == 1


async def test_no_tenant_sees_another(service: Service, nats: NatsServer) -> None:
    mine, foreign = some_events(20), [event(caller={"tenant_id": "other", "key_id": "k1"}) for _ in range(7)]
    async with connected(nats) as messaging:
        service.start()
        async with client_of(service) as client:
            await publish(messaging, [*mine, *foreign])
            await client.until_attempts(20)
            for dimension in (None, *analytics_pb2.Dimension.values()[1:]):
                for tenant, count in (("default", 20), ("other", 7), ("nobody", 0)):
                    assert (await client.totals(dimension, tenant_id=tenant)).total.attempts == count
            assert await client.attempts(tenant_id="other", key_id="k2") == 0
            with pytest.raises(OmnixError) as refused:
                await client.attempts(tenant_id="")
            assert refused.value.param == "filter.tenant_id"


async def test_change_is_announced_and_can_be_asked_for_within_two_seconds(service: Service, nats: NatsServer) -> None:
    heard: asyncio.Queue[analytics_pb2.FiguresChanged] = asyncio.Queue()

    async def on_change(message: Msg) -> None:
        heard.put_nowait(analytics_pb2.FiguresChanged.FromString(message.data))

    async with connected(nats) as messaging:
        await messaging.subscribe(subjects.figures_changed("default"), on_change)
        service.start()
        async with client_of(service) as client:
            for number in range(3):
                began = time.monotonic()
                await publish(messaging, [event(), event(caller={"tenant_id": "other"})])
                changed = await asyncio.wait_for(heard.get(), 10)
                assert (changed.tenant_id, changed.events) == ("default", 1)
                assert await client.attempts() == number + 1
                assert time.monotonic() - began < 2


async def test_question_that_cannot_be_answered_is_refused_by_name(service: Service) -> None:
    month = asked_for(start_time=timestamp(NOW - 30 * DAY))
    service.start()
    async with client_of(service) as client:
        for question, param in (
            (pb.QueryTotalsRequest(), "filter.start_time"),
            (pb.QueryTotalsRequest(filter=asked_for(end_time=timestamp(NOW - 9 * DAY))), "filter.end_time"),
            (pb.QueryTotalsRequest(filter=asked_for(), top=1001), "top"),
            (pb.QueryTotalsRequest(filter=asked_for(), group_by=analytics_pb2.DIMENSION_UNSPECIFIED), "group_by"),
            (pb.QuerySeriesRequest(filter=asked_for()), "bucket"),
            (pb.QuerySeriesRequest(filter=asked_for(), bucket=Duration(seconds=90)), "bucket"),
            (pb.QuerySeriesRequest(filter=asked_for(), bucket=Duration(seconds=2**62)), "bucket"),
            (pb.QuerySeriesRequest(filter=month, bucket=Duration(seconds=60)), "bucket"),
            (pb.StartRebuildRequest(start_time=timestamp(NOW)), "tenant_id"),
            (pb.StartRebuildRequest(tenant_id="default"), "start_time"),
        ):
            with pytest.raises(OmnixError) as refused:
                await client.call(question)
            assert (refused.value.reason, refused.value.param) == (Reason.INVALID_REQUEST, param)
        with pytest.raises(OmnixError) as unknown:
            await client.call(pb.GetRebuildRequest(tenant_id="default"))
        assert unknown.value.reason is Reason.NOT_FOUND


def test_store_that_cannot_be_opened_ends_the_process_with_code_2(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMNIX_STORE_URL", "postgres://localhost/analytics")
    service.start()
    assert service.wait() == 2
    assert "OMNIX_STORE_URL: a store URL begins with" in service.log.read_text()
    assert "Traceback" not in service.log.read_text()
