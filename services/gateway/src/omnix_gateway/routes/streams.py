"""``GET /v1/streams``, ``GET`` and ``DELETE /v1/streams/{id}``: list, watch, resume and cancel streamed completions.

An id is no right: whoever may not see a stream gets the same 404 as for one that does not exist.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import DecodeError
from litestar import Request, Response, delete, get
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp
from omnix_kit.errors import CallerError, Reason
from omnix_kit.ids import is_id
from omnix_kit.recording import Recorded

from omnix_gateway.convert import open_stream_from_proto
from omnix_gateway.errors import invalid
from omnix_gateway.http.exchange import Receive, Scope, Send, exchange_of, header
from omnix_gateway.http.server import ABORT
from omnix_gateway.http.wire import WIRE
from omnix_gateway.identity import Identity, Role
from omnix_gateway.routes.events import Client, begin_events, send_events
from omnix_gateway.routes.guards import identity_of, open_to
from omnix_gateway.routes.plain import answered, query_of
from omnix_gateway.schema import OpenStreamList, StreamCancelled, StreamQuery, StreamsQuery
from omnix_gateway.streaming.convert import Start, chunks_from_bytes, is_last
from omnix_gateway.streaming.following import NOTHING, Seen
from omnix_gateway.streaming.streams import Streams

_YOUNG_MS: Final = 60_000
_LOOKS: Final = 4
_PAUSE: Final = 0.2


@dataclass(frozen=True)
class StreamRoutes:
    streams: Streams

    def routes(self) -> list[HTTPRouteHandler]:
        @get("/v1/streams/{stream_id:str}", guards=[open_to(Role.MEMBER)], name="resume_stream")
        async def resume_stream(request: Request[Any, Any, Any]) -> ASGIApp:
            return await self._watch(request.scope, identity_of(request))

        @delete("/v1/streams/{stream_id:str}", guards=[open_to(Role.MEMBER)], name="cancel_stream", status_code=200)
        async def cancel_stream(request: Request[Any, Any, Any]) -> Response[bytes]:
            return await self._cancel(request.scope, identity_of(request))

        @get("/v1/streams", guards=[open_to(Role.MEMBER)], name="list_streams")
        async def list_streams(request: Request[Any, Any, Any]) -> Response[bytes]:
            return await self._list(query_of(request.scope, StreamsQuery), identity_of(request))

        return [list_streams, resume_stream, cancel_stream]

    async def _list(self, query: StreamsQuery, identity: Identity) -> Response[bytes]:
        """A tenant's for admins, its own for members."""
        key_id = (query.key_id or "") if identity.role is Role.ADMIN else identity.key_id
        if query.key_id not in (None, key_id):
            raise CallerError("Only admins see the streams of other keys.", reason=Reason.PERMISSION_DENIED)
        found, more = await self.streams.open_of(identity.tenant_id, key_id)
        data = [open_stream_from_proto(stream) for stream in found[: query.limit]]
        return answered(OpenStreamList(data=data, has_more=more or len(found) > len(data)))

    async def _watch(self, scope: Scope, identity: Identity) -> ASGIApp:
        query = query_of(scope, StreamQuery)
        last_seen = _last_seen(header(scope, b"last-event-id") or query.last_event_id)
        found = await self._found(scope, identity)

        async def watch(scope: Scope, receive: Receive, send: Send) -> None:
            exchange = exchange_of(scope)
            async with self.streams.join(
                found.completion_id, identity, owner=found.key_id == identity.key_id, abort=scope[ABORT]
            ) as stream:
                headers = [(b"x-omnix-completion-id", f"chatcmpl-{found.completion_id}".encode())]
                if found.start is not None:
                    exchange.model = found.start.model
                    headers.append((b"x-omnix-model", found.start.model.encode()))
                await begin_events(send, headers)
                client = Client(exchange, send, scope[WIRE], query.include_usage, last_seen)
                if not await send_events(stream.reader, client):
                    await self.streams.leave(stream)

        return watch

    async def _cancel(self, scope: Scope, identity: Identity) -> Response[bytes]:
        found = await self._found(scope, identity)
        ended = await self._has_ended(found.subject)
        if not ended:
            await self.streams.cancel(found.completion_id, "owner")
        return answered(StreamCancelled(id=f"chatcmpl-{found.completion_id}", cancelled=not ended))

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
        start = None if recorded is None else await self.streams.recorded_start(completion_id)
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
            return recorded is not None and is_last(chunks_from_bytes(recorded.data))
        except DecodeError:
            return False


@dataclass(frozen=True, slots=True)
class _Found:
    completion_id: str
    key_id: str
    subject: str
    start: Start | None


def _last_seen(text: str | None) -> Seen:
    """An id as events have it, ``2.17``, or the number alone, which means the attempt that began the answer."""
    if not text:
        return NOTHING
    attempt, dot, seq = text.rpartition(".")
    if not (_is_number(seq, 12) and (not dot or (_is_number(attempt, 6) and int(attempt)))):
        raise invalid(
            "'Last-Event-ID' must be the id of an event of this stream: two numbers with a dot between them.",
            "last_event_id",
        )
    return Seen(int(attempt) if dot else None, int(seq))


def _is_number(text: str, digits: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= digits


def _unknown(named: str) -> CallerError:
    return CallerError(
        f"There is no stream '{named[:80]}' that this key may see. Streams can be resumed for ten minutes.",
        reason=Reason.NOT_FOUND,
    )
