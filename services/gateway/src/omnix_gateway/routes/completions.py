"""``POST /v1/chat/completions``."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import msgspec
from litestar import asgi
from litestar.handlers import ASGIRouteHandler
from omnix_kit.errors import CallerError, ProviderError, Reason, error_for
from omnix_kit.ids import uuid7

from omnix_gateway import metrics
from omnix_gateway.authentication import Authenticator
from omnix_gateway.chat import convert, translate
from omnix_gateway.chat.content.convert import put_fetched
from omnix_gateway.chat.content.fetching import Fetching
from omnix_gateway.chat.content.media import Media, MediaRules
from omnix_gateway.chat.decoding import decode
from omnix_gateway.chat.schema import ChatRequest
from omnix_gateway.clients import Router, Started
from omnix_gateway.http.body import Bodies, Body
from omnix_gateway.http.exchange import (
    ClientGone,
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
from omnix_gateway.http.wire import WIRE
from omnix_gateway.identity import Identity
from omnix_gateway.policies import CANCEL, OnDisconnect, on_disconnect
from omnix_gateway.policies import HEADER as ON_DISCONNECT
from omnix_gateway.preferences.translate import TIMEOUT, models, timeout
from omnix_gateway.routes.answered import answered_by, cost, header_text, left
from omnix_gateway.routes.events import Client, begin_events, send_events
from omnix_gateway.routes.posted import answer_posted
from omnix_gateway.streaming.streams import OpenStream, Streams

PATH: Final = "/v1/chat/completions"
_ID_PREFIX: Final = b"chatcmpl-"

_decoder = msgspec.json.Decoder(ChatRequest)
_encoder = msgspec.json.Encoder()


@dataclass(frozen=True)
class Completions:
    """Answers chat completions, whole and streamed."""

    router: Router
    authenticator: Authenticator
    streams: Streams
    bodies: Bodies
    json_depth: int
    media: MediaRules
    fetching: Fetching

    def route(self) -> ASGIRouteHandler:
        """A bare ASGI handler: this is the hot path, and nothing that Litestar adds to it is needed."""

        @asgi(PATH, copy_scope=False, name="create_chat_completion")
        async def create_chat_completion(scope: Scope, receive: Receive, send: Send) -> None:
            await self.answer(scope, receive, send)

        return create_chat_completion

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        await answer_posted(PATH, _ID_PREFIX, self.authenticator, self._answer, scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, identity: Identity) -> None:
        exchange = exchange_of(scope)
        with self.bodies.in_hand() as in_hand:
            request = self._request(await in_hand.read(scope, receive, media=True))
            exchange.completion_id = uuid7()
            exchange.model = models(request.model, request.models)[0]
            within = timeout(header(scope, TIMEOUT.encode()), request.timeout)
            policy = _policy(header(scope, ON_DISCONNECT.encode()), identity) if request.stream else None
            media = Media(self.media)
            proto = convert.request_to_proto(request, media)
            if media.sought:
                with WhileConnected(scope):
                    await self._fetch(media, identity, proto, in_hand)
            if policy is not None:
                await self._stream(scope, receive, send, identity, request, proto, policy, within)
            else:
                with WhileConnected(scope):
                    await self._unary(send, exchange, identity, proto, within)

    def _request(self, body: bytes | bytearray) -> ChatRequest:
        request = decode(body, _decoder, self.json_depth)
        translate.refuse_what_is_not_honoured(request)
        translate.refuse_too_much_json(request, len(body), self.bodies.limits.json)
        return request

    async def _fetch(self, media: Media, identity: Identity, proto: convert.CompletionRequest, in_hand: Body) -> None:
        for sought, fetched in await self.fetching.fetch(media, identity.key_id, in_hand.hold):
            put_fetched(proto, sought, fetched.data, fetched.media_type)

    async def _unary(
        self,
        send: Send,
        exchange: Exchange,
        identity: Identity,
        request: convert.CompletionRequest,
        within: timedelta | None,
    ) -> None:
        response = await self.router.complete(exchange.completion_id, identity.caller, request, left(within, exchange))
        body = _encoder.encode(convert.completion_from_proto(response, exchange.completion_id))
        headers = _headers(exchange, response)
        headers.append((b"content-type", b"application/json"))
        if response.HasField("cost_micros"):
            headers += cost(response.cost_micros)
        await reply(send, 200, headers, body)

    async def _stream(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        identity: Identity,
        request: ChatRequest,
        proto: convert.CompletionRequest,
        policy: OnDisconnect,
        within: timedelta | None,
    ) -> None:
        exchange = exchange_of(scope)
        completion_id = exchange.completion_id
        streams = self.streams
        with streams.begin(completion_id, identity, policy, scope[ABORT]) as stream:
            try:
                with WhileConnected(scope):
                    started = await self.router.start(
                        completion_id, identity.caller, proto, streams.subject(completion_id), left(within, exchange)
                    )
            except (CallerError, ProviderError):
                raise  # so says the router of every attempt: none goes on
            except (ClientGone, asyncio.CancelledError):
                # The call was cancelled, and may have been answered at the same moment.
                await streams.cancel(completion_id, "client")
                raise
            except Exception:
                # The answer was lost; nobody would read what was perhaps begun.
                await streams.cancel(completion_id, "defect")
                raise
            try:
                ended = await self._send(scope, receive, send, stream, identity, request, started)
            except Exception:
                await streams.cancel(completion_id, "defect")
                raise
            if not ended:
                await streams.leave(stream)

    async def _send(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        stream: OpenStream,
        identity: Identity,
        request: ChatRequest,
        started: Started,
    ) -> bool:
        """Answers False when the answer has nobody any more who reads it."""
        exchange = exchange_of(scope)
        metrics.FIRST_CONTENT_SECONDS.observe(exchange.milliseconds / 1000)
        idle = started.idle_timeout.ToTimedelta().total_seconds() if started.HasField("idle_timeout") else None
        stream.reader.commit(started.attempt, started.sender_id, idle)
        if self.authenticator.is_revoked(identity):
            stream.reader.fail(error_for(Reason.KEY_REVOKED, "The API key was revoked."))
            await self.streams.cancel(exchange.completion_id, "key-revoked")
        headers = _headers(exchange, started)
        await begin_events(send, headers)
        include_usage = bool(request.stream_options and request.stream_options.include_usage)
        client = Client(exchange, send, scope[WIRE], include_usage)
        return await send_events(stream.reader, client)


def _policy(wish: str | None, identity: Identity) -> OnDisconnect:
    return on_disconnect(wish) if wish is not None else identity.on_disconnect or CANCEL


def _headers(exchange: Exchange, answered: convert.CompleteResponse | Started) -> Headers:
    exchange.model = answered.model
    used = convert.reasoning_used(answered)
    headers: Headers = [
        (b"x-omnix-completion-id", _ID_PREFIX + exchange.completion_id.encode()),
        *answered_by(
            answered.model,
            answered.attempts,
            sandbox=answered.sandbox,
            route=answered.route,
            policy=answered.policy,
        ),
        (b"openai-processing-ms", b"%d" % exchange.milliseconds),
    ]
    if used.mode:
        headers.append((b"x-omnix-mode", used.mode.encode()))
    if used.reasoning:
        headers.append((b"x-omnix-reasoning", used.reasoning.encode()))
    if used.note:
        headers.append((b"x-omnix-reasoning-note", header_text(used.note)))
    return headers
