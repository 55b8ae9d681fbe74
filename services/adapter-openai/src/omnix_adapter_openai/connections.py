"""One request to a vendor over aiohttp's connections, without aiohttp's client.

The pool, TLS, and the reading of heads, lengths, chunks and compression are aiohttp's. What its session adds to a call
(cookies, redirects, digests, a task that writes the body, objects for all of these) is never used here and costs two
thirds of the whole call.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

import aiohttp
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import StreamReader
from omnix_provider.types import HandedOver
from yarl import URL  # aiohttp's own, which comes with it

_CONNECT_WITHIN = aiohttp.ClientTimeout(total=None, sock_connect=10.0)


class Response:
    """The head of an answer, and its body as it arrives. Who asked for it gives it back."""

    __slots__ = ("_connection", "content", "headers", "status")

    def __init__(self, connection: Connection, status: int, headers: Mapping[str, str], content: StreamReader) -> None:
        self._connection = connection
        self.status = status
        self.headers = headers
        self.content = content

    def give_back(self) -> None:
        """The connection is used again only if all was sent and all was read."""
        transport = self._connection.transport
        if self.content.at_eof() and transport is not None and not transport.get_write_buffer_size():
            self._connection.release()
        else:
            self._connection.close()


class Connections:
    """To one address of one server; made by ``opened``."""

    def __init__(self, connector: aiohttp.BaseConnector, url: str, headers: Mapping[str, str]) -> None:
        self._connector = connector
        # It names the server to the connector, and knows how to write the unchanging part of the head.
        self._target = aiohttp.ClientRequest("POST", URL(url), headers=headers)
        told = self._target.headers
        for changing in ("Content-Length", "Transfer-Encoding"):
            told.popall(changing, None)
        lines = [f"POST {self._target.url.raw_path_qs} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items())]
        if any("\r" in line or "\n" in line for line in lines):
            raise ValueError("a header of the vendor's has a line break in it")
        self._head = "\r\n".join(lines).encode()

    async def post(self, body: bytes, request_id: str, handed_over: HandedOver) -> Response:
        """Send the body, and answer when the head of the answer came.

        :param request_id: an id by its form; it becomes a header.
        :param handed_over: called when there is a connection: what fails before never reached the vendor.
        :raises aiohttp.ClientError: ``ClientConnectorError`` or ``ConnectionTimeoutError`` when there is no connection.
        """
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
            head = b"%s\r\nX-Client-Request-Id: %s\r\nContent-Length: %d\r\n\r\n"
            protocol.transport.writelines((head % (self._head, request_id.encode(), len(body)), body))
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


@asynccontextmanager
async def opened(url: str, headers: Mapping[str, str], keep_alive: timedelta) -> AsyncIterator[Connections]:
    # Attempts are bounded where they begin; a second bound here would make them wait unseen.
    async with aiohttp.TCPConnector(limit=0, keepalive_timeout=keep_alive.total_seconds()) as connector:
        yield Connections(connector, url, headers)
