"""``/v1/analytics``: figures over time, of a time, and live. Members see their own, admins the tenant's."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from omnix_gateway.analytics import convert, schema
from omnix_gateway.analytics.clients import Analytics
from omnix_gateway.analytics.live import Live
from omnix_gateway.chat.decoding import decode
from omnix_gateway.http.body import Bodies
from omnix_gateway.http.exchange import ClientGone, Receive, Scope, Send, WhileConnected, exchange_of
from omnix_gateway.http.server import ABORT
from omnix_gateway.identity import Identity, Role
from omnix_gateway.routes.events import begin_events
from omnix_gateway.routes.guards import identity_of, open_to
from omnix_gateway.routes.plain import answered, query_of

_rebuild_decoder = msgspec.json.Decoder(schema.RebuildRequest)

AnyRequest = Request[Any, Any, Any]


@dataclass(frozen=True)
class AnalyticsRoutes:
    analytics: Analytics
    live: Live
    bodies: Bodies
    json_depth: int
    stalled_client: float

    def routes(self) -> list[HTTPRouteHandler]:
        @get("/v1/analytics/series", guards=[open_to(Role.MEMBER)], name="query_series")
        async def query_series(request: AnyRequest) -> Response[bytes]:
            query = query_of(request.scope, schema.SeriesQuery)
            asked = convert.series_to_proto(query, identity_of(request), datetime.now(UTC))
            answer = await self.analytics.series(asked)
            return answered(convert.series_from_proto(answer, asked.bucket.ToTimedelta(), query.group_by))

        @get("/v1/analytics/totals", guards=[open_to(Role.MEMBER)], name="query_totals")
        async def query_totals(request: AnyRequest) -> Response[bytes]:
            query = query_of(request.scope, schema.TotalsQuery)
            asked = convert.totals_to_proto(query, identity_of(request), datetime.now(UTC))
            return answered(convert.totals_from_proto(await self.analytics.totals(asked), query.group_by))

        @get("/v1/analytics/live", guards=[open_to(Role.MEMBER)], name="watch_figures")
        async def watch_figures(request: AnyRequest) -> ASGIApp:
            return self._watch(query_of(request.scope, schema.LiveQuery), identity_of(request))

        @post("/v1/analytics/rebuild", guards=[open_to(Role.ADMIN)], name="start_rebuild", status_code=202)
        async def start_rebuild(request: AnyRequest) -> Response[bytes]:
            with self.bodies.in_hand() as in_hand:
                body = await in_hand.read(request.scope, request.receive)
            asked = decode(body, _rebuild_decoder, self.json_depth)
            rebuild = await self.analytics.rebuild(convert.rebuild_to_proto(asked, identity_of(request)))
            return answered(convert.rebuild_from_proto(rebuild), 202)

        @get("/v1/analytics/rebuild", guards=[open_to(Role.ADMIN)], name="get_rebuild")
        async def get_rebuild(request: AnyRequest) -> Response[bytes]:
            query = query_of(request.scope, schema.RebuildQuery)
            rebuild = await self.analytics.rebuild_of(convert.rebuild_query_to_proto(query, identity_of(request)))
            return answered(convert.rebuild_from_proto(rebuild))

        return [query_series, query_totals, watch_figures, start_rebuild, get_rebuild]

    def _watch(self, query: schema.LiveQuery, identity: Identity) -> ASGIApp:
        async def watch(scope: Scope, receive: Receive, send: Send) -> None:
            exchange = exchange_of(scope)
            try:
                with WhileConnected(scope):
                    async with self.live.view(query, identity) as events:
                        exchange.streamed = True
                        await begin_events(send, [])
                        await self._send(events, scope, exchange.send or send)
                exchange.stream_end = "whole"
            except ClientGone:
                exchange.stream_end = "left"

        return watch

    async def _send(self, events: AsyncIterator[bytes], scope: Scope, send: Send) -> None:
        async for event in events:
            message: Any = {"type": "http.response.body", "body": event, "more_body": True}
            try:
                async with asyncio.timeout(self.stalled_client):
                    await send(message)
            except TimeoutError:
                scope[ABORT]()
                return
        end: Any = {"type": "http.response.body", "body": b""}
        await send(end)
