"""Every stream that is being read here: who gets which message, and what ends streams from outside."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from datetime import timedelta

from google.protobuf.message import DecodeError
from nats.aio.msg import Msg
from omnix_kit import streams as kit_streams
from omnix_kit import subjects
from omnix_kit.errors import OmnixError, PlatformError, Reason, error_for
from omnix_kit.messaging import Messaging
from omnix_kit.recording import Recording
from omnix_kit.senders import Senders

from omnix_gateway import metrics
from omnix_gateway.clients import Router
from omnix_gateway.identity import Identity
from omnix_gateway.policies import CONTINUE, OnDisconnect
from omnix_gateway.streaming.convert import OpenStream as Open
from omnix_gateway.streaming.convert import Start, cancel_to_bytes, chunks_from_bytes
from omnix_gateway.streaming.lingering import Lingering
from omnix_gateway.streaming.listing import open_streams
from omnix_gateway.streaming.reader import Limits, Reader, clock

_log = logging.getLogger(__name__)

_TICK = 1.0
_REVOKED_ENDS_WITHIN = 3.0
SHUTTING_DOWN = "The gateway is being stopped; resume the stream to go on."


class OpenStream:
    """A reader with its client."""

    def __init__(
        self, reader: Reader, identity: Identity, *, owner: bool, abort: Callable[[], None], began: float
    ) -> None:
        self.reader = reader
        self.began = began
        """By ``Listening``."""
        self.identity = identity
        self.owner = owner
        """It is the request that began the completion, or reads for the same key."""
        self.abort = abort
        self.policy = CONTINUE
        """Watchers get the owner's when it leaves before them."""
        self.attends = True
        """There is somebody who reads it; one that nobody reads may be ended, whatever else looks at it."""


