"""Chunks on their way: numbered, put together, digested, published, kept, and published again.

A message is kept from before it is sent until a while after its stream ended. Core NATS loses what was on the way when
a connection breaks, and a broker that dies takes what it had not written yet, so after every reconnection everything
that is kept is published again from its beginning; readers drop what they have by its number.

The router that waits for an attempt's end is told in the same way, behind the stream's last message: it costs no write
of its own, and what the router then reads of the recording is whole.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, suppress

from omnix.completion.v1 import completion_pb2 as pb
from omnix.provider.v1 import heartbeat_pb2
from omnix_kit import streams, subjects
from omnix_kit.digest import digest, digest_of_text
from omnix_kit.errors import PlatformError
from omnix_kit.messaging import Messaging
from prometheus_client import Counter

from omnix_provider.background import background
from omnix_provider.convert.answered import chunk_to_proto
from omnix_provider.kept import FORGOTTEN, Kept
from omnix_provider.lone_text import head, is_lone_text, lone_text
from omnix_provider.pieces import LONGEST_DELTA, grouped
from omnix_provider.types import Chunk

_log = logging.getLogger(__name__)

_LARGEST_MESSAGE = 256 * 1024
"""What cannot be cut, such as a signature, may make a message this large; readers hold a few of them."""
_UNSENT_BYTES = 128 * 1024
"""With more than this to send a stream does not wait for the gathering, and its vendor is not read meanwhile."""
_GATHER = 0.002
"""Seconds in which chunks of all streams gather: one write then serves many, which halves the cost of lone tokens."""
_KEPT_AFTER_END = 15.0
"""Seconds of a standing connection."""
_HEARTBEAT_EVERY = 1.0

_MESSAGES = Counter("omnix_chunk_messages_total", "Messages of chunks published, repetitions included.")
_REPEATED = Counter("omnix_chunk_messages_repeated_total", "Messages published again after a reconnection.")


class MessageTooLarge(ValueError):
    """A chunk cannot be cut into pieces that a message can carry."""


class ChunkStream:
    """The sending end of one attempt's stream."""

    __slots__ = (
        "_attempt",
        "_completion_id",
        "_digest",
        "_head",
        "_kept",
        "_publisher",
        "_sending",
        "_sent",
        "_seq",
        "_start",
        "due",
    )

    def __init__(self, publisher: "Publisher", subject: str, completion_id: str, attempt: int) -> None:
        self._publisher = publisher
        self._completion_id = completion_id
        self._attempt = attempt
        self._head = head(attempt)
        self._kept = Kept(subject)
        self._seq = 0
        self._digest = 0
        self._sending = False
        self._sent: asyncio.Future[None] | None = None
        """Done when nobody sends any longer."""
        self._start: pb.Start | None = None
        self.due = False
        """It waits for the end of the gathering."""

    def start(self, start: pb.Start) -> None:
        """What the first message carries."""
        self._start = start

    async def send(self, chunks: Sequence[Chunk]) -> None:
        """Publish chunks that arrived together. While the broker is away they are kept and nothing waits.

        :raises MessageTooLarge: for a chunk that no message can carry; it does not count among those of the stream.
        """
        if len(chunks) == 1 and self._start is None and is_lone_text(chunks[0]) and len(chunks[0].text) < LONGEST_DELTA:
            text = chunks[0].text.encode()
            self._kept.append(lone_text(self._head, self._seq, text))
            self._digest = digest_of_text(self._digest, text)
            self._seq += 1
            if self._kept.unsent_bytes < _UNSENT_BYTES:
                self._publisher._due(self)  # as below, but without a coroutine for every token
            else:
                await self._go()
            return
        for group in grouped(chunks):
            self._keep([chunk_to_proto(chunk) for chunk in group])
            await self._go()

    async def end(self, end: pb.End, ended: tuple[str, pb.AttemptEnded] | None = None) -> None:
        """Publish the last message; count and digest are filled in here.

        :param ended: what follows it, with its subject.
        """
        end.count = self._seq
        end.digest = self._digest
        self._keep([], end)
        if ended is not None:
            subject, word = ended
            word.count = self._seq
            self._kept.follow(subject, word.SerializeToString())
        self._publisher._ended(self)
        await self._go()

    def _keep(self, chunks: list[pb.Chunk], end: pb.End | None = None) -> None:
        message = pb.CompletionChunks(
            completion_id="" if self._start is None else self._completion_id,
            attempt=self._attempt,
            first_seq=self._seq,
            chunks=chunks,
            start=self._start,
            end=end,
        )
        data = message.SerializeToString()
        if end is None and len(data) > min(_LARGEST_MESSAGE, self._publisher.max_payload):
            raise MessageTooLarge(f"a message of {len(data)} bytes cannot be published")
        for chunk in chunks:
            self._digest = digest(self._digest, chunk)
        self._start = None
        self._seq += len(chunks)
        self._kept.append(data)

    async def _go(self) -> None:
        """Leave what is kept to the next gathering, or, when that is much, wait until it is sent."""
        if self._kept.unsent_bytes < _UNSENT_BYTES:
            self._publisher._due(self)
        else:
            await self._publisher._send([self])
            if self._sending:  # by whoever was first, who sends this too
                self._sent = asyncio.get_running_loop().create_future()
                await self._sent

    def _outgoing(self) -> Iterator[tuple[str, bytes]]:
        """What was not sent. Whoever is first sends for all, so the order holds."""
        kept = self._kept
        if self._sending:
            return
        self._sending = True
        count = 0
        at_most = self._publisher.max_payload
        try:
            while kept.sent < len(kept):
                kept.sent += 1
                subject, message = kept[kept.sent - 1]
                if len(message) > at_most:  # of a server that takes less than the one before; the gap will show
                    FORGOTTEN.inc()
                    continue
                count += 1
                yield subject, message
        except GeneratorExit:
            kept.sent = max(0, kept.sent - 1)  # the last one was not handed over
            raise
        finally:
            self._sending = False
            if self._sent is not None and not self._sent.done():
                self._sent.set_result(None)
            _MESSAGES.inc(count)


