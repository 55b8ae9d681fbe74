"""``POST /v1/embeddings``."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import msgspec
from litestar import asgi
from litestar.handlers import ASGIRouteHandler
from omnix_kit.ids import uuid7

from omnix_gateway.authentication import Authenticator
from omnix_gateway.caching.cache import bypassed
from omnix_gateway.caching.vectors import CachedEmbeddings
from omnix_gateway.caching.wishes import Wish
from omnix_gateway.chat.decoding import decode
from omnix_gateway.clients import Router
from omnix_gateway.embeddings import convert
from omnix_gateway.embeddings.schema import EmbeddingRequest
from omnix_gateway.http.body import Bodies
from omnix_gateway.http.exchange import (
    Exchange,
    Headers,
    Receive,
    Scope,
    Send,
    WhileConnected,
    exchange_of,
    header,
    reply,
)
from omnix_gateway.http.server import ABORT
from omnix_gateway.idempotency.claims import Earlier
from omnix_gateway.idempotency.convert import vectors_from_bytes
from omnix_gateway.identity import Identity
from omnix_gateway.limits.admission import Admission, Limits
from omnix_gateway.limits.convert import expected_of_embedding
from omnix_gateway.preferences.translate import TIMEOUT, timeout
from omnix_gateway.routes.answered import REPLAYED, answered_by, cost, left
from omnix_gateway.routes.keyed import Keyed, KeyedCall
from omnix_gateway.routes.posted import answer_posted

PATH: Final = "/v1/embeddings"
ID_PREFIX: Final = b"embd-"
_AT_ONCE: Final = 256 * 1024

_decoder = msgspec.json.Decoder(EmbeddingRequest)


@dataclass(frozen=True)
class EmbeddingRoute:
    """Answers with vectors."""

    router: Router
    authenticator: Authenticator
    bodies: Bodies
    body_limit: int
    json_depth: int
    stalled: float
    """Seconds that a client may take to read what was sent to it, before its connection is cut."""
    cached: CachedEmbeddings
    limits: Limits
    keyed: Keyed

    def route(self) -> ASGIRouteHandler:
        """A bare ASGI handler, because an answer of many vectors is written in pieces."""

        @asgi(PATH, copy_scope=False, name="create_embedding")
        async def create_embedding(scope: Scope, receive: Receive, send: Send) -> None:
            await self.answer(scope, receive, send)

        return create_embedding

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        await answer_posted(PATH, ID_PREFIX, self.authenticator, self._answer, scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, identity: Identity) -> None:
        exchange = exchange_of(scope)
        with self.bodies.in_hand() as in_hand:
            body = await in_hand.read(scope, receive, most=self.body_limit)
            request = decode(body, _decoder, self.json_depth)
            exchange.completion_id = uuid7()
            exchange.model = request.model
            within = timeout(header(scope, TIMEOUT.encode()), request.timeout)
            key = self.keyed.key(scope)
            wish = self.cached.cache.wish(scope, request.cache)
            asked = convert.request_to_proto(request)
            if key is None:
                await self._make(scope, send, identity, request, asked, within, wish, None)
                return
            if wish is not None:
                bypassed(exchange)
            found = await self.keyed.claim(
                scope, exchange, identity, key, request, len(body), lambda: left(within, exchange)
            )
            if isinstance(found, Earlier):
                vectors = vectors_from_bytes(await self.keyed.again(found, identity, exchange))
                await self._tell(scope, send, exchange, request, vectors)
                return
            try:
                await self._make(scope, send, identity, request, asked, within, None, found)
            finally:
                found.done()

    async def _make(
        self,
        scope: Scope,
        send: Send,
        identity: Identity,
        request: EmbeddingRequest,
        asked: convert.ProtoRequest,
        within: timedelta | None,
        wish: Wish | None,
        lead: KeyedCall | None,
    ) -> None:
        """Make the call and answer with what comes of it.

        :param lead: makes the call in place of the router.
        """
        exchange = exchange_of(scope)
        admission: Admission | None = None
        slices = await self.limits.of(identity)
        if slices:
            expected = expected_of_embedding(asked)
            admission = await self.limits.admit(exchange, slices, (asked.model,), expected)
        try:
            with WhileConnected(scope):
                if wish is None:
                    response = await (lead or self.router).embed(
                        exchange.completion_id, identity.caller, asked, left(within, exchange)
                    )
                else:
                    response = await self.cached.embed(
                        exchange, identity, asked, wish, lambda: left(within, exchange), ID_PREFIX
                    )
                convert.refuse_wrong_count(response, asked)
                await self._tell(scope, send, exchange, request, response)
        finally:
            if slices:
                self.limits.settle(admission, exchange, asked.model)

    async def _tell(
        self, scope: Scope, send: Send, exchange: Exchange, request: EmbeddingRequest, response: convert.EmbedResponse
    ) -> None:
        patient = _Patient(send, scope[ABORT], self.stalled)
        headers = _headers(exchange, response)
        await _send(patient, headers, response, base64=request.encoding_format == "base64")


def _headers(exchange: Exchange, response: convert.EmbedResponse) -> Headers:
    exchange.model = response.model
    exchange.took(response.embeddings.usage, response.cost_micros)
    return [
        (b"content-type", b"application/json"),
        (b"x-omnix-completion-id", ID_PREFIX + exchange.completion_id.encode()),
        *answered_by(
            response.model,
            response.attempts,
            sandbox=response.sandbox,
            route=response.route,
            policy=response.policy,
        ),
        *(cost(response.cost_micros) if response.HasField("cost_micros") else ()),
        (b"openai-processing-ms", b"%d" % exchange.milliseconds),
        *(exchange.cached.headers if exchange.cached is not None else ()),
        *((REPLAYED,) if exchange.replayed else ()),
        *exchange.limits,
    ]


@dataclass(frozen=True, slots=True)
class _Patient:
    """Sends to a client that reads. One that does not would keep a large answer in memory for as long as it likes."""

    send: Send
    abort: Callable[[], None]
    stalled: float

    async def __call__(self, message: Any) -> None:
        timer = asyncio.get_running_loop().call_later(self.stalled, self.abort)
        try:
            await self.send(message)
        finally:
            timer.cancel()


async def _send(send: Send, headers: Headers, response: convert.EmbedResponse, *, base64: bool) -> None:
    """Write an answer of any size in bounded memory, and let others have their turn meanwhile."""
    parts: list[bytes] = []
    size = 0
    begun = False
    for piece in convert.pieces(response, base64=base64):
        parts.append(piece)
        size += len(piece)
        if size >= _AT_ONCE:
            if not begun:
                start: Any = {"type": "http.response.start", "status": 200, "headers": headers}
                await send(start)
                begun = True
            more: Any = {"type": "http.response.body", "body": b"".join(parts), "more_body": True}
            await send(more)
            parts, size = [], 0
            await asyncio.sleep(0)
    if not begun:
        await reply(send, 200, headers, b"".join(parts))
        return
    last: Any = {"type": "http.response.body", "body": b"".join(parts), "more_body": False}
    await send(last)
