"""Durable publishing of many events at once.

The client library's own way, one request and one timeout for each message, costs more CPU than everything else that is
done to meter an attempt. Here a batch of messages goes out at once, and their acknowledgements come in on one
subscription.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import msgspec
import nats.errors
from msgspec import Struct
from nats.aio.msg import Msg
from omnix_kit import telemetry
from omnix_kit.messaging import Messaging
from omnix_kit.timeouts import insisting

from omnix_provider.spool import Record

_WITHIN = 2.0


class _Ack(Struct):
    """https://docs.nats.io/reference/reference-protocols/nats_api_reference, ``PubAck``."""

    stream: str | None = None
    error: msgspec.Raw | None = None


_decode = msgspec.json.Decoder(_Ack).decode


class Outgoing(Struct, frozen=True):
    """One message."""

    record: Record
    traceparent: str | None = None
    """Several of them, with commas between, for a message of several traces."""


class Acknowledged:
    """One batch at a time."""

    def __init__(self, messaging: Messaging) -> None:
        self._messaging = messaging
        self._inbox = messaging.client.new_inbox()
        self._subscribed = False
        self._pending: set[bytes] = set()
        self._failed: set[bytes] = set()
        self._all_answered: asyncio.Future[None] | None = None
        self._batch = 0

    async def at_connection(self) -> None:
        """A hook of the connection."""
        if not self._subscribed:
            await self._messaging.subscribe(f"{self._inbox}.*", self._on_answer)
            self._subscribed = True

    async def publish(self, messages: Sequence[Outgoing]) -> list[bool]:
        """Which of the messages the server stored for certain."""
        client = self._messaging.client
        if not client.is_connected or not self._subscribed:
            return [False] * len(messages)
        self._batch += 1
        tokens = [b"%d-%d" % (self._batch, number) for number in range(len(messages))]
        self._pending, self._failed = set(tokens), set()
        self._all_answered = asyncio.get_running_loop().create_future()
        with suppress(TimeoutError, nats.errors.Error, OSError), insisting(_WITHIN) as within:
            for token, message in zip(tokens, messages, strict=True):
                headers = {"Nats-Msg-Id": message.record.message_id}
                if message.traceparent is not None:
                    headers[_header_of(message.traceparent)] = message.traceparent
                await client.publish(
                    message.record.subject,
                    message.record.event,
                    reply=f"{self._inbox}.{token.decode()}",
                    headers=headers,
                )
                within.check()
            await self._all_answered
        return [token not in self._pending and token not in self._failed for token in tokens]

    async def _on_answer(self, message: Msg) -> None:
        token = message.subject.rpartition(".")[2].encode()
        if token not in self._pending:
            return  # of an earlier batch, which was told as not stored
        if not _stored(message):
            self._failed.add(token)
        self._pending.discard(token)
        if not self._pending and self._all_answered is not None and not self._all_answered.done():
            self._all_answered.set_result(None)


def _header_of(traceparent: str) -> str:
    """The one that everybody knows tells one place."""
    return telemetry.TRACEPARENTS if "," in traceparent else "traceparent"


def _stored(message: Msg) -> bool:
    """An answer without a body is the server's word that nobody keeps the subject."""
    try:
        ack = _decode(message.data)
    except msgspec.DecodeError:
        return False
    return ack.error is None and ack.stream is not None
