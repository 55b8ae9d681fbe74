"""A stream's own rules, where no vendor and no broker is needed to see them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import cast

from omnix.completion.v1 import completion_pb2 as pb
from omnix.usage.v1 import usage_pb2
from omnix_kit.caller import Caller
from omnix_kit.convert import error_from_proto
from omnix_kit.errors import OmnixError, Reason
from omnix_kit.ids import uuid7
from omnix_provider.attempts import Running
from omnix_provider.errors import Cancelled
from omnix_provider.publisher import ChunkStream, Publisher
from omnix_provider.streaming import Limits, Streaming
from omnix_provider.types import Attempt, AttemptPurpose, Batch, Chunk, CompletionRequest, HandedOver, Provider, Usage
from omnix_provider.usage import Metered

ATTEMPT = Attempt(uuid7(), uuid7(), 1, Caller("t1", "", "", "k1"), "openai", "gpt-4o")
HOUR = timedelta(hours=1)


class Endless:
    """Says something whenever it is asked."""

    async def stream(
        self, request: CompletionRequest, attempt: Attempt, handed_over: HandedOver
    ) -> AsyncIterator[Batch]:
        handed_over()
        while True:
            yield Batch([Chunk("word ")])


class DeafStream:
    """Swallows a cancellation, as the broker's client does in a flush, and goes on."""

    def __init__(self) -> None:
        self.sending = asyncio.Event()
        self.ended: pb.End | None = None

    def start(self, start: pb.Start) -> None:
        pass

    async def send(self, chunks: Sequence[Chunk]) -> None:
        self.sending.set()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.01)

    async def end(self, end: pb.End, ended: tuple[str, pb.AttemptEnded] | None = None) -> None:
        self.ended = end


class Meter:
    """Of one attempt."""

    first_content_us = 1

    def __init__(self) -> None:
        self.outcomes: list[usage_pb2.AttemptOutcome.ValueType] = []

    def handed_over(self) -> None:
        pass

    def first_content(self) -> None:
        pass

    def progress(self, output_tokens: int) -> None:
        pass

    def close(
        self,
        outcome: "usage_pb2.AttemptOutcome.ValueType",
        usage: Usage,
        error: OmnixError | None = None,
        purpose: AttemptPurpose | None = None,
    ) -> None:
        self.outcomes.append(outcome)


class NoPublisher:
    sender_id = "s1"


async def test_stream_ends_although_its_cancellation_was_swallowed() -> None:
    chunks, metered = DeafStream(), Meter()
    streaming = Streaming(
        cast(Provider, Endless()),
        CompletionRequest("gpt-4o", ()),
        ATTEMPT,
        cast(Metered, metered),
        cast(Publisher, NoPublisher()),
        cast(ChunkStream, chunks),
        Limits(HOUR, HOUR, HOUR),
        1,
        asyncio.get_running_loop().create_future(),
    )
    began: asyncio.Future[Running] = asyncio.get_running_loop().create_future()

    async def attempt() -> None:
        task = asyncio.current_task()
        assert task is not None
        running = Running(ATTEMPT, task)
        began.set_result(running)
        await streaming.run(running)

    task = asyncio.create_task(attempt())
    async with asyncio.timeout(5):
        running = await began
        await chunks.sending.wait()
        running.end(Cancelled("The completion was cancelled."))
        await task
    assert metered.outcomes == [usage_pb2.ATTEMPT_OUTCOME_CANCELLED]
    assert chunks.ended is not None
    assert error_from_proto(chunks.ended.error).reason is Reason.CANCELLED
