"""One request to a vendor over aiohttp's connections, without aiohttp's client.

The pool, TLS, and the reading of heads, lengths, chunks and compression are aiohttp's. What its session adds to a call
(cookies, redirects, digests, a task that writes the body, objects for all of these) is never used here and costs two
thirds of the whole call.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import StreamReader
from omnix_kit.errors import OmnixError
from yarl import URL  # aiohttp's own, which comes with it

from omnix_provider.errors import Unavailable
from omnix_provider.types import HandedOver

_CONNECT_WITHIN = aiohttp.ClientTimeout(total=None, sock_connect=10.0)


class Response:
    """The head of an answer, and its body as it arrives. Who asked for it gives it back."""

    __slots__ = ("_connection", "content", "headers", "status")

    def __init__(self, connection: Connection, status: int, headers: Mapping[str, str], content: StreamReader) -> None:
        self._connection = connection
        self.status = status
        self.headers = headers
        """By name in any case."""
        self.content = content

    async def body(self, at_most: int) -> bytes | None:
        """All that is left of it, or None when that is larger.

        :raises aiohttp.ClientError: when it breaks off.
        """
        announced = self.headers.get("Content-Length", "")
        if announced.isdigit() and int(announced) > at_most:
            return None
        content = self.content
        parts: list[bytes] = []
        size = 0
        while not content.at_eof():
            part = await content.readany()
            size += len(part)
            if size > at_most:
                return None
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def give_back(self) -> None:
        """The connection is used again only if all was sent and all was read."""
        transport = self._connection.transport
        if self.content.at_eof() and transport is not None and not transport.get_write_buffer_size():
            self._connection.release()
        else:
            self._connection.close()


class Connections:
    """To one server; made by ``opened``."""

    def __init__(self, connector: aiohttp.BaseConnector, url: str, headers: Mapping[str, str]) -> None:
        self._connector = connector
        # It names the server to the connector, and knows how to write the unchanging part of the head.
        self._target = aiohttp.ClientRequest("POST", URL(url), headers=headers)
        told = self._target.headers
        for changing in ("Content-Length", "Transfer-Encoding"):
            told.popall(changing, None)
        self._headers = _lines(told)
        self._head = self._begun(self._target.url.raw_path_qs)

    def _begun(self, path: str) -> bytes:
        return b"POST %s HTTP/1.1\r\n%s" % (path.encode("ascii"), self._headers)

    async def post(
        self,
        body: bytes,
        request_id: str,
        handed_over: HandedOver,
        *,
        path: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send the body, and answer when the head of the answer came.

        :param request_id: an id by its form; it becomes the header ``X-Client-Request-Id``.
        :param handed_over: called when there is a connection: what fails before never reached the vendor.
        :param path: in place of the address's own: absolute, percent-encoded, with its query.
        :param headers: of this request alone, such as its signature; none that all requests have.
        :raises aiohttp.ClientError: ``ClientConnectorError`` or ``ConnectionTimeoutError`` when there is no connection.
        :raises ValueError: when path or headers cannot stand in the head of a request.
        """
        head = self._head if path is None else self._begun(_checked(path))
        if headers:
            head += _lines(headers)
        head += b"X-Client-Request-Id: %s\r\nContent-Length: %d\r\n\r\n" % (request_id.encode(), len(body))
        try:
            connection = await self._connector.connect(self._target, [], _CONNECT_WITHIN)
        except TimeoutError as exc:
            raise aiohttp.ConnectionTimeoutError("the server did not accept a connection in time") from exc
        try:
            protocol = connection.protocol
            if protocol is None or protocol.transport is None or protocol.transport.is_closing():
                raise aiohttp.ServerDisconnectedError
            protocol.set_response_params(read_until_eof=True)
            handed_over()
            protocol.transport.writelines((head, body))
            while True:
                message, content = await protocol.read()
                if not 100 <= message.code < 200:
                    return Response(connection, message.code, message.headers, content)
        except HttpProcessingError as exc:
            connection.close()
            raise aiohttp.ClientPayloadError("the server's answer is no HTTP") from exc
        except BaseException:
            connection.close()
            raise


def _lines(headers: Mapping[str, str]) -> bytes:
    lines = [f"{name}: {value}" for name, value in headers.items()]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a header of the vendor's has a line break in it")
    return "".join(f"{line}\r\n" for line in lines).encode()


def _checked(path: str) -> str:
    if not path.startswith("/") or not path.isascii() or not path.isprintable() or " " in path:
        raise ValueError("the path must be absolute and percent-encoded")
    return path


def unreached(exc: aiohttp.ClientError, provider: str) -> OmnixError:
    """What ``Connections.post`` raised, as the attempt's error."""
    if isinstance(exc, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return Unavailable("The provider cannot be connected to.", provider=provider, reached=False)
    return Unavailable("The provider closed the connection without an answer.", provider=provider)


class _Protocol(ResponseHandler):
    """aiohttp's own tells what is wrong with a body to who waits for the next head, and lets who reads it wait."""

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        body = self._payload
        if body is not None and not body.is_eof() and body.exception() is None:
            body.set_exception(aiohttp.ClientPayloadError("the body's framing is broken"), exc)
        super().set_exception(exc, *cause)


def _protocol(loop: asyncio.AbstractEventLoop) -> ResponseHandler:
    return _Protocol(loop)


@asynccontextmanager
async def opened(url: str, headers: Mapping[str, str], keep_alive: timedelta) -> AsyncIterator[Connections]:
    """Connections to the server of this address, with the headers that all requests have.

    :param url: its path is that of every request that gives none of its own.
    :param keep_alive: how long an idle connection is used again; shorter than the server keeps it.
    """
    # Attempts are bounded where they begin; a second bound here would make them wait unseen.
    async with aiohttp.TCPConnector(limit=0, keepalive_timeout=keep_alive.total_seconds()) as connector:
        connector._factory = partial(_protocol, loop=asyncio.get_running_loop())
        yield Connections(connector, url, headers)
