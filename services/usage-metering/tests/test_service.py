"""Usage-metering as a process, through outages and crashes: every event once."""

import asyncio
import contextlib
import random
import sqlite3

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from omnix.usage.v1 import usage_pb2
from omnix.usage.v1 import usage_service_pb2 as pb
from omnix_kit import dead, streams, subjects
from omnix_kit.convert import timestamp
from omnix_kit.errors import OmnixError, Reason
from omnix_kit.ids import uuid7
from omnix_kit.testing import NatsServer, connected, eventually

from .conftest import START, Service, client_of, event, ids, publish  # type: ignore[import-not-found] # mypy names no module with a hyphen


async def test_events_that_piled_up_are_written_once_and_poison_is_told(service: Service, nats: NatsServer) -> None:
    events = [event() for _ in range(2000)]
    poison = event(usage={"input_tokens": -1})
    async with connected(nats) as messaging:
        await streams.ensure(messaging.jetstream, streams.USAGE)
        await publish(messaging, events[:1000])
        await publish(messaging, [poison])
        await messaging.publish_durable(subjects.usage_recorded("default"), b"\xff\xff", "garbage")
        await publish(messaging, events[500:1500], suffix="-again")  # as the broker forgot them: its window is over
        await publish(messaging, events)
        service.start()
        async with client_of(service) as client:
            await client.until_attempts(2000)
            await eventually(lambda: service.metric('omnix_usage_events_total{result="dead"}') == 2)
            entries = await client.entries()
        letters = [letter async for letter in dead.letters(messaging, "usage-metering")]

        async def forgotten() -> bool:
            return (await messaging.jetstream.stream_info("OMNIX_USAGE")).state.messages == 0

        await eventually(forgotten)  # what its only durable has acknowledged
    assert ids(entries) == sorted(each.attempt_id for each in events)
    assert sum(entry.cost_micros for entry in entries) == 2000 * 3500
    assert service.metric('omnix_usage_events_total{result="duplicate"}') == 1000
    assert [(letter.message_id, letter.reason, letter.subject, letter.payload) for letter in letters] == [
        (
            poison.attempt_id,
            "usage.input_tokens is -1, which cannot be",
            "omnix.v1.usage.recorded.default",
            poison.SerializeToString(),
        ),
        ("garbage", "it is not a UsageRecorded", "omnix.v1.usage.recorded.default", b"\xff\xff"),
    ]
    assert service.stop() == 0


async def test_message_of_many_events_makes_an_entry_of_each_and_buries_only_its_poison(
    service: Service, nats: NatsServer
) -> None:
    carriers = [event() for _ in range(3)]
    many = [event() for _ in range(2500)]
    poison = event(usage={"input_tokens": -1})
    for carrier in carriers:
        carrier.more.extend(many[:900] if carrier is carriers[1] else many)  # and again: told twice
    carriers[0].more.append(poison)
    async with connected(nats) as messaging:
        service.start()
        async with client_of(service) as client:
            for carrier in carriers:
                for part in range(0, len(carrier.more), 900):
                    message = type(carrier)()
                    message.CopyFrom(carrier)
                    message.ClearField("more")
                    message.more.extend(carrier.more[part : part + 900])
                    await publish(messaging, [message], suffix=f"-{part}")
            await client.until_attempts(2503)
            await eventually(lambda: service.metric('omnix_usage_events_total{result="dead"}') == 1)
            assert ids(await client.entries()) == sorted(each.attempt_id for each in [*carriers, *many])
        [letter] = [letter async for letter in dead.letters(messaging, "usage-metering")]
    assert (letter.message_id, letter.payload) == (poison.attempt_id, poison.SerializeToString())


async def test_crashes_lose_and_double_nothing(service: Service, nats: NatsServer) -> None:
    seeded = random.Random(7)
    events = [event() for _ in range(2000)]
    async with connected(nats) as messaging:
        await streams.ensure(messaging.jetstream, streams.USAGE)

        async def publishing() -> None:
            for at in range(0, len(events), 50):
                await publish(messaging, events[at : at + 50])

        async with asyncio.TaskGroup() as group:
            group.create_task(publishing())
            for _ in range(3):
                await asyncio.to_thread(service.start)
                before = service.metric('omnix_usage_events_total{result="written"}')
                more = seeded.randrange(1, 400)

                def taken(target: float = before + more) -> bool:
                    return float(service.metric('omnix_usage_events_total{result="written"}')) >= target

                with contextlib.suppress(TimeoutError):  # the rest may be in the hands of the one that died
                    await eventually(taken, within=3)
                service.kill()
        service.start()
        async with client_of(service) as client:
            await client.until_attempts(2000, within=30)
            entries = await client.entries()
    assert ids(entries) == sorted(each.attempt_id for each in events)


async def test_broker_that_dies_and_comes_back_loses_nothing(service: Service, nats: NatsServer) -> None:
    events = [event() for _ in range(600)]
    async with connected(nats) as messaging:
        service.start()
        async with client_of(service) as client:
            await publish(messaging, events[:300])
            nats.kill()
            await eventually(lambda: "NATS" in service.probe("/readyz")[1])
            nats.start()
            await messaging.ready()
            await publish(messaging, events[300:])
            await client.until_attempts(600, within=30)
            assert ids(await client.entries()) == sorted(each.attempt_id for each in events)
        await eventually(service.ready)
    assert service.stop() == 0


