"""What a reader does when time passes, with a recording that the test holds."""

import asyncio
from collections.abc import AsyncGenerator

from omnix.completion.v1 import completion_pb2 as pb
from omnix_gateway.streaming.reader import Limits, Reader, clock
from omnix_kit.digest import digest


class Recorded:
    """The messages of one stream, and how often they were asked for."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.asked = 0

    async def read(self, completion_id: str) -> AsyncGenerator[bytes, None]:
        self.asked += 1
        for data in self.messages:
            yield data


def stream_of(*texts: str) -> list[bytes]:
    """One message for each text; the last one ends the stream."""
    running = 0
    messages = []
    for seq, text in enumerate(texts):
        chunk = pb.Chunk(text=text)
        if seq == len(texts) - 1:
            chunk.finish_reason = pb.FINISH_REASON_STOP
        running = digest(running, chunk)
        messages.append(pb.CompletionChunks(attempt=1, first_seq=seq, chunks=[chunk]))
    messages[0].start.model = "openai/gpt-4o"
    messages[-1].end.CopyFrom(pb.End(count=len(texts), digest=running))
    return [message.SerializeToString() for message in messages]


async def text_of(reader: Reader) -> str:
    """The whole answer, which is there."""
    text = ""
    while True:
        delivery = await reader.take()
        assert delivery is not None
        assert delivery.error is None
        text += "".join(chunk.text for _, _, chunks in delivery.pieces for chunk in chunks)
        if delivery.end is not None:
            return text


async def test_a_long_wait_for_the_first_content_neither_ends_the_stream_nor_reads_the_recording() -> None:
    recorded = Recorded()
    reader = Reader("c", recorded.read, Limits(), late=False)
    for seconds in range(0, 600, 60):
        reader.tick(clock() + seconds, listened=clock() + seconds)
    reader.commit(1, "sender", None)
    for data in stream_of("a", "b"):
        reader.offer(data)
    assert await text_of(reader) == "ab"
    assert recorded.asked == 0


async def test_what_comes_after_a_gap_is_held_up_to_a_bound_and_read_from_the_recording() -> None:
    recorded = Recorded()
    limits = Limits(bytes=10_000)
    reader = Reader("c", recorded.read, limits, late=False)
    reader.commit(1, "sender", None)
    texts = [letter * 3_000 for letter in "abcdefgh"]
    messages = stream_of(*texts)
    taking = asyncio.create_task(text_of(reader))
    for position, data in enumerate(messages):
        if position != 1:
            reader.offer(data)
            for _ in range(5):
                await asyncio.sleep(0)
    assert reader._following.bytes_ahead <= limits.bytes
    recorded.messages = messages
    async with asyncio.timeout(5):
        assert await taking == "".join(texts)
