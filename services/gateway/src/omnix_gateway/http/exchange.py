"""One request and its answer, as ASGI knows them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Protocol

from omnix_kit.errors import OmnixError

from omnix_gateway.caching.outcomes import Cached
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


class Counts(Protocol):
    """Of tokens."""

    @property
    def input_tokens(self) -> int: ...
    @property
    def output_tokens(self) -> int: ...


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
    cached: Cached | None = None
    """What the cache had to do with it, where it was asked for."""
    replayed: bool = False
    """The answer is that of an earlier call with the same idempotency key."""
    limits: Headers = field(default_factory=list)
    """What the answer tells of the caller's limits."""
    tokens: int | None = None
    """What the answer took, prompt included, when that is known."""
    cost_micros: int = 0
    send: Send | None = None
    """Straight to the server, past the wrappers: for the chunks of a stream."""

    def took(self, usage: Counts, cost_micros: int) -> None:
        """The answer is whole, and this is what it took; one that is given again took it before."""
        if self.replayed:
            return
        self.tokens = usage.input_tokens + usage.output_tokens
        self.cost_micros = cost_micros

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


class Connection(Protocol):
    """The client's connection, which the server keeps in the scope."""

    def watch(self, left: Callable[[], None]) -> None:
        """Call ``left`` when the client has closed it; at once when it did already."""

    def unwatch(self, left: Callable[[], None]) -> None: ...


CONNECTION: Final = "omnix.connection"


class WhileConnected:
    """Cancels what is inside when the client leaves. A task that waits for it would cost a tenth of the request.

    :raises ClientGone: on leaving, when it did.
    """

    __slots__ = ("_connection", "_left", "_task")

    def __init__(self, scope: Scope) -> None:
        self._connection: Connection = scope[CONNECTION]
        self._left = False
        self._task = asyncio.current_task()

    def __enter__(self) -> None:
        self._connection.watch(self._leave)

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.unwatch(self._leave)
        if self._left and isinstance(exc, asyncio.CancelledError) and self._task is not None:
            self._task.uncancel()
            raise ClientGone from None

    def _leave(self) -> None:
        self._left = True
        if self._task is not None:
            self._task.cancel()
