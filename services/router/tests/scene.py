"""Streams as adapters send them, and what a reader hears of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from nats.aio.msg import Msg
from omnix.completion.v1 import completion_pb2 as pb
from omnix.provider.v1 import heartbeat_pb2
from omnix.provider.v1 import provider_service_pb2 as wire
from omnix.router.v1 import router_service_pb2
from omnix_kit import streams, subjects
from omnix_kit.convert import error_to_proto
from omnix_kit.errors import OmnixError, Reason, error_for
from omnix_kit.ids import uuid7
from omnix_kit.messaging import Messaging
from omnix_kit.testing import NatsServer, connected, eventually

from .fakes import Call, FakeAdapter, Router

STALLED = error_for(Reason.PROVIDER_TIMEOUT, "Silent as told.", provider="openai")
CUT = error_for(Reason.PROVIDER_CUT, "Cut as told.", provider="openai")


@dataclass
class Scene:
    """Where fake adapters send and a reader listens."""

    messaging: Messaging
    alive: set[str] = field(default_factory=set)
    """Senders whose hearts beat."""
    words: list[pb.CompletionChunks] = field(default_factory=list)
    """What routers said, of all completions."""
    beats: set[str] = field(default_factory=set)

    def says(self, *texts: str) -> Callable[[Call], Awaitable[None]]:
        """An attempt whose first content is all this."""

        async def act(call: Call) -> None:
            await self.send(call, *texts)

        return act

    async def send(self, call: Call, *texts: str, first: int = 0, tool_calls: Sequence[pb.ToolCallDelta] = ()) -> None:
        chunks = [pb.Chunk(text=text) for text in texts]
        chunks += [pb.Chunk(tool_calls=[each]) for each in tool_calls]
        message = pb.CompletionChunks(
            completion_id=call.attempt.completion_id, attempt=call.attempt.number, first_seq=first, chunks=chunks
        )
        await self.messaging.publish(stream_of(call).chunk_subject, message.SerializeToString())

    async def end(
        self, call: Call, count: int, error: OmnixError | None = None, *, told: bool = True, final: bool = False
    ) -> None:
        """The attempt ends, in the recording and, unless that word is lost, for its router."""
        stream, attempt = stream_of(call), call.attempt
        proto = None if error is None else error_to_proto(error)
        end = pb.End(count=count, error=proto, may_go_on=error is not None and not final)
        message = pb.CompletionChunks(
            completion_id=attempt.completion_id, attempt=attempt.number, first_seq=count, end=end
        )
        await self.messaging.publish(stream.chunk_subject, message.SerializeToString())
        if told:
            ended = pb.AttemptEnded(
                completion_id=attempt.completion_id,
                attempt_id=attempt.attempt_id,
                attempt=attempt.number,
                count=count,
                error=proto,
            )
            subject = subjects.attempts_ended(stream.router_id, attempt.completion_id)
            await self.messaging.publish(subject, ended.SerializeToString())

    def word(self, completion_id: str, attempt: int) -> pb.Succession | None:
        found = [each for each in self.words if (each.completion_id, each.attempt) == (completion_id, attempt)]
        assert len(found) <= 1, "a word is said once"
        if not found:
            return None
        assert found[0].first_seq == found[0].succession.count
        return found[0].succession

    async def hears(self, completion_id: str, attempt: int, within: float = 10.0) -> pb.Succession:
        """What becomes of the answer after the attempt."""
        await eventually(lambda: self.word(completion_id, attempt) is not None, within)
        word = self.word(completion_id, attempt)
        assert word is not None
        return word

    async def on_chunks(self, message: Msg) -> None:
        said = pb.CompletionChunks.FromString(message.data)
        if said.HasField("succession"):
            self.words.append(said)

    async def on_heartbeat(self, message: Msg) -> None:
        self.beats.add(message.subject.rpartition(".")[2])

    async def beat(self) -> None:
        while True:
            for sender in list(self.alive):
                payload = heartbeat_pb2.SenderHeartbeat(sender_id=sender).SerializeToString()
                if self.messaging.client.is_connected:
                    await self.messaging.publish(subjects.sender_heartbeat(sender), payload)
            await asyncio.sleep(0.1)


@asynccontextmanager
async def scene_at(nats: NatsServer, *adapters: FakeAdapter) -> AsyncIterator[Scene]:
    async with connected(nats) as messaging:
        await streams.ensure(messaging.jetstream, streams.CHUNKS)
        scene = Scene(messaging, alive={sender_of(adapter) for adapter in adapters})
        await messaging.subscribe(subjects.CHUNKS_OF_ALL, scene.on_chunks)
        await messaging.subscribe(subjects.SENDER_HEARTBEATS, scene.on_heartbeat)
        beating = asyncio.create_task(scene.beat())
        try:
            yield scene
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)


def sender_of(adapter: FakeAdapter) -> str:
    return f"sender-{adapter.port}"


def stream_of(call: Call) -> wire.StartCompletionRequest:
    assert call.stream is not None
    return call.stream


def continuation_of(call: Call) -> wire.Continuation:
    assert stream_of(call).HasField("continuation")
    return stream_of(call).continuation


async def begun(
    router: Router, model: str, request: pb.CompletionRequest | None = None
) -> tuple[str, router_service_pb2.StartCompletionResponse]:
    """A completion whose stream has begun, and its id."""
    completion_id = uuid7()
    subject = subjects.chunks("g", completion_id)
    return completion_id, await router.start(model, completion_id=completion_id, request=request, chunk_subject=subject)
