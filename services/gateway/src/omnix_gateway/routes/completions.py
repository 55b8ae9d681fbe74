"""``POST /v1/chat/completions``."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

import msgspec
from litestar import asgi
from litestar.handlers import ASGIRouteHandler
from omnix_kit.errors import CallerError, OmnixError, ProviderError, Reason, error_for
from omnix_kit.ids import uuid7

from omnix_gateway import metrics
from omnix_gateway.authentication import Authenticator
from omnix_gateway.caching.cache import bypassed
from omnix_gateway.caching.completions import Lead
from omnix_gateway.caching.wishes import Wish
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
    Receive,
    Scope,
    Send,
    WhileConnected,
    exchange_of,
    header,
)
from omnix_gateway.http.server import ABORT
from omnix_gateway.http.wire import WIRE
from omnix_gateway.identity import Identity
from omnix_gateway.limits.admission import Admission, Limits
from omnix_gateway.limits.convert import expected_of_completion
from omnix_gateway.policies import CANCEL, CONTINUE, OnDisconnect, on_disconnect
from omnix_gateway.policies import HEADER as ON_DISCONNECT
from omnix_gateway.preferences.translate import TIMEOUT, models, timeout
from omnix_gateway.routes.answered import left
from omnix_gateway.routes.cached import Asked, CachedCompletions
from omnix_gateway.routes.completed import ID_PREFIX, headers_of, tell
from omnix_gateway.routes.events import Client, begin_events, send_events
from omnix_gateway.routes.keyed import KeyedCall
from omnix_gateway.routes.keyed_completions import KeyedCompletions
from omnix_gateway.routes.posted import answer_posted
from omnix_gateway.streaming.streams import OpenStream, Streams

PATH: Final = "/v1/chat/completions"

_decoder = msgspec.json.Decoder(ChatRequest)


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
    cached: CachedCompletions
    limits: Limits
    keyed: KeyedCompletions

    def route(self) -> ASGIRouteHandler:
        """A bare ASGI handler: this is the hot path, and nothing that Litestar adds to it is needed."""

        @asgi(PATH, copy_scope=False, name="create_chat_completion")
        async def create_chat_completion(scope: Scope, receive: Receive, send: Send) -> None:
            await self.answer(scope, receive, send)

        return create_chat_completion

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        await answer_posted(PATH, ID_PREFIX, self.authenticator, self._answer, scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, identity: Identity) -> None:
        exchange = exchange_of(scope)
        with self.bodies.in_hand() as in_hand:
            body = await in_hand.read(scope, receive, media=True)
            request = self._request(body)
            exchange.completion_id = uuid7()
            exchange.model = models(request.model, request.models)[0]
            within = timeout(header(scope, TIMEOUT.encode()), request.timeout)
            key = self.keyed.key(scope)
            policy = _policy(scope, identity, CANCEL if key is None else CONTINUE) if request.stream else None
            wish = self.cached.cache.wish(scope, request.cache)
            media = Media(self.media)
            proto = convert.request_to_proto(request, media)
            asked = Asked(scope, send, exchange, identity, proto, policy, _include_usage(request), within)
            if key is None:
                await self._make(asked, request, media, in_hand, wish, None)
            else:
                if wish is not None:
                    bypassed(exchange)
                make = partial(self._make, asked, request, media, in_hand, None)
                await self.keyed.answer(asked, key, request, len(body), make)

    async def _make(
        self,
        asked: Asked,
        request: ChatRequest,
        media: Media,
        in_hand: Body,
        wish: Wish | None,
        lead: KeyedCall | None,
    ) -> None:
        """Make the call and answer with what comes of it.

        :param lead: makes the call in place of router and streams.
        """
        scope, send, exchange, identity, proto = asked.scope, asked.send, asked.exchange, asked.identity, asked.request
        policy, within = asked.policy, asked.within
        admission: Admission | None = None
        slices = await self.limits.of(identity)
        if slices:
            expected = expected_of_completion(proto, self.limits.assumed)
            admission = await self.limits.admit(exchange, slices, (proto.model, *proto.fallback_models), expected)
        try:
            if media.sought:
                with WhileConnected(scope):
                    await self._fetch(media, identity, proto, in_hand)
            if wish is not None:
                stream = partial(
                    self._stream, scope, send, identity, request, proto, policy or CANCEL, within, admission
                )
                await self.cached.answer(asked, wish, stream)
            elif policy is not None:
                await self._stream(scope, send, identity, request, proto, policy, within, admission, lead)
            else:
                with WhileConnected(scope):
                    response = await (lead or self.router).complete(
                        exchange.completion_id, identity.caller, proto, left(within, exchange)
                    )
                    await tell(send, exchange, response)
        finally:
            if slices:
                self.limits.settle(admission, exchange, proto.model)

    def _request(self, body: bytes | bytearray) -> ChatRequest:
        request = decode(body, _decoder, self.json_depth)
        translate.refuse_what_is_not_honoured(request)
        translate.refuse_too_much_json(request, len(body), self.bodies.limits.json)
        return request

    async def _fetch(self, media: Media, identity: Identity, proto: convert.CompletionRequest, in_hand: Body) -> None:
        for sought, fetched in await self.fetching.fetch(media, identity.key_id, in_hand.hold):
            put_fetched(proto, sought, fetched.data, fetched.media_type)

    async def _stream(
        self,
        scope: Scope,
        send: Send,
        identity: Identity,
        request: ChatRequest,
        proto: convert.CompletionRequest,
        policy: OnDisconnect,
        within: timedelta | None,
        admission: Admission | None,
        lead: Lead | KeyedCall | None = None,
    ) -> None:
        """:param lead: the call is not this request's alone; it begins and ends it in place of router and streams."""
        exchange = exchange_of(scope)
        completion_id = exchange.completion_id
        streams = self.streams
        begins, ends = lead or self.router, lead or streams
        with streams.begin(completion_id, identity, policy, scope[ABORT]) as stream:
            try:
                with WhileConnected(scope):
                    started = await begins.start(
                        completion_id, identity.caller, proto, streams.subject(completion_id), left(within, exchange)
                    )
            except (CallerError, ProviderError):
                raise  # so says the router of every attempt: none goes on
            except (ClientGone, asyncio.CancelledError):
                # The call was cancelled, and may have been answered at the same moment.
                await ends.cancel(completion_id, "client")
                raise
            except Exception:
                # The answer was lost; nobody would read what was perhaps begun.
                await ends.cancel(completion_id, "defect")
                raise

            async def stop(error: OmnixError) -> None:
                stream.reader.fail(error)
                await ends.cancel(completion_id, "quota-exhausted")

            try:
                with self.limits.watching(admission, exchange, stream.reader, stop):
                    ended = await self._send(scope, send, stream, identity, request, started)
            except Exception:
                await ends.cancel(completion_id, "defect")
                raise
            if not ended:
                await ends.leave(stream)

    async def _send(
        self,
        scope: Scope,
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
        headers = headers_of(exchange, started)
        await begin_events(send, headers)
        client = Client(exchange, send, scope[WIRE], _include_usage(request))
        return await send_events(stream.reader, client)


def _policy(scope: Scope, identity: Identity, usual: OnDisconnect) -> OnDisconnect:
    wish = header(scope, ON_DISCONNECT.encode())
    return on_disconnect(wish) if wish is not None else identity.on_disconnect or usual


def _include_usage(request: ChatRequest) -> bool:
    return bool(request.stream_options and request.stream_options.include_usage)