class Publisher:
    """Of one process; made by ``publishing``."""

    def __init__(self, messaging: Messaging, sender_id: str, retained_bytes: int) -> None:
        self._messaging = messaging
        self._retained_bytes = retained_bytes
        self._open: set[ChunkStream] = set()
        self._over: deque[tuple[float, ChunkStream]] = deque()
        self._over_bytes = 0
        self._gathered: list[ChunkStream] = []
        self._gathering: asyncio.TimerHandle | None = None
        self._wake = asyncio.Event()
        self._came_back = asyncio.Event()
        self._address = ""
        self.sender_id = sender_id

    @property
    def max_payload(self) -> int:
        """Of the broker that is connected, or was last."""
        return self._messaging.client.max_payload

    def stream(self, subject: str, completion_id: str, attempt: int) -> ChunkStream:
        """Open a stream. Whoever opens it ends it, or abandons it while nothing was sent."""
        stream = ChunkStream(self, subject, completion_id, attempt)
        self._open.add(stream)
        return stream

    def abandon(self, stream: ChunkStream) -> None:
        """The attempt failed before its first content: there is nothing to tell on this stream."""
        self._open.discard(stream)

    def _ended(self, stream: ChunkStream) -> None:
        if stream in self._open:
            self._open.discard(stream)
            self._over.append((time.monotonic(), stream))
            self._over_bytes += stream._kept.size

    def _due(self, stream: ChunkStream) -> None:
        """The stream has something to send at the end of the gathering, which begins now if there is none."""
        if not stream.due:
            stream.due = True
            self._gathered.append(stream)
        if self._gathering is None:
            self._gathering = asyncio.get_running_loop().call_later(_GATHER, self._wake.set)

    async def _send_gathered(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._send_due()
            except Exception:
                _log.exception("sending chunks failed; they are kept and sent again")

    async def _send_due(self) -> None:
        gathered, self._gathered, self._gathering = self._gathered, [], None
        for stream in gathered:
            stream.due = False
        await self._send(gathered)

    async def _send(self, streams_: Sequence[ChunkStream]) -> None:
        """While the broker is away everything is kept and nothing waits."""
        if self._messaging.lacking() is not None:
            return
        with closing(_outgoing(streams_)) as messages, suppress(PlatformError):
            await self._messaging.publish_all(messages)

    def _all(self) -> Iterator[ChunkStream]:
        yield from list(self._open)
        yield from [stream for _, stream in self._over]

    async def _at_connection(self) -> None:
        await streams.ensure(self._messaging.jetstream, streams.CHUNKS)
        for stream in self._all():
            _REPEATED.inc(stream._kept.sent)
            stream._kept.sent = 0
        # Ended streams get their full time once more: it is counted while the connection stands.
        now = time.monotonic()
        self._over = deque((now, stream) for _, stream in self._over)
        self._came_back.set()

    async def _republish(self) -> None:
        while True:
            await self._came_back.wait()
            self._came_back.clear()
            await self._messaging.ready()
            await self._send(list(self._all()))

    async def _beat(self) -> None:
        """Once a second: tell that the process lives, send what stayed behind, forget what is old."""
        while True:
            if self._messaging.lacking() is None:
                await self._tell_life()
                await self._send_behind()
            self._forget()
            await asyncio.sleep(_HEARTBEAT_EVERY)

    async def _tell_life(self) -> None:
        beat = heartbeat_pb2.SenderHeartbeat(
            sender_id=self.sender_id, open_streams=len(self._open), address=self._address
        )
        try:
            await self._messaging.publish(subjects.sender_heartbeat(self.sender_id), beat.SerializeToString())
        except PlatformError as exc:
            _log.debug("no heartbeat", extra={"error": str(exc)})

    @asynccontextmanager
    async def advertising(self, address: str) -> AsyncIterator[None]:
        """Tell in heartbeats where this process is called, while inside; both ends are told at once."""
        self._address = address
        await self._tell_life()
        try:
            yield
        finally:
            self._address = ""
            await self._tell_life()

    async def _send_behind(self) -> None:
        await self._send([stream for stream in self._all() if stream._kept.unsent])

    def _forget(self) -> None:
        standing = self._messaging.lacking() is None
        now = time.monotonic()
        while self._over:
            since, stream = self._over[0]
            if self._over_bytes <= self._retained_bytes and not (standing and now - since > _KEPT_AFTER_END):
                break
            self._over.popleft()
            self._over_bytes -= stream._kept.size
            FORGOTTEN.inc(stream._kept.unsent)


@asynccontextmanager
async def publishing(messaging: Messaging, sender_id: str, retained_bytes: int) -> AsyncIterator[Publisher]:
    """Publish, and tell that this process lives, while inside."""
    publisher = Publisher(messaging, sender_id, retained_bytes)
    messaging.at_connection(publisher._at_connection)
    async with background(publisher._send_gathered, publisher._republish, publisher._beat):
        yield publisher
        await publisher._send_behind()


def _outgoing(streams_: Sequence[ChunkStream]) -> Generator[tuple[str, bytes], None, None]:
    for stream in streams_:
        yield from stream._outgoing()
