"""The HTTP connection with what aiohttp keeps to itself: who closed it and when, and ways to close it rudely.

Answers are written to the transport as prepared bytes.
That is cheaper than a response object per answer, and the only way to send what no HTTP library would.
"""

import asyncio
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader

WRITE_LIMIT = 64 * 1024

_RST_ON_CLOSE = struct.pack("ii", 1, 0)


class Writer(Protocol):
    """What is told of the connection's flow while it writes an answer."""

    def resumed(self) -> None: ...

    def lost(self) -> None: ...


class Connection(web.RequestHandler):
    """One caller's connection."""

    __slots__ = ("call", "on_closed", "peer_left", "writer")

    def __init__(self, manager: web.Server, *, loop: asyncio.AbstractEventLoop, **kwargs: Any) -> None:
        super().__init__(manager, loop=loop, **kwargs)
        self.call: str | None = None
        self.on_closed: Callable[[str, float, str], None] | None = None
        self.writer: Writer | None = None
        self.peer_left = False

    def eof_received(self) -> None:
        self.peer_left = True

    def connection_lost(self, exc: BaseException | None) -> None:
        if exc is not None:
            self.peer_left = True
        if self.call is not None and self.on_closed is not None:
            self.on_closed(self.call, time.time(), "client" if self.peer_left else "server")
            self.call = None
        if self.writer is not None:
            self.writer.lost()
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.writer is not None:
            self.writer.resumed()

    def write(self, data: bytes) -> bool:
        """Hand bytes to the socket; False if there is none any more."""
        if self.transport is None or self.transport.is_closing():
            return False
        self.transport.write(data)
        return True

    def finish_and_close(self) -> None:
        """Send what is buffered, then FIN."""
        self.keep_alive(False)
        if self.transport is not None:
            self.transport.close()

    def reset(self) -> None:
        """Drop what is buffered and send RST."""
        self.keep_alive(False)
        if self.transport is not None:
            connection = self.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
            self.transport.abort()

    async def wait(self, seconds: float) -> bool:
        """Wait; False at once when the connection is closed meanwhile."""
        if self.transport is None:
            return False
        waiter = _Waiter()
        self.writer = waiter
        try:
            async with asyncio.timeout(seconds):
                await waiter.closed
        except TimeoutError:
            return self.transport is not None
        finally:
            self.writer = None
        return False


class _Waiter:
    def __init__(self) -> None:
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def resumed(self) -> None:
        pass

    def lost(self) -> None:
        if not self.closed.done():
            self.closed.set_result(None)


class Sent(web.StreamResponse):
    """Tells aiohttp that the answer is on the wire already."""

    def __init__(self, *, keep_alive: bool = True) -> None:
        super().__init__()
        if not keep_alive:
            self.force_close()
        else:
            self._keep_alive = True

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


Handler = Callable[["Request"], Awaitable[web.StreamResponse]]


class Request(web.BaseRequest):
    """A request that knows its connection."""

    @property
    def connection(self) -> Connection:
        protocol = self.protocol
        if not isinstance(protocol, Connection):
            raise TypeError("the request came over a foreign protocol")
        return protocol


class Server(web.Server):
    """Makes a `Connection` for each caller."""

    def __init__(self, handler: Handler, *, max_body_bytes: int, max_connections: int) -> None:
        loop = asyncio.get_running_loop()

        def request(
            message: RawRequestMessage,
            payload: StreamReader,
            protocol: web.RequestHandler,
            writer: AbstractStreamWriter,
            task: asyncio.Task[None],
        ) -> web.BaseRequest:
            return Request(message, payload, protocol, writer, task, loop, client_max_size=max_body_bytes)

        super().__init__(handler, request_factory=request, access_log=None)  # type: ignore[arg-type]
        self._max_connections = max_connections
        self._own_loop = loop

    def __call__(self) -> web.RequestHandler:
        return Connection(self, loop=self._own_loop, access_log=None)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        transport.set_write_buffer_limits(WRITE_LIMIT)
        if len(self._connections) > self._max_connections:
            transport.abort()


_REASONS = {
    200: "OK",
    201: "Created",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    413: "Content Too Large",
    422: "Unprocessable Entity",
    424: "Failed Dependency",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


def head(status: int, headers: str, length: int | None) -> bytes:
    """A response's head; `headers` are complete lines. Without a length the body is chunked."""
    framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}\r\n{headers}{framing}\r\n\r\n".encode()


def framed(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
