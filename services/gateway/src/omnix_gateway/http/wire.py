"""The connection of an answer that is being streamed, for what needs no turn of the task that answers."""

from typing import Final, Protocol

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from omnix_gateway.http.exchange import Connection

WIRE: Final = "omnix.wire"
"""Where the scope has it."""


class Wire(Connection, Protocol):
    def is_free(self) -> bool:
        """Whether a body of open length has begun, and the connection takes more of it at once."""

    def write(self, body: bytes) -> None:
        """Write a part of the body, when it is free."""


class HttpToolsWire:
    """Of one connection of uvicorn's.

    While another request waits behind the one that is answered it is never free, because the protocol then shows only
    the state of the later one.
    """

    __slots__ = ("_protocol", "unwatch", "watch")

    def __init__(self, protocol: HttpToolsProtocol, connection: Connection) -> None:
        self._protocol = protocol
        self.watch = connection.watch
        self.unwatch = connection.unwatch

    def is_free(self) -> bool:
        protocol = self._protocol
        cycle = protocol.cycle
        return bool(
            cycle.chunked_encoding
            and not cycle.response_complete
            and not cycle.disconnected
            and not protocol.flow.write_paused
            and not protocol.transport.is_closing()
        )

    def write(self, body: bytes) -> None:
        self._protocol.transport.write(b"%x\r\n%b\r\n" % (len(body), body))
