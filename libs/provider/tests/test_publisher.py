"""How chunks leave, and who waits for whom."""

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace
from typing import cast

from omnix.completion.v1 import completion_pb2 as pb
from omnix_kit.ids import uuid7
from omnix_kit.messaging import Messaging
from omnix_provider.kept import Kept
from omnix_provider.publisher import Publisher
from omnix_provider.types import Chunk


class SlowBroker:
    """Takes the first message and then stands still until ``goes_on`` is set."""

    client = SimpleNamespace(max_payload=1024 * 1024)

    def __init__(self) -> None:
        self.took: list[pb.CompletionChunks] = []
        self.stands = asyncio.Event()
        self.goes_on = asyncio.Event()

    def lacking(self) -> str | None:
        return None

    async def publish_all(self, messages: Iterable[tuple[str, bytes]]) -> None:
        for _, message in messages:
            self.took.append(pb.CompletionChunks.FromString(message))
            self.stands.set()
            await self.goes_on.wait()


async def test_stream_waits_for_whoever_sends_for_it_and_loses_nothing() -> None:
    broker = SlowBroker()
    publisher = Publisher(cast(Messaging, broker), "s1", 0)
    stream = publisher.stream("a.subject", uuid7(), 1)
    words = [f"{number} ".ljust(8000) for number in range(100)]

    async def say() -> None:
        for word in words:
            await stream.send([Chunk(word)])
        await stream.end(pb.End())

    async with asyncio.timeout(5):
        await stream.send([Chunk("first")])
        sending = asyncio.create_task(publisher._send_due())
        await broker.stands.wait()
        saying = asyncio.create_task(say())
        for _ in range(300):
            await asyncio.sleep(0)
        assert not saying.done()
        broker.goes_on.set()
        await saying
        await sending
        await publisher._send_due()
    chunks = [chunk for message in broker.took for chunk in message.chunks]
    assert [chunk.text for chunk in chunks] == ["first", *words]
    assert broker.took[-1].end.count == len(words) + 1


def test_word_of_the_end_goes_out_behind_the_last_message_each_time() -> None:
    kept = Kept("chunks")
    kept.append(b"one")
    kept.append(b"last")
    kept.follow("ended", b"word")
    assert [kept[index] for index in range(len(kept))] == [("chunks", b"one"), ("chunks", b"last"), ("ended", b"word")]
    kept.sent = len(kept)
    assert (kept.unsent, kept.unsent_bytes) == (0, 0)
    kept.sent = 2
    assert (kept.unsent, kept[kept.sent]) == (1, ("ended", b"word"))
