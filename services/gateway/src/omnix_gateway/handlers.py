"""NATS in: decode, call one function."""

import asyncio
import logging

from google.protobuf.message import DecodeError
from nats.aio.msg import Msg
from omnix_kit import subjects
from omnix_kit.errors import CallerError, OmnixError
from omnix_kit.messaging import Messaging

from omnix_gateway.authentication import Authenticator
from omnix_gateway.limits.admission import Limits
from omnix_gateway.limits.convert import tenant_of_change
from omnix_gateway.streaming.convert import account_change, sender_of
from omnix_gateway.streaming.streams import Streams

_log = logging.getLogger(__name__)


class Handlers:
    """What the gateway listens to."""

    def __init__(
        self,
        messaging: Messaging,
        gateway_id: str,
        streams: Streams,
        authenticator: Authenticator,
        limits: Limits,
    ) -> None:
        self._messaging = messaging
        self._gateway_id = gateway_id
        self._streams = streams
        self._authenticator = authenticator
        self._limits = limits
        self._subscribed = False
        self._checking: asyncio.Task[None] | None = None

    async def on_connection(self) -> None:
        """At every connection. The library itself subscribes again after the first."""
        if not self._subscribed:
            await self._messaging.subscribe(subjects.chunks_of_gateway(self._gateway_id), self.on_chunks)
            await self._messaging.subscribe(subjects.SENDER_HEARTBEATS, self.on_heartbeat)
            await self._messaging.subscribe(subjects.ACCOUNT_CHANGED, self.on_account_changed)
            await self._messaging.subscribe(subjects.LIMIT_CHANGED, self.on_limit_changed)
            await self._messaging.subscribe(subjects.READERS_SOUGHT, self.on_readers_sought)
            self._subscribed = True
        else:
            # A revocation may have been told while nobody listened.
            self._authenticator.forget_all()
            self._limits.forget_all()
            self._checking = asyncio.create_task(self._check_keys_of_open_streams())
        await self._streams.on_connection()

    async def on_chunks(self, message: Msg) -> None:
        if self._streams.on_chunks(message.subject.rpartition(".")[2], message.data):
            await asyncio.sleep(0)

    async def on_heartbeat(self, message: Msg) -> None:
        try:
            self._streams.on_heartbeat(sender_of(message.data))
        except DecodeError:
            _log.warning("a heartbeat cannot be read", extra={"subject": message.subject})

    async def on_readers_sought(self, message: Msg) -> None:
        if message.reply and self._streams.is_read(message.subject.rpartition(".")[2]):
            await self._messaging.publish(message.reply, b"")

    async def on_account_changed(self, message: Msg) -> None:
        try:
            tenant_id, key_id, revoked = account_change(message.data)
        except DecodeError:
            _log.warning("an account change cannot be read", extra={"subject": message.subject})
            self._authenticator.forget_all()
            return
        self._authenticator.forget(tenant_id, key_id, revoked=revoked)
        if revoked and key_id:
            await self._streams.end_those_of_key(tenant_id, key_id)

    async def on_limit_changed(self, message: Msg) -> None:
        try:
            self._limits.forget(tenant_of_change(message.data))
        except DecodeError:
            _log.warning("a change of a limit cannot be read", extra={"subject": message.subject})
            self._limits.forget_all()

    async def _check_keys_of_open_streams(self) -> None:
        for digest, identity in self._streams.identities().items():
            try:
                await self._authenticator.ask(digest)
            except CallerError:
                await self._streams.end_those_of_key(identity.tenant_id, identity.key_id)
            except OmnixError as exc:
                _log.warning("could not check a key", extra={"key_id": identity.key_id, "error": exc.message})

    def close(self) -> None:
        if self._checking is not None:
            self._checking.cancel()