async def test_store_that_is_locked_loses_nothing_and_uses_up_no_tries(service: Service, nats: NatsServer) -> None:
    events = [event() for _ in range(1200)]
    async with connected(nats) as messaging:
        service.start()
        async with client_of(service) as client:
            locked = sqlite3.connect(service.database, isolation_level=None)
            locked.execute("BEGIN EXCLUSIVE")
            await publish(messaging, events)
            await eventually(lambda: service.metric('omnix_usage_put_back_total{cause="store"}') > 0, within=15)
            assert await client.attempts() == 0
            locked.execute("ROLLBACK")
            locked.close()
            await client.until_attempts(1200, within=30)
            assert ids(await client.entries()) == sorted(each.attempt_id for each in events)
        assert [letter async for letter in dead.letters(messaging)] == []


async def test_stream_that_was_deleted_is_made_again(service: Service, nats: NatsServer) -> None:
    async with connected(nats) as messaging:
        service.start()
        async with client_of(service) as client:
            await messaging.jetstream.delete_stream("OMNIX_USAGE")
            await eventually(lambda: not service.ready(), within=15)
            await eventually(service.ready, within=15)
            await publish(messaging, [event()])
            await client.until_attempts(1)


async def test_entries_are_found_by_what_is_asked_and_only_by_their_tenant(service: Service, nats: NatsServer) -> None:
    completion = uuid7()
    unpriced = event(model="local", provider="vllm", caller={"user_id": "ada"})
    unpriced.ClearField("price")
    unpriced.start_time.CopyFrom(timestamp(START.replace(hour=13)))
    events = [event(completion_id=completion), event(caller={"key_id": "k2"}), unpriced]
    events[1].purpose = usage_pb2.PURPOSE_SHADOW
    foreign = event(caller={"tenant_id": "other"})
    async with connected(nats) as messaging:
        service.start()
        async with client_of(service) as client:
            await publish(messaging, [*events, foreign])
            await client.until_attempts(3)
            await eventually(lambda: service.metric('omnix_usage_events_total{result="written"}') == 4)
            newest = [unpriced, events[1], events[0]]
            found = await client.entries()
            assert [entry.event for entry in found] == newest
            assert [entry.currency for entry in found] == ["", "USD", "USD"]
            assert [entry.HasField("cost_micros") for entry in found] == [False, True, True]
            first, token = await client.page(2)
            second, end = await client.page(2, token)
            assert ([entry.event for entry in first + second], end) == (newest, "")
            for wanted, expected in (
                ({"tenant_id": "other"}, [foreign]),
                ({"tenant_id": "nobody"}, []),
                ({"completion_id": completion}, [events[0]]),
                ({"key_id": "k2"}, [events[1]]),
                ({"user_id": "ada"}, [unpriced]),
                ({"model": "gpt-4o"}, [events[1], events[0]]),
                ({"provider": "vllm"}, [unpriced]),
                ({"purpose": usage_pb2.PURPOSE_SHADOW}, [events[1]]),
                ({"purpose": usage_pb2.PURPOSE_HEDGE}, []),
                ({"answers_only": True}, [unpriced, events[0]]),
                ({"start_time": timestamp(START.replace(minute=1))}, [unpriced]),
                ({"end_time": unpriced.start_time}, [events[1], events[0]]),
            ):
                assert [entry.event for entry in await client.entries(**wanted)] == expected
            summary = await client.call(pb.SummarizeUsageRequest(filter=pb.UsageFilter(tenant_id="default")))
            answers = pb.UsageTotal(
                provider="openai",
                model="gpt-4o",
                currency="USD",
                attempts=1,
                input_tokens=1000,
                output_tokens=100,
                cost_micros=3500,
                billed_micros=3500,
                billed_currency="USD",
            )
            shadows = pb.UsageTotal(purpose=usage_pb2.PURPOSE_SHADOW)
            shadows.MergeFrom(answers)
            assert list(summary.totals) == [
                answers,
                shadows,
                pb.UsageTotal(
                    provider="vllm", model="local", currency="", attempts=1, input_tokens=1000, output_tokens=100
                ),
            ]
            tenant = pb.UsageFilter(tenant_id="default")
            both = pb.UsageFilter(tenant_id="default", purpose=usage_pb2.PURPOSE_SHADOW, answers_only=True)
            no_purpose = pb.UsageFilter(tenant_id="default", purpose=usage_pb2.PURPOSE_UNSPECIFIED)
            no_time = pb.UsageFilter(tenant_id="default", start_time=Timestamp(seconds=2**50))
            for request, param in (
                (pb.ListUsageEntriesRequest(), "filter.tenant_id"),
                (pb.SummarizeUsageRequest(), "filter.tenant_id"),
                (pb.ListUsageEntriesRequest(filter=tenant, page_size=1001), "page_size"),
                (pb.ListUsageEntriesRequest(filter=tenant, page_size=-1), "page_size"),
                (pb.ListUsageEntriesRequest(filter=tenant, page_token="forged"), "page_token"),
                (pb.ListUsageEntriesRequest(filter=no_time), "filter.start_time"),
                (pb.ListUsageEntriesRequest(filter=no_purpose), "filter.purpose"),
                (pb.SummarizeUsageRequest(filter=both), "filter.answers_only"),
            ):
                with pytest.raises(OmnixError) as refused:
                    await client.call(request)
                assert (refused.value.reason, refused.value.param) == (Reason.INVALID_REQUEST, param)


def test_store_that_cannot_be_opened_ends_the_process_with_code_2(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMNIX_STORE_URL", "postgres://localhost/ledger")
    service.start()
    assert service.wait() == 2
    assert "OMNIX_STORE_URL: a store URL begins with" in service.log.read_text()
    assert "Traceback" not in service.log.read_text()
