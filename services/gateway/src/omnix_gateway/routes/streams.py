"""``GET`` and ``DELETE /v1/streams/{id}``: watch, resume and cancel a streamed completion.

An id is no right: whoever may not see a stream gets the same 404 as for one that does not exist.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError
from litestar import asgi
from litestar.handlers import ASGIRouteHandler
from omnix_kit.errors import CallerError, OmnixError, Reason
from omnix_kit.ids import is_id

from omnix_gateway.authentication import Authenticator
from omnix_gateway.errors import invalid
from omnix_gateway.http.exchange import Receive, Scope, Send, exchange_of, header, reply, reply_error
from omnix_gateway.http.server import ABORT
from omnix_gateway.identity import Identity, Role
from omnix_gateway.routes.events import Client, begin_events, send_events
from omnix_gateway.routes.plain import json_response, query_of
from omnix_gateway.schema import StreamCancelled, StreamQuery
from omnix_gateway.streaming.convert import Start, chunks_from_bytes
from omnix_gateway.streaming.recording import Recorded
from omnix_gateway.streaming.streams import Streams

_YOUNG_MS: Final = 60_000
_LOOKS: Final = 4
_PAUSE: Final = 0.2


@dataclass(frozen=True)
class StreamRoutes:
    authenticator: Authenticator
    streams: Streams

    def routes(self) -> list[ASGIRouteHandler]:
        @asgi("/v1/streams/{stream_id:str}", copy_scope=False, name="stream")
        async def stream(scope: Scope, receive: Receive, send: Send) -> None:
            await self.answer(scope, receive, send)

        return [stream]

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        allow = [(b"allow", b"DELETE, GET, OPTIONS")]
        try:
            match method:
                case "GET":
                    await self._watch(scope, receive, send)
                case "DELETE":
                    await self._cancel(scope, send)
                case "OPTIONS":
                    await reply(send, 204, allow, b"")
                case _:
                    await reply_error(send, invalid(f"A stream does not answer {method}."), 405, allow)
        except OmnixError as exc:
            if exchange_of(scope).status:
                raise
            await reply_error(send, exc)

    async def _watch(self, scope: Scope, receive: Receive, send: Send) -> None:
        identity = await self._identify(scope)
        query = query_of(scope, StreamQuery)
        last_seen = _last_seen(header(scope, b"last-event-id") or query.last_event_id)
        found = await self._found(scope, identity)
        exchange = exchange_of(scope)
        async with self.streams.join(
            found.completion_id,
            identity,
            owner=found.key_id == identity.key_id,
            abort=scope[ABORT],
        ) as stream:
            headers = [(b"x-omnix-completion-id", f"chatcmpl-{found.completion_id}".encode())]
            if found.start is not None:
                exchange.model = found.start.model
                headers.append((b"x-omnix-model", found.start.model.encode()))
            await begin_events(send, headers)
            client = Client(exchange, receive, send, include_usage=query.include_usage, last_seen=last_seen)
            await send_events(stream.reader, client)

    async def _cancel(self, scope: Scope, send: Send) -> None:
        identity = await self._identify(scope)
        found = await self._found(scope, identity)
        ended = found.subject is not None and await self._has_ended(found.subject)
        if not ended:
            await self.streams.cancel(found.completion_id, "owner")
        told = StreamCancelled(id=f"chatcmpl-{found.completion_id}", cancelled=not ended)
        await reply(send, 200, [(b"content-type", b"application/json")], json_response(told))

    async def _identify(self, scope: Scope) -> Identity:
        identity = await self.authenticator.identify(scope["headers"])
        identity.needs(Role.MEMBER)
        exchange = exchange_of(scope)
        exchange.key_id, exchange.tenant_id = identity.key_id, identity.tenant_id
        return identity

    async def _found(self, scope: Scope, identity: Identity) -> "_Found":
        """The stream of the path, when there is one and this caller may see it."""
        named = str(scope["path_params"]["stream_id"])
        completion_id = named.removeprefix("chatcmpl-")
        if not is_id(completion_id):
            raise _unknown(named)
        exchange_of(scope).completion_id = completion_id
        begun = self.streams.begun_here(completion_id)
        if begun is not None:
            if not identity.may_see(begun.tenant_id, begun.key_id):
                raise _unknown(named)
            return _Found(completion_id, begun.key_id, self.streams.subject(completion_id), None)
        recorded = await self._first(completion_id)
        start = None if recorded is None else _start_of(recorded)
        if recorded is None or start is None or not identity.may_see(start.tenant_id, start.key_id):
            raise _unknown(named)
        return _Found(completion_id, start.key_id, recorded.subject, start)

    async def _first(self, completion_id: str) -> Recorded | None:
        """The first message; a completion begun a moment ago at another gateway may not have one yet."""
        for look in range(_LOOKS):
            recorded = await self.streams.recording.first(completion_id)
            age = time.time() * 1000 - int(completion_id[:12], 16)
            if recorded is not None or not 0 <= age < _YOUNG_MS or look == _LOOKS - 1:
                return recorded
            await asyncio.sleep(_PAUSE)
        return None

    async def _has_ended(self, subject: str) -> bool:
        recorded = await self.streams.recording.last(subject)
        try:
            return recorded is not None and chunks_from_bytes(recorded.data).HasField("end")
        except DecodeError:
            return False


@dataclass(frozen=True, slots=True)
class _Found:
    completion_id: str
    key_id: str
    subject: str | None
    start: Start | None


def _start_of(recorded: Recorded) -> Start | None:
    """None when the stream's beginning has left the recording, and its owner with it."""
    try:
        message = chunks_from_bytes(recorded.data)
    except DecodeError:
        return None
    return message.start if message.HasField("start") else None


def _last_seen(text: str | None) -> int:
    if not text:
        return -1
    if not text.isdigit() or len(text) > 12:
        raise invalid("'Last-Event-ID' must be the id of an event of this stream: a number.", "last_event_id")
    return int(text)


def _unknown(named: str) -> CallerError:
    return CallerError(
        f"There is no stream '{named[:80]}' that this key may see. Streams can be resumed for ten minutes.",
        reason=Reason.NOT_FOUND,
    )
