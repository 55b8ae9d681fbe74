"""uvicorn inside the runtime: no signal handlers of its own, a bounded head, and an end in good order."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from omnix_kit.errors import ConfigurationError
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from omnix_gateway.errors import invalid, refusal
from omnix_gateway.http.exchange import CONNECTION, ASGIApp, Scope
from omnix_gateway.http.wire import WIRE, HttpToolsWire

_log = logging.getLogger(__name__)

_FLUSH_WITHIN = 3.0
_IDLE_CONNECTION = 75
ABORT = "omnix.abort"


class Server(uvicorn.Server):
    """The runtime handles signals."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bounded_head(limit: int, timeout: float) -> type[HttpToolsProtocol]:
    """A protocol that cuts off clients whose request head is too large or too slow, before it is all in memory."""

    class BoundedHead(HttpToolsProtocol):
        _in_head = False
        _had_request = False
        _head_size = 0
        _head_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._head_timer = self.loop.call_later(timeout, self._too_slow)
            self._watching: set[Callable[[], None]] = set()
            self._lost = False

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_timer()
            super().connection_lost(exc)
            self._lost = True
            for left in self._watching:
                left()

        def watch(self, left: Callable[[], None]) -> None:
            self._watching.add(left)
            if self._lost:
                left()
            else:
                self.flow.resume_reading()  # a large body may have stopped it, and then nobody sees the client leave

        def unwatch(self, left: Callable[[], None]) -> None:
            self._watching.discard(left)

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._in_head = self._had_request = True
            self._head_size = 0
            scope: Scope = self.scope
            scope[ABORT] = self.transport.abort
            scope[WIRE] = HttpToolsWire(self, self)
            scope[CONNECTION] = self

        def on_headers_complete(self) -> None:
            self._in_head = False
            self._stop_timer()
            super().on_headers_complete()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if not self._in_head or self.transport.is_closing():
                return
            self._head_size += len(data)
            if self._head_size > limit:
                self._refuse(431, f"The head of the request is larger than {limit} bytes.")
            elif self._head_timer is None:
                self._head_timer = self.loop.call_later(timeout, self._too_slow)

        def _stop_timer(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

        def _too_slow(self) -> None:
            self._head_timer = None
            if self.transport.is_closing():
                return
            if self._in_head:
                self._refuse(408, "The head of the request did not arrive in time.")
            elif not self._had_request:
                self.transport.close()

        def _refuse(self, status: int, message: str) -> None:
            told = refusal(invalid(message), status)
            head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(told.body)
            self.transport.write(STATUS_LINE[status] + head + told.body)
            self.transport.close()

        def send_400_response(self, msg: str) -> None:
            self._refuse(400, msg)

    return BoundedHead


def bind(host: str, port: int) -> socket.socket:
    """:raises ConfigurationError: when the address cannot be listened on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as exc:
        listener.close()
        raise ConfigurationError(f"OMNIX_HTTP_PORT: cannot listen on {host}:{port}: {exc.strerror}") from exc
    return listener


@asynccontextmanager
async def http_server(
    app: ASGIApp,
    listener: socket.socket,
    protocol: type[HttpToolsProtocol],
    *,
    grace: float,
    end_streams: Callable[[], None],
    end_requests: Callable[[], None],
) -> AsyncIterator[None]:
    """Serve while inside.

    Leaving: no new connections; what runs may finish within the grace; then streams end with an error event that can be
    resumed; then whatever is left is ended.
    """
    asgi: Any = app
    config = uvicorn.Config(
        asgi,
        http=protocol,
        ws="none",
        lifespan="off",
        loop="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_IDLE_CONNECTION,
        backlog=2048,
    )
    server = Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        if serving.done():
            serving.result()
        await asyncio.sleep(0.005)
    _log.info("listening", extra={"http_port": listener.getsockname()[1]})
    try:
        yield
    finally:
        server.should_exit = True
        if not await _done(serving, grace):
            end_streams()
            if not await _done(serving, _FLUSH_WITHIN):
                end_requests()
                if not await _done(serving, _FLUSH_WITHIN):
                    server.force_exit = True
        await asyncio.gather(serving, return_exceptions=True)
        listener.close()


async def _done(task: "asyncio.Task[None]", within: float) -> bool:
    done, _ = await asyncio.wait({task}, timeout=within)
    return bool(done)
