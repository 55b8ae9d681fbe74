"""What happens to chunks and usage when the broker, the adapter or the disk fails: each test has a scene of its own."""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from omnix.completion.v1 import completion_pb2 as pb
from omnix.usage.v1 import usage_pb2
from omnix_kit import subjects
from omnix_kit.convert import error_from_proto
from omnix_kit.errors import OmnixError, Reason
from omnix_kit.messaging import Messaging
from omnix_kit.testing import NatsServer, eventually, nats_server
from omnix_provider.journal import Journal
from omnix_provider.testing import Adapter, Place, Streamed, asking, attempt, scene
from omnix_sandbox.testing import Sandbox

pytestmark = [pytest.mark.connected, pytest.mark.asyncio(loop_scope="module")]

MODULE = "omnix_adapter_openai"


@pytest.fixture
def own_nats(tmp_path: Path) -> Iterator[NatsServer]:
    with nats_server(tmp_path / "nats") as server:
        yield server


def own_scene(nats: NatsServer, sandbox: Sandbox, data: Path, **environment: str) -> AbstractAsyncContextManager[Place]:
    return scene(MODULE, nats, data, {"OMNIX_SANDBOX_URL": sandbox.url, **environment})


async def recorded(messaging: Messaging, streamed: Streamed) -> Streamed:
    """The stream as it is replayed from the record."""
    replayed = Streamed(streamed.attempt)
    subject = subjects.chunks_of_completion(streamed.attempt.completion_id)
    subscription = await messaging.jetstream.subscribe(subject, ordered_consumer=True)
    async with asyncio.timeout(10):
        while not replayed.whole():
            replayed.take(pb.CompletionChunks.FromString((await subscription.next_msg(10)).data))
    await subscription.unsubscribe()
    return replayed


async def test_stream_survives_a_killed_broker_in_the_record_and_at_the_reader(
    own_nats: NatsServer, sandbox: Sandbox, tmp_path: Path
) -> None:
    async with own_scene(own_nats, sandbox, tmp_path / "data") as place:
        during = attempt("sandbox-tokens-100-pace-60")
        streamed = await place.start_stream(during)
        ended = await place.stream(attempt("sandbox-tokens-10"))
        own_nats.kill()
        await eventually(lambda: place.messaging.lacking() is not None)
        own_nats.start()
        await eventually(streamed.whole, 15)
        assert streamed.end is not None
        assert not streamed.end.HasField("error")
        assert (await recorded(place.messaging, streamed)).text == streamed.text
        assert (await recorded(place.messaging, ended)).text == ended.text


async def test_usage_waits_in_the_spool_while_the_broker_is_away_and_survives_a_kill(
    own_nats: NatsServer, sandbox: Sandbox, tmp_path: Path
) -> None:
    async with own_scene(own_nats, sandbox, tmp_path / "data") as place:
        own_nats.kill()
        made = [attempt("sandbox-tokens-7") for _ in range(5)]
        for each in made:
            await place.adapter.complete(each)
        await eventually(lambda: "omnix_usage_spool_bytes 0.0" not in place.adapter.probe("/metrics")[1])
        assert "NATS" in place.adapter.probe("/readyz")[1]
        place.adapter.kill()
        own_nats.start()
        place.adapter.start()
        for each in made:
            event = await place.readers.usage_of(each)
            assert (event.outcome, event.usage.output_tokens) == (usage_pb2.ATTEMPT_OUTCOME_SUCCEEDED, 7)
        await eventually(lambda: "omnix_usage_spool_bytes 0.0" in place.adapter.probe("/metrics")[1])


async def test_full_spool_refuses_new_attempts_and_says_so(
    own_nats: NatsServer, sandbox: Sandbox, tmp_path: Path
) -> None:
    async with own_scene(own_nats, sandbox, tmp_path / "data", OMNIX_SPOOL_BYTES="4096") as place:
        own_nats.kill()
        made = []
        told: OmnixError | None = None
        while told is None:
            made.append(attempt("sandbox-tokens-1"))
            try:
                await place.adapter.complete(made[-1])
            except OmnixError as exc:
                told = exc
        assert told.reason is Reason.OVERLOADED
        assert told.retry_after is not None
        assert "spool" in place.adapter.probe("/readyz")[1]
        own_nats.start()
        for each in made[:-1]:
            await place.readers.usage_of(each)
        await place.adapter.ready()
        await place.adapter.complete(attempt("sandbox-tokens-1"))