class Streams:
    """The open streams of this process."""

    def __init__(
        self, messaging: Messaging, router: Router, gateway_id: str, limits: Limits, sender_timeout: timedelta
    ) -> None:
        self.recording = Recording(messaging)
        self._messaging = messaging
        self._router = router
        self._gateway_id = gateway_id
        self._limits = limits
        self._senders = Senders(sender_timeout.total_seconds())
        self._listening = self._senders.listening
        self._begun: dict[str, OpenStream] = {}
        self._open: set[OpenStream] = set()
        self._lingering = Lingering(messaging, self.cancel)

    def subject(self, completion_id: str) -> str:
        return subjects.chunks(self._gateway_id, completion_id)

    @contextmanager
    def begin(
        self, completion_id: str, identity: Identity, policy: OnDisconnect, abort: Callable[[], None]
    ) -> Iterator[OpenStream]:
        """Listen for a completion that this gateway is about to start.

        :raises PlatformError: ``UNAVAILABLE`` while NATS is away: nobody shall pay for chunks that cannot arrive.
        """
        self._needs_connection()
        reader = Reader(completion_id, self.recording.read, self._limits, late=False)
        stream = OpenStream(reader, identity, owner=True, abort=abort, began=self._listening.at(clock()))
        stream.policy = policy
        self._begun[completion_id] = stream
        with self._counted(stream):
            try:
                yield stream
            finally:
                del self._begun[completion_id]

    @asynccontextmanager
    async def join(
        self,
        completion_id: str,
        identity: Identity,
        *,
        owner: bool,
        abort: Callable[[], None],
        attends: bool = True,
    ) -> AsyncIterator[OpenStream]:
        """Listen to a completion that goes on already, wherever it was begun.

        :param attends: somebody reads it; otherwise it may be ended for want of readers.
        :raises PlatformError: ``UNAVAILABLE`` while NATS is away.
        """
        reader = Reader(completion_id, self.recording.read, self._limits, late=True)

        async def on_message(message: Msg) -> None:
            if reader.offer(message.data):
                await asyncio.sleep(0)

        self._needs_connection()
        # Subscribed before the recording is read, so nothing falls between the two.
        subscription = await self._messaging.subscribe(subjects.chunks_of_completion(completion_id), on_message)
        stream = OpenStream(reader, identity, owner=owner, abort=abort, began=self._listening.at(clock()))
        stream.attends = attends
        if attends:
            stream.policy = self._lingering.taken(completion_id)
        with self._counted(stream):
            try:
                yield stream
            finally:
                await self._messaging.unsubscribe(subscription)

    @asynccontextmanager
    async def again(
        self, completion_id: str, messages: Sequence[bytes], identity: Identity, abort: Callable[[], None]
    ) -> AsyncIterator[OpenStream]:
        """Read a completion once more from all of its messages."""

        async def recorded(_: str) -> AsyncGenerator[bytes, None]:
            for message in messages:
                yield message

        reader = Reader(completion_id, recorded, self._limits, late=True)
        stream = OpenStream(reader, identity, owner=True, abort=abort, began=self._listening.at(clock()))
        with self._counted(stream):
            yield stream

    async def recorded_start(self, completion_id: str) -> Start | None:
        """How a completion begins, while the recording has its beginning. The first message may be the router's word.

        :raises PlatformError: ``UNAVAILABLE`` when the recording cannot be reached.
        """
        async with aclosing(self.recording.read(completion_id)) as messages:
            async for data in messages:
                try:
                    message = chunks_from_bytes(data)
                except DecodeError:
                    return None
                if not message.HasField("succession"):
                    return message.start if message.HasField("start") else None
        return None

    @property
    def is_connected(self) -> bool:
        return self._messaging.client.is_connected

    def _needs_connection(self) -> None:
        if not self.is_connected:
            raise error_for(Reason.UNAVAILABLE, "The message broker is away.", retry_after=timedelta(seconds=1))

    @contextmanager
    def _counted(self, stream: OpenStream) -> Iterator[None]:
        self._open.add(stream)
        metrics.OPEN_STREAMS.inc()
        try:
            yield
        finally:
            self._open.discard(stream)
            metrics.OPEN_STREAMS.dec()

    async def open_of(self, tenant_id: str, key_id: str) -> tuple[Sequence[Open], bool]:
        """See ``open_streams``."""
        return await open_streams(self._messaging, tenant_id, key_id)

    def begun_here(self, completion_id: str) -> Identity | None:
        """Whose completion it is, when this gateway began it and still reads it."""
        stream = self._begun.get(completion_id)
        return None if stream is None else stream.identity

    async def leave(self, stream: OpenStream) -> None:
        """A client left: the last one here to read a completion that shall not go on unread has it cancelled."""
        grace, completion_id = stream.policy.grace, stream.reader.completion_id
        if grace is None:
            return
        unread = True
        for other in self._open:
            if other is not stream and other.reader.completion_id == completion_id and _is_read_by(other):
                other.policy = stream.policy
                unread = False
        if unread and not (grace and self._lingering.keep(completion_id, stream.policy, clock())):
            await self.cancel(completion_id, "client")

    def is_read(self, completion_id: str) -> bool:
        """Whether somebody reads it here."""
        return any(each.reader.completion_id == completion_id and _is_read_by(each) for each in self._open)

    async def cancel(self, completion_id: str, cause: str) -> None:
        """Have the completion ended; over gRPC when NATS is away."""
        try:
            await self._messaging.publish(subjects.cancel(completion_id), cancel_to_bytes(completion_id, cause))
        except PlatformError:
            try:
                await self._router.cancel(completion_id, cause)
            except OmnixError as exc:
                _log.error("could not cancel", extra={"completion_id": completion_id, "error": exc.message})

    # What arrives.

    def on_chunks(self, completion_id: str, data: bytes) -> bool:
        """Answers whether readers need a turn."""
        stream = self._begun.get(completion_id)
        return stream is not None and stream.reader.offer(data)

    def on_heartbeat(self, sender_id: str) -> None:
        self._senders.heard(sender_id, clock())

    async def on_connection(self) -> None:
        """At every NATS connection: what was missed meanwhile is in the recording, or will be published again."""
        await kit_streams.ensure(self._messaging.jetstream, kit_streams.CHUNKS)
        self._listening.begin(clock())
        for stream in self._open:
            stream.reader.look_into_recording()

    async def end_those_of_key(self, tenant_id: str, key_id: str) -> None:
        """A key was revoked: its streams end, here and upstream."""
        for stream in [each for each in self._open if each.identity.key_id == key_id]:
            if stream.identity.tenant_id != tenant_id:
                continue
            stream.reader.fail(error_for(Reason.KEY_REVOKED, "The API key was revoked."))
            if stream.owner:
                await self.cancel(stream.reader.completion_id, "key-revoked")

    def identities(self) -> dict[bytes, Identity]:
        """Whose streams are open, by the key's hash."""
        return {stream.identity.key_sha256: stream.identity for stream in self._open}

    def end_all(self) -> None:
        """The process is being stopped: every stream ends, and can be resumed elsewhere."""
        for stream in self._open:
            stopping = error_for(Reason.SHUTTING_DOWN, SHUTTING_DOWN, retry_after=timedelta(seconds=1))
            stream.reader.fail(stopping, resumable=True)

    # What time demands.

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Keep an eye on senders, silences and stalled clients while inside."""
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self._lingering.close()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            try:
                self._tick(clock())
            except Exception:
                _log.exception("watching streams failed")

    def _tick(self, now: float) -> None:
        if not self._messaging.client.is_connected:
            self._listening.end(now)
        listened = self._listening.at(now)
        self._senders.forget(now)
        self._lingering.tick(now)
        for stream in list(self._open):
            reader = stream.reader
            reader.tick(now, listened)
            if reader.gave_at is not None and now - reader.gave_at > self._limits.stalled_client:
                stream.abort()
            if reader.failed_at is not None:
                patience = self._limits.stalled_client if not self._revoked(stream) else _REVOKED_ENDS_WITHIN
                if now - reader.failed_at > patience:
                    stream.abort()
            elif reader.watched and self._senders.is_silent(reader.watched, stream.began, now):
                self._doom(reader)

    def _doom(self, reader: Reader) -> None:
        if not self._listening.connected:
            # Whether the sender lives nobody knows; what it sent meanwhile can be read once the broker is back.
            reader.doom(error_for(Reason.STREAM_LOST, "The message broker is away; resume the stream later."))
        elif reader.cut is not None:  # the router fell silent, and nobody else says what follows
            reader.doom(reader.cut)
        elif reader.doom(
            error_for(Reason.PROVIDER_CUT, "The process that sent the answer fell silent."), mendable=True
        ):
            metrics.SENDERS_LOST.inc()

    @staticmethod
    def _revoked(stream: OpenStream) -> bool:
        error = stream.reader.error
        return error is not None and error.reason is Reason.KEY_REVOKED


def _is_read_by(stream: OpenStream) -> bool:
    return stream.attends and not stream.reader.left
