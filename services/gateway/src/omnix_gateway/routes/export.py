"""``GET /v1/usage/export``: the ledger as a file, page by page, so that its size does not matter."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any, Final

from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp
from omnix_kit.errors import CallerError, OmnixError, Reason

from omnix_gateway import convert
from omnix_gateway.authentication import Authenticator
from omnix_gateway.clients import UsageMetering, UsagePage
from omnix_gateway.errors import invalid, overloaded
from omnix_gateway.http.exchange import ClientGone, Receive, Scope, Send, WhileConnected, exchange_of
from omnix_gateway.http.server import ABORT
from omnix_gateway.identity import Identity, Role
from omnix_gateway.ledger.formats import FORMATS, Format
from omnix_gateway.routes.guards import identity_of, open_to
from omnix_gateway.routes.plain import labelled_query_of
from omnix_gateway.schema import UsageExportQuery

_log = logging.getLogger(__name__)

_AT_ONCE: Final = 8
"""Exports of one process; each holds a page and what the connection has not taken yet."""


class Exports:
    """What is being exported. ``stalled_client`` is how many seconds a client may take no more of it."""

    def __init__(self, metering: UsageMetering, authenticator: Authenticator, stalled_client: float) -> None:
        self._metering = metering
        self._authenticator = authenticator
        self._stalled_client = stalled_client
        self._running = 0

    def route(self) -> HTTPRouteHandler:
        @get("/v1/usage/export", guards=[open_to(Role.MEMBER)], name="export_usage")
        async def export_usage(request: Request[Any, Any, Any]) -> ASGIApp:
            query, label = labelled_query_of(request.scope, UsageExportQuery)
            if query.format == "parquet":
                raise invalid("Parquet is written by `omnix usage export --format parquet`; ask for jsonl.", "format")
            if self._running >= _AT_ONCE:
                raise overloaded("Too many exports are running at this gateway; come again in a while.")
            self._running += 1
            try:
                identity = identity_of(request)
                pages = self._pages(query, label, identity)
                first = await anext(pages)  # what is refused is refused before the answer begins
            except BaseException:
                self._running -= 1
                raise
            return self._answer(first, pages, identity, FORMATS[query.format])

        return export_usage

    async def _pages(
        self, query: UsageExportQuery, label: tuple[str, str] | None, identity: Identity
    ) -> AsyncIterator[UsagePage]:
        token = ""
        while True:
            page = await self._metering.entries(convert.export_to_proto(query, label, identity, token))
            yield page
            if not (token := page.next_page_token):
                return

    def _answer(self, first: UsagePage, rest: AsyncIterator[UsagePage], identity: Identity, form: Format) -> ASGIApp:
        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            exchange = exchange_of(scope)
            exchange.streamed = True
            try:
                with WhileConnected(scope):
                    await self._send(first, rest, identity, form, exchange.send or send)
                exchange.stream_end = "whole"
            except ClientGone:
                exchange.stream_end = "left"
            except (OmnixError, TimeoutError) as exc:
                # The answer has begun: only a connection that breaks tells the client that this is not all.
                _log.warning("an export broke off", extra={"error": repr(exc)})
                exchange.stream_end = "broken"
                scope[ABORT]()
            finally:
                self._running -= 1

        return answer

    async def _send(
        self, first: UsagePage, rest: AsyncIterator[UsagePage], identity: Identity, form: Format, send: Send
    ) -> None:
        headers = [
            (b"content-type", form.media_type.encode()),
            (b"cache-control", b"no-store"),
            (b"content-disposition", b"attachment"),
        ]
        start: Any = {"type": "http.response.start", "status": 200, "headers": headers}
        await send(start)
        await self._part(form.head + _lines(first, form), send)
        async for page in rest:
            if self._authenticator.is_revoked(identity):
                raise CallerError("The API key was revoked.", reason=Reason.KEY_REVOKED)
            await self._part(_lines(page, form), send)
        end: Any = {"type": "http.response.body", "body": b""}
        await send(end)

    async def _part(self, body: bytes, send: Send) -> None:
        if body:
            part: Any = {"type": "http.response.body", "body": body, "more_body": True}
            async with asyncio.timeout(self._stalled_client):
                await send(part)


def _lines(page: UsagePage, form: Format) -> bytes:
    return form.lines(convert.usage_entry_from_proto(entry) for entry in page.entries)