async def test_killed_adapter_leaves_one_interrupted_entry_with_about_what_was_delivered(
    own_nats: NatsServer, sandbox: Sandbox, tmp_path: Path
) -> None:
    async with own_scene(own_nats, sandbox, tmp_path / "data") as place:
        made, silent = attempt("sandbox-tokens-2000-pace-200"), attempt("sandbox-silence")
        streamed = await place.start_stream(made)
        waiting = asyncio.create_task(place.refused(silent, streamed=False))
        await sandbox.wait_for_call(lambda call: True, request_id=silent.attempt_id)
        finished = attempt("sandbox-tokens-3")
        await place.adapter.complete(finished)
        await eventually(lambda: len(streamed.chunks) > 50)
        place.adapter.kill()
        await waiting
        delivered = len(streamed.chunks)
        place.adapter.start()
        event = await place.readers.usage_of(made)
        assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_INTERRUPTED
        assert event.usage.estimated
        assert delivered <= event.usage.output_tokens <= 3 * delivered
        assert event.usage.input_tokens > 0
        assert event.end_time.ToNanoseconds() > event.start_time.ToNanoseconds()
        unanswered = await place.readers.usage_of(silent)
        assert (unanswered.outcome, unanswered.usage.output_tokens) == (usage_pb2.ATTEMPT_OUTCOME_INTERRUPTED, 0)
        await place.adapter.ready()
        await place.adapter.complete(attempt("sandbox-tokens-3"))
        assert len(place.readers.of(made)) == 1
        assert len(place.readers.of(finished)) == 1


async def test_slot_that_cannot_be_read_is_set_aside_and_stops_nothing(
    own_nats: NatsServer, sandbox: Sandbox, tmp_path: Path
) -> None:
    made = attempt()
    folder = tmp_path / "data" / "adapter-openai" / "0"
    folder.mkdir(parents=True)
    with Journal(folder / "journal", 4) as journal:
        event = usage_pb2.UsageRecorded(attempt_id=made.attempt_id, caller=made.caller)
        nobodys = usage_pb2.UsageRecorded(attempt_id=attempt().attempt_id)
        for content in (b"\xff\xff\xff", b"", nobodys.SerializeToString(), event.SerializeToString()):
            journal.sent(journal.open(content))
    async with own_scene(own_nats, sandbox, tmp_path / "data") as place:
        told = await place.readers.usage_of(made)
        assert told.outcome == usage_pb2.ATTEMPT_OUTCOME_INTERRUPTED
        await eventually(lambda: "omnix_usage_spool_bytes 0.0" in place.adapter.probe("/metrics")[1])
        assert len(place.readers.usage) == 1
        assert sorted(path.read_bytes() for path in (folder / "unreadable").iterdir()) == sorted(
            (b"\xff\xff\xff", b"", nobodys.SerializeToString())
        )


async def test_second_process_on_the_same_data_closes_what_the_first_left(
    own_nats: NatsServer, sandbox: Sandbox, tmp_path: Path
) -> None:
    environment = {"OMNIX_SANDBOX_URL": sandbox.url, "OMNIX_NATS_URL": own_nats.url}
    async with own_scene(own_nats, sandbox, tmp_path / "data") as place:
        second = Adapter(MODULE, tmp_path / "data", environment)
        second.start()
        try:
            await second.ready()
            made = attempt("sandbox-tokens-2000-pace-100")
            await place.start_stream(made)
            place.adapter.kill()
            event = await place.readers.usage_of(made)
            assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_INTERRUPTED
        finally:
            await second.remote.close()
            second.kill()


async def test_sigterm_lets_attempts_finish_refuses_new_ones_and_ends_what_takes_too_long(
    own_nats: NatsServer, sandbox: Sandbox, tmp_path: Path
) -> None:
    async with own_scene(own_nats, sandbox, tmp_path / "data", OMNIX_GRACE="1s") as place:
        short, long = attempt("sandbox-tokens-30-pace-60"), attempt("sandbox-tokens-2000-pace-50")
        finishing, ended = await place.start_stream(short), await place.start_stream(long)
        stopping = asyncio.create_task(place.adapter.stop())
        await eventually(lambda: "stopping" in place.adapter.log.read_text())
        refusal = await place.refused(attempt(), streamed=True)
        assert refusal.reason in (Reason.SHUTTING_DOWN, Reason.UNAVAILABLE)
        assert await stopping == 0
        await eventually(finishing.whole)
        await eventually(ended.whole)
        assert finishing.end is not None
        assert not finishing.end.HasField("error")
        assert ended.end is not None
        assert error_from_proto(ended.end.error).reason is Reason.SHUTTING_DOWN
        assert (await place.readers.usage_of(short)).outcome == usage_pb2.ATTEMPT_OUTCOME_SUCCEEDED
        event = await place.readers.usage_of(long)
        assert event.error.reason == ended.end.error.reason
        assert event.usage.output_tokens >= ended.end.count


async def test_attempts_beyond_the_limits_are_refused_with_a_delay(
    own_nats: NatsServer, sandbox: Sandbox, tmp_path: Path
) -> None:
    limits = {"OMNIX_MAX_STREAMS": "1", "OMNIX_MAX_CALLS": "1"}
    async with own_scene(own_nats, sandbox, tmp_path / "data", **limits) as place:
        held = attempt("sandbox-tokens-1000-pace-20")
        await place.start_stream(held)
        call = asyncio.create_task(place.refused(attempt("sandbox-silence"), streamed=False))
        await sandbox.wait_for_call(lambda call: call.model == "sandbox-silence")
        for streamed in (True, False):
            error = await place.refused(attempt(), streamed=streamed)
            assert error.reason is Reason.OVERLOADED
            assert error.retry_after is not None
        call.cancel()
        assert await place.cancel(held)
        await eventually(lambda: bool(place.readers.of(held)))
        await place.stream(attempt("sandbox-tokens-3"), asking())
