"""The door that every request passes: ids, room, limits of the head, the access log, counts."""

import asyncio
import logging
import re
from typing import Any, Final

from omnix_kit import telemetry
from omnix_kit.errors import PlatformError, Reason
from omnix_kit.ids import uuid7
from omnix_kit.logs import request_id as request_id_of_logs
from prometheus_client import Counter, Histogram

from omnix_gateway import metrics
from omnix_gateway.errors import invalid, overloaded
from omnix_gateway.http.cors import Cors
from omnix_gateway.http.exchange import (
    KEY,
    ASGIApp,
    Exchange,
    Receive,
    Scope,
    Send,
    reply_error,
)
from omnix_gateway.http.tracing import trace_answered
from omnix_gateway.streaming.streams import SHUTTING_DOWN

_log = logging.getLogger("omnix_gateway.access")

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_PATH_IN_LOG: Final = 200
_ALWAYS_SERVED: Final = frozenset({"/livez", "/readyz"})


class Door:
    """An ASGI application around another one."""

    def __init__(self, app: ASGIApp, *, concurrency: int, header_limit: int, cors: Cors | None) -> None:
        self._app = app
        self._concurrency = concurrency
        self._header_limit = header_limit
        self._cors = cors
        self._in_hand: set[asyncio.Task[Any]] = set()
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        self.closing = False
        metrics.IN_HAND.set_function(lambda: len(self._in_hand))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        exchange, traceparent, head_size = self._look_at(scope)
        scope[KEY] = exchange
        exchange.send = send
        request_id_of_logs.set(exchange.request_id)
        telemetry.adopt(traceparent)
        method = scope["method"]
        if method == "HEAD":
            scope = {**scope, "method": "GET"}  # the server drops the body

        extra: list[tuple[bytes, bytes]] = [(b"x-request-id", exchange.request_id.encode())]

        async def tell(message: Any) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        if self._cors is not None:
            extra += self._cors.headers(scope)
            if self._cors.is_preflight(scope):
                await self._cors.answer(scope, tell)
                return
        task = asyncio.current_task()
        path = scope["path"]
        span = telemetry.Span(method, kind=telemetry.Kind.SERVER).begin() if telemetry.recording() else None
        try:
            if head_size > self._header_limit:
                too_long = invalid(f"The head of the request is larger than {self._header_limit} bytes.")
                await reply_error(tell, too_long, 431, [(b"connection", b"close")])
            elif path in _ALWAYS_SERVED or task is None:
                await self._app(scope, receive, tell)
            elif len(self._in_hand) >= self._concurrency:
                metrics.REFUSED.inc()
                await reply_error(tell, overloaded())
            else:
                self._in_hand.add(task)
                try:
                    await self._answer(scope, receive, tell, exchange, task)
                finally:
                    self._in_hand.discard(task)
        finally:
            self._account(method, scope, exchange)
            if span is not None:
                trace_answered(span, method, scope, exchange)

    def _look_at(self, scope: Scope) -> tuple[Exchange, str | None, int]:
        """One pass over the headers."""
        request_id = ""
        traceparent = None
        size = len(scope["path"]) + len(scope["query_string"])
        for name, value in scope["headers"]:
            size += len(name) + len(value) + 4
            if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
                request_id = value.decode("ascii")
            elif name == b"traceparent":
                traceparent = value.decode("latin-1")
        return Exchange(request_id or f"req_{uuid7()}"), traceparent, size

    async def _answer(
        self, scope: Scope, receive: Receive, tell: Send, exchange: Exchange, task: "asyncio.Task[Any]"
    ) -> None:
        try:
            await self._app(scope, receive, tell)
        except asyncio.CancelledError:
            if not self.closing or exchange.status:
                raise
            task.uncancel()
            await reply_error(tell, PlatformError(SHUTTING_DOWN, reason=Reason.SHUTTING_DOWN))

    def _account(self, method: str, scope: Scope, exchange: Exchange) -> None:
        route = str(scope.get("path_template") or "unmatched")
        key = (method if len(method) < 10 else "OTHER", route, exchange.status)
        counter = self._counters.get(key)
        if counter is None:
            counter = self._counters[key] = metrics.REQUESTS.labels(key[0], route, str(exchange.status))
        counter.inc()
        took = exchange.milliseconds
        if not exchange.streamed:
            histogram = self._histograms.get(route)
            if histogram is None:
                histogram = self._histograms[route] = metrics.REQUEST_SECONDS.labels(route)
            histogram.observe(took / 1000)
        if route in _ALWAYS_SERVED or not _log.isEnabledFor(logging.INFO):
            return
        told: dict[str, object] = {
            "method": method,
            "path": scope["path"][:_PATH_IN_LOG],
            "status": exchange.status,
            "ms": round(took, 2),
            "client": (scope["client"] or ("",))[0],
        }
        for name in ("key_id", "tenant_id", "completion_id", "model", "stream_end"):
            if value := getattr(exchange, name):
                told[name] = value
        if exchange.cached is not None:
            told["cache"] = str(exchange.cached)
        _log.info("request", extra=told)

    def cancel_what_is_in_hand(self) -> None:
        """The grace is over: what still runs is ended, with an answer where none was begun."""
        self.closing = True
        for task in list(self._in_hand):
            task.cancel()

    @property
    def busy(self) -> bool:
        return bool(self._in_hand)
