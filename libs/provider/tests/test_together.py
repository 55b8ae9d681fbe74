"""Events that travel in one message, up to the stream of a real broker."""

import dataclasses
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio
from nats.aio.msg import Msg
from omnix.usage.v1 import usage_pb2
from omnix_kit import streams, subjects
from omnix_kit.caller import Caller
from omnix_kit.health import Readiness
from omnix_kit.ids import uuid7
from omnix_kit.messaging import Messaging, nats_connection
from omnix_kit.settings import ServiceSettings
from omnix_kit.testing import NatsServer, eventually, nats_server
from omnix_provider.journal import orphans
from omnix_provider.spool import Record
from omnix_provider.together import Closed, one_message, together
from omnix_provider.types import Attempt, CompletionRequest, Usage
from omnix_provider.usage import Meter, metering

REQUEST = CompletionRequest("gpt-4o", ())


def record(tenant: str = "t1", padding: int = 0) -> Record:
    event = usage_pb2.UsageRecorded(attempt_id=uuid7(), model="m" * padding)
    return Record(subjects.usage_recorded(tenant), event.attempt_id, event.SerializeToString())


def closed(records: Sequence[Record]) -> list[Closed]:
    return [Closed(slot, record) for slot, record in enumerate(records)]


def slots(groups: Iterator[list[Closed]]) -> list[list[int]]:
    return sorted([event.slot for event in group] for group in groups)


def test_message_holds_events_of_one_tenant() -> None:
    assert slots(together(closed([record("a"), record("b"), record("a"), record("c")]))) == [[0, 2], [1], [3]]


def test_message_is_bounded_in_number_and_in_size() -> None:
    assert list(map(len, slots(together(closed([record() for _ in range(150)]))))) == [64, 64, 22]
    large = [record(padding=30_000) for _ in range(5)]
    assert slots(together(closed([*large, record(padding=200_000)]))) == [[0, 1], [2, 3], [4], [5]]


@pytest.mark.parametrize("padding", [0, 100, 20_000])
def test_message_reads_as_its_first_event_with_more(padding: int) -> None:
    records = [record(padding=padding) for _ in range(3)]
    first, *more = (usage_pb2.UsageRecorded.FromString(each.event) for each in records)
    whole = usage_pb2.UsageRecorded()
    whole.CopyFrom(first)
    whole.more.extend(more)
    assert usage_pb2.UsageRecorded.FromString(one_message(records).event) == whole


def test_message_is_known_by_exactly_its_events() -> None:
    one, two, three = record(), record(), record()
    assert one_message([one]) == one
    groups = [[one, two], [one, two, three], [one, three], [two, one], [one], [two]]
    assert len({one_message(group).message_id for group in groups}) == len(groups)
    assert one_message([one, two]).message_id == one_message([one, two]).message_id


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server


@dataclasses.dataclass
class Scene:
    messaging: Messaging
    meter: Meter
    messages: list[Msg]
    """What came on the subjects of usage."""

    @property
    def events(self) -> list[str]:
        """The attempts that were told, sorted."""
        told = [usage_pb2.UsageRecorded.FromString(message.data) for message in self.messages]
        return sorted(event.attempt_id for first in told for event in (first, *first.more))

    def end_attempts(self, tenant: str, count: int) -> list[str]:
        ids = []
        for _ in range(count):
            attempt = Attempt(uuid7(), uuid7(), 1, Caller(tenant, "", "", "k1"), "openai", "gpt-4o")
            metered = self.meter.open(attempt, REQUEST, streamed=False, sandbox=False, input_tokens=7)
            metered.handed_over()
            metered.close(usage_pb2.ATTEMPT_OUTCOME_SUCCEEDED, Usage(1, 1))
            ids.append(attempt.attempt_id)
        return ids


@pytest_asyncio.fixture
async def scene(nats: NatsServer, tmp_path: Path) -> AsyncIterator[Scene]:
    async with (
        nats_connection(ServiceSettings(nats_url=nats.url), Readiness(), "test") as messaging,
        metering(messaging, tmp_path, slots=256, spool_bytes=1_000_000) as meter,
    ):
        made = Scene(messaging, meter, [])

        async def take(message: Msg) -> None:
            made.messages.append(message)

        await messaging.ready()
        await messaging.subscribe(subjects.USAGE_RECORDED, take)
        yield made


async def test_attempts_that_end_together_are_told_together(scene: Scene, tmp_path: Path) -> None:
    ids = scene.end_attempts("a", 20) + scene.end_attempts("b", 10)
    await eventually(lambda: len(scene.events) == 30)
    assert scene.events == sorted(ids)
    assert [message.subject.rpartition(".")[2] for message in scene.messages] == ["a", "b"]
    await eventually(lambda: not list(orphans(tmp_path / "0" / "journal")))


async def test_events_of_a_message_that_the_broker_refuses_come_one_by_one(scene: Scene, tmp_path: Path) -> None:
    small = dataclasses.replace(streams.USAGE, max_msg_size=1000)
    await scene.messaging.jetstream.update_stream(small)
    before = (await scene.messaging.jetstream.stream_info("OMNIX_USAGE")).state.messages
    ids = scene.end_attempts("a", 20)

    async def stored() -> bool:
        return (await scene.messaging.jetstream.stream_info("OMNIX_USAGE")).state.messages == before + 20

    await eventually(stored)
    alone = [message for message in scene.messages if not usage_pb2.UsageRecorded.FromString(message.data).more]
    assert sorted((message.headers or {})["Nats-Msg-Id"] for message in alone) == sorted(ids)
    await eventually(lambda: not list(orphans(tmp_path / "0" / "journal")))
