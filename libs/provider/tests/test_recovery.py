"""Attempts that break off and attempts that go on, through a real broker and gRPC; only the vendor is made up."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
import pytest_asyncio
from nats.aio.msg import Msg
from omnix.completion.v1 import completion_pb2 as pb
from omnix.provider.v1 import provider_pb2, provider_service_pb2_grpc, stream_pb2
from omnix.provider.v1 import provider_service_pb2 as calls_pb
from omnix.usage.v1 import usage_pb2
from omnix_kit import subjects
from omnix_kit.convert import error_from_proto
from omnix_kit.errors import OmnixError, Reason
from omnix_kit.messaging import Messaging
from omnix_kit.recording import Recording
from omnix_kit.rpc import Remote
from omnix_kit.runtime import Process
from omnix_kit.testing import NatsServer, connected, eventually, free_port, nats_server
from omnix_provider.errors import ContentRefused, Cut, Failed, InvalidRequest, Refused
from omnix_provider.service import serving
from omnix_provider.settings import AdapterSettings
from omnix_provider.testing import GATEWAY, TEN, Readers, Streamed, asking, attempt
from omnix_provider.types import (
    Attempt,
    Batch,
    Chunk,
    Completion,
    CompletionRequest,
    FinishReason,
    HandedOver,
    Provider,
    Reasoned,
    ToolCallDelta,
)

ROUTER = "r1"
STOP = Chunk(finish_reason=FinishReason.STOP)


class Vendor:
    """Says what the test puts into ``says``: batches, an error to fail with, or None for the end of the body."""

    name = kind = "openai"
    sandbox = False

    def __init__(self) -> None:
        self.says: asyncio.Queue[Batch | OmnixError | None] = asyncio.Queue()
        self.prefixes: list[str] = []
        self.limits: list[int | None] = []

    def say(self, *chunks: Chunk) -> None:
        for chunk in chunks:
            self.says.put_nowait(Batch([chunk]))

    def problem(self) -> str | None:
        return None

    async def complete(self, request: CompletionRequest, attempt: Attempt, handed_over: HandedOver) -> Completion:
        handed_over()
        await asyncio.Event().wait()
        raise AssertionError

    async def stream(
        self, request: CompletionRequest, attempt: Attempt, handed_over: HandedOver
    ) -> AsyncIterator[Batch]:
        self.prefixes.append(attempt.prefix)
        self.limits.append(request.max_output_tokens)
        handed_over()
        while (said := await self.says.get()) is not None:
            if isinstance(said, OmnixError):
                raise said
            yield said


@dataclass
class Scene:
    vendor: Vendor
    messaging: Messaging
    readers: Readers
    remote: Remote
    nats: NatsServer
    stack: AsyncExitStack
    """Of the adapter: closing it stops it."""
    ended: list[pb.AttemptEnded] = field(default_factory=list)
    """What a router is told."""

    @property
    def stub(self) -> provider_service_pb2_grpc.ProviderServiceStub:
        return provider_service_pb2_grpc.ProviderServiceStub(self.remote.channel)

    async def start(
        self,
        made: provider_pb2.Attempt,
        continuation: calls_pb.Continuation | None = None,
        request: pb.CompletionRequest | None = None,
        first_content: float = 5,
        idle: float = 5,
    ) -> Streamed:
        streamed = self.readers.streams[made.completion_id] = Streamed(made)
        asked = calls_pb.StartCompletionRequest(
            request=request or asking(),
            attempt=made,
            chunk_subject=subjects.chunks(GATEWAY, made.completion_id),
            router_id=ROUTER,
            continuation=continuation,
        )
        asked.first_content_timeout.FromTimedelta(timedelta(seconds=first_content))
        asked.idle_timeout.FromTimedelta(timedelta(seconds=idle))
        await self.remote.call(self.stub.StartCompletion, asked, timeout=TEN)
        return streamed

    async def on_ended(self, message: Msg) -> None:
        self.ended.append(pb.AttemptEnded.FromString(message.data))

    async def told(self, made: provider_pb2.Attempt) -> pb.AttemptEnded:
        await eventually(lambda: any(ended.attempt_id == made.attempt_id for ended in self.ended))
        ended = next(ended for ended in self.ended if ended.attempt_id == made.attempt_id)
        assert (ended.completion_id, ended.attempt) == (made.completion_id, made.number)
        return ended


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest_asyncio.fixture
async def scene(nats: NatsServer, tmp_path: Path) -> AsyncIterator[Scene]:
    settings = AdapterSettings(
        nats_url=nats.url, data_dir=tmp_path, grpc_port=free_port(), grace=timedelta(seconds=0.05)
    )
    vendor, process = Vendor(), Process("adapter-test")
    async with (
        connected(nats) as messaging,
        AsyncExitStack() as stack,
        Remote("adapter", f"127.0.0.1:{settings.grpc_port}") as remote,
    ):
        readers = Readers(messaging)
        await readers.begin()
        made = Scene(vendor, messaging, readers, remote, nats, stack)
        await messaging.subscribe(subjects.attempts_ended_of_router(ROUTER), made.on_ended)
        await stack.enter_async_context(serving(settings, process, [cast(Provider, vendor)]))
        await eventually(lambda: not process.readiness.lacking())
        yield made


def following(number: int = 2) -> provider_pb2.Attempt:
    made = attempt()
    made.number = number
    return made


def restart(text: str = "", **more: object) -> calls_pb.Continuation:
    return calls_pb.Continuation(
        attempt=1,
        kind=calls_pb.Continuation.KIND_RESTART,
        text=text,
        **more,  # type: ignore[arg-type]
    )


async def test_restart_gives_only_what_is_new(scene: Scene) -> None:
    made = following()
    starting = asyncio.create_task(scene.start(made, restart("Hello wor")))
    scene.vendor.say(Chunk(reasoning=Reasoned("Hm.")), Chunk("Hello"), Chunk(" wor"))
    await eventually(scene.vendor.says.empty)
    assert not starting.done()
    scene.vendor.say(Chunk("ld"), STOP)
    streamed = await starting
    scene.vendor.says.put_nowait(None)
    await eventually(streamed.whole)
    assert (streamed.text, len(streamed.chunks)) == ("ld", 2)
    assert streamed.start is not None
    assert (streamed.start.continued_attempt, streamed.start.router_id) == (1, ROUTER)
    assert streamed.end is not None
    assert not streamed.end.HasField("error")
    ended = await scene.told(made)
    assert (ended.count, ended.HasField("error")) == (2, False)
    event = await scene.readers.usage_of(made)
    assert event.usage.output_tokens == 4, "all that the vendor generated counts"


async def test_answer_is_listed_while_what_the_caller_has_is_said_again(scene: Scene) -> None:
    made, fresh = following(), attempt()
    starting = [asyncio.create_task(scene.start(made, restart("Hello wor"))), asyncio.create_task(scene.start(fresh))]
    await eventually(lambda: len(scene.vendor.prefixes) == 2)
    sought = stream_pb2.OpenStreamsSought(tenant_id="t1").SerializeToString()
    reply = await scene.messaging.client.request(subjects.OPEN_STREAMS_SOUGHT, sought, timeout=10)
    [open_] = stream_pb2.OpenStreams.FromString(reply.data).streams
    assert (open_.completion_id, open_.attempt) == (made.completion_id, 2), "one without any content is not open yet"
    for each in starting:
        each.cancel()
    await asyncio.gather(*starting, return_exceptions=True)


async def test_answer_that_departs_fails_before_anything_is_published(scene: Scene) -> None:
    made = following()
    scene.vendor.say(Chunk("Hello there"), STOP)
    with pytest.raises(OmnixError) as caught:
        await scene.start(made, restart("Hello world"))
    assert caught.value.reason is Reason.PROVIDER_DEPARTED
    assert caught.value.provider == "openai"
    event = await scene.readers.usage_of(made)
    assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_FAILED
    assert event.usage.output_tokens > 0
    assert made.completion_id not in scene.readers.begun
    assert not scene.ended


async def test_finish_reason_too_early_departs(scene: Scene) -> None:
    scene.vendor.say(Chunk("Hello"), STOP)
    with pytest.raises(OmnixError) as caught:
        await scene.start(following(), restart("Hello world"))
    assert caught.value.reason is Reason.PROVIDER_DEPARTED


async def test_answer_that_broke_off_at_its_very_end_is_whole_with_its_finish_reason(scene: Scene) -> None:
    scene.vendor.say(Chunk("Hello"), STOP)
    scene.vendor.says.put_nowait(None)
    streamed = await scene.start(following(), restart("Hello"))
    await eventually(streamed.whole)
    assert [chunk.finish_reason for chunk in streamed.chunks.values()] == [pb.FINISH_REASON_STOP]
    assert streamed.text == ""


async def test_call_goes_on_with_the_id_that_the_caller_has(scene: Scene) -> None:
    call = pb.ToolCall(id="call-1", name="get", arguments_json='{"city"')
    scene.vendor.say(Chunk(tool_calls=(ToolCallDelta(0, "call-9", "get", '{"city":"Rome"}'),)))
    scene.vendor.say(Chunk(finish_reason=FinishReason.TOOL_CALLS))
    scene.vendor.says.put_nowait(None)
    streamed = await scene.start(following(), restart(tool_calls=[call]))
    await eventually(streamed.whole)
    [delta] = streamed.chunks[0].tool_calls
    assert (delta.id, delta.name, delta.arguments_json) == ("", "", ':"Rome"}')


async def test_prefix_is_given_to_the_vendor_and_not_repeated(scene: Scene) -> None:
    prefix = calls_pb.Continuation(attempt=1, kind=calls_pb.Continuation.KIND_PREFIX, text="Hello ")
    scene.vendor.say(Chunk(" world"), STOP)
    scene.vendor.says.put_nowait(None)
    made = following()
    streamed = await scene.start(made, prefix)
    await eventually(streamed.whole)
    assert scene.vendor.prefixes == ["Hello"]
    assert streamed.text == "world"
    plain = attempt()
    scene.vendor.say(Chunk(" world"), STOP)
    scene.vendor.says.put_nowait(None)
    await scene.start(plain)
    counted = [(await scene.readers.usage_of(each)).usage.input_tokens for each in (made, plain)]
    assert counted[0] == counted[1] + 2


@pytest.mark.parametrize(("limit", "left"), [(100, 98), (1, 1), (0, None)])
async def test_limit_of_the_whole_answer_is_told_for_its_rest(scene: Scene, limit: int, left: int | None) -> None:
    prefix = calls_pb.Continuation(attempt=1, kind=calls_pb.Continuation.KIND_PREFIX, text="Hello")
    scene.vendor.say(Chunk(" world"), STOP)
    scene.vendor.says.put_nowait(None)
    await scene.start(following(), prefix, asking(max_output_tokens=limit or None))
    assert scene.vendor.limits == [left]


async def test_what_is_said_again_is_a_sign_of_life(scene: Scene) -> None:
    starting = asyncio.create_task(scene.start(following(), restart("one two"), first_content=0.5))
    scene.vendor.say(Chunk("one"))
    await asyncio.sleep(0.6)  # longer than the first content may take
    scene.vendor.say(Chunk(" two three"))
    streamed = await starting
    scene.vendor.says.put_nowait(None)
    await eventually(streamed.whole)
    assert streamed.text == " three"


async def test_vendor_that_falls_silent_before_anything_new_is_given_up(scene: Scene) -> None:
    scene.vendor.say(Chunk("one"))
    with pytest.raises(OmnixError) as caught:
        await scene.start(following(), restart("one two"), idle=0.2)
    assert caught.value.reason is Reason.PROVIDER_TIMEOUT


@pytest.mark.parametrize(
    ("failure", "may_go_on"),
    [
        (None, True),
        (Cut("gone", provider="openai"), True),
        (cast(Failed | Refused, ContentRefused("no", provider="openai", provider_status=200)), False),
        (cast(Failed | Refused, InvalidRequest("no", provider="openai", provider_status=200)), False),
    ],
    ids=["end of the body", "cut", "refused content", "invalid request"],
)
async def test_router_is_told_how_an_attempt_broke_off_when_the_recording_has_its_end(
    scene: Scene, failure: OmnixError | None, may_go_on: bool
) -> None:
    made = attempt()
    scene.vendor.say(Chunk("Hello"))
    streamed = await scene.start(made)
    scene.vendor.says.put_nowait(failure)
    ended = await scene.told(made)
    recorded = [
        pb.CompletionChunks.FromString(data) async for data in Recording(scene.messaging).read(made.completion_id)
    ]
    assert recorded[-1].HasField("end")
    assert (recorded[-1].end.count, recorded[-1].end.may_go_on) == (1, may_go_on)
    expected = Reason.PROVIDER_CUT if failure is None else failure.reason
    assert error_from_proto(ended.error).reason is expected
    assert error_from_proto(recorded[-1].end.error).reason is expected
    assert ended.count == 1
    await eventually(streamed.whole)


async def test_cancelled_attempt_has_the_purpose_that_it_turned_out_to_have(scene: Scene) -> None:
    made = attempt()
    scene.vendor.say(Chunk("Hello"))
    streamed = await scene.start(made)
    asked = calls_pb.CancelCompletionRequest(
        completion_id=made.completion_id, attempt_id=made.attempt_id, purpose=usage_pb2.PURPOSE_HEDGE
    )
    assert (await scene.remote.call(scene.stub.CancelCompletion, asked, timeout=TEN)).found
    event = await scene.readers.usage_of(made)
    assert (event.outcome, event.purpose) == (usage_pb2.ATTEMPT_OUTCOME_CANCELLED, usage_pb2.PURPOSE_HEDGE)
    ended = await scene.told(made)
    assert error_from_proto(ended.error).reason is Reason.CANCELLED
    await eventually(streamed.whole)
    assert streamed.end is not None
    assert not streamed.end.may_go_on


async def test_purpose_is_recorded_as_ordered_and_for_answers_not_at_all(scene: Scene) -> None:
    shadow, answer = attempt(), attempt()
    shadow.purpose = usage_pb2.PURPOSE_SHADOW
    for made in (shadow, answer):
        scene.vendor.say(Chunk("Hello"), STOP)
        scene.vendor.says.put_nowait(None)
        await scene.start(made)
    assert (await scene.readers.usage_of(shadow)).purpose == usage_pb2.PURPOSE_SHADOW
    assert not (await scene.readers.usage_of(answer)).HasField("purpose")


async def test_attempt_that_the_stopping_adapter_ended_may_go_on(scene: Scene) -> None:
    made = attempt()
    scene.vendor.say(Chunk("Hello"))
    streamed = await scene.start(made)
    await scene.stack.aclose()
    ended = await scene.told(made)
    assert error_from_proto(ended.error).reason is Reason.SHUTTING_DOWN
    await eventually(streamed.whole)
    assert streamed.end is not None
    assert streamed.end.may_go_on


async def test_router_is_told_although_the_broker_was_away_when_the_attempt_ended(scene: Scene) -> None:
    made = attempt()
    scene.vendor.say(Chunk("Hello"))
    await scene.start(made)
    scene.nats.kill()
    await eventually(lambda: scene.messaging.lacking() is not None)
    scene.vendor.says.put_nowait(None)
    await eventually(scene.vendor.says.empty)
    scene.nats.start()
    ended = await scene.told(made)
    assert (ended.count, error_from_proto(ended.error).reason) == (1, Reason.PROVIDER_CUT)


@pytest.mark.parametrize(
    ("continuation", "request_", "param"),
    [
        (calls_pb.Continuation(attempt=1, text="Hello"), asking(), "continuation.kind"),
        (calls_pb.Continuation(attempt=2, kind=calls_pb.Continuation.KIND_RESTART), asking(), "continuation.attempt"),
        (restart("Hello"), asking(candidate_count=2), "continuation"),
        (
            calls_pb.Continuation(attempt=1, kind=calls_pb.Continuation.KIND_PREFIX, text="a", refusal="b"),
            asking(),
            "continuation",
        ),
    ],
    ids=["unspecified", "no earlier attempt", "alternatives", "more than text"],
)
async def test_continuation_that_cannot_be_is_refused(
    scene: Scene, continuation: calls_pb.Continuation, request_: pb.CompletionRequest, param: str
) -> None:
    with pytest.raises(OmnixError) as caught:
        await scene.start(following(), continuation, request_)
    assert (caught.value.reason, caught.value.param) == (Reason.INVALID_REQUEST, param)
    assert not scene.vendor.prefixes
