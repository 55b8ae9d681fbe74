"""One request and its answer, as ASGI knows them."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from omnix_kit.errors import OmnixError

from omnix_gateway.errors import refusal

Scope = Any
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]
"""ASGI as it is on the wire: https://asgi.readthedocs.io/en/latest/specs/www.html"""

KEY: Final = "omnix.exchange"
CLIENT_GONE: Final = 499
"""Status for the log when nobody is there to read the answer."""
Headers = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class Exchange:
    """What is known of a request while it is in hand; the door keeps it in the scope."""

    request_id: str
    began: float = field(default_factory=time.perf_counter)
    status: int = 0
    key_id: str = ""
    tenant_id: str = ""
    completion_id: str = ""
    model: str = ""
    streamed: bool = False
    stream_end: str = ""
    send: Send | None = None
    """Straight to the server, past the wrappers: for the chunks of a stream."""

    @property
    def milliseconds(self) -> float:
        return (time.perf_counter() - self.began) * 1000


def exchange_of(scope: Scope) -> Exchange:
    found: Exchange = scope[KEY]
    return found


def header(scope: Scope, name: bytes) -> str | None:
    """The first header of that name."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return None


async def reply(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Send a whole answer."""
    headers.append((b"content-length", b"%d" % len(body)))
    start: Any = {"type": "http.response.start", "status": status, "headers": headers}
    await send(start)
    end: Any = {"type": "http.response.body", "body": body, "more_body": False}
    await send(end)


async def reply_error(send: Send, error: OmnixError, status: int | None = None, headers: Headers | None = None) -> None:
    told = refusal(error, status)
    await reply(send, told.status, [*told.headers, *(headers or ())], told.body)


class ClientGone(Exception):
    """The client closed the connection before it had an answer."""


async def gone(receive: Receive) -> None:
    """Return when the client has closed the connection. The body must have been read."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
