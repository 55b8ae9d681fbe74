"""Sending a stream to a client as server-sent events."""

import logging
from dataclasses import dataclass
from typing import Any, Final

from omnix_kit.errors import Reason, error_for

from omnix_gateway import metrics
from omnix_gateway.chat.sse import DONE, KEEP_ALIVE, Encoder, error_event
from omnix_gateway.errors import code_of
from omnix_gateway.http.exchange import Exchange, Headers, Send
from omnix_gateway.http.wire import Wire
from omnix_gateway.streaming.assembly import Opening, Pieces
from omnix_gateway.streaming.convert import End
from omnix_gateway.streaming.following import NOTHING, Seen
from omnix_gateway.streaming.reader import Reader

_log = logging.getLogger(__name__)

_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)
_LEFT: Final = "left"
_DEFECT: Final = code_of(Reason.INTERNAL)
_GOES_ON: Final = (_LEFT, _DEFECT)
_NONE: Final = -1
_ALL: Final = 2**63


@dataclass(frozen=True)
class Client:
    """Who gets the events."""

    exchange: Exchange
    send: Send
    wire: Wire
    include_usage: bool
    last_seen: Seen = NOTHING
    """The last event that it has."""


async def begin_events(send: Send, headers: Headers) -> None:
    start: Any = {"type": "http.response.start", "status": 200, "headers": [*_HEADERS, *headers]}
    await send(start)
    first: Any = {"type": "http.response.body", "body": b"", "more_body": True}
    await send(first)


async def send_events(reader: Reader, client: Client) -> bool:
    """Send until the stream ends, well or not. Answers False when the client left or the gateway failed before."""
    exchange = client.exchange
    exchange.streamed = True
    reader.has(client.last_seen)
    client.wire.watch(reader.leave)
    try:
        how = await _send(reader, client)
    except Exception:
        _log.exception("a stream failed", extra={"completion_id": reader.completion_id})
        defect = error_for(Reason.INTERNAL, "OmniX failed; the log of the gateway says why.")
        last: Any = {"type": "http.response.body", "body": error_event(defect, reader.completion_id)}
        await client.send(last)
        how = _DEFECT
    finally:
        client.wire.unwatch(reader.leave)
    exchange.stream_end = how
    metrics.STREAM_ENDS.labels(how).inc()
    return how not in _GOES_ON


async def _send(reader: Reader, client: Client) -> str:
    send: Any = client.exchange.send or client.send
    events: _Events | None = None
    message: dict[str, Any] = {"type": "http.response.body", "body": b"", "more_body": True}
    while True:
        delivery = await reader.take()
        if delivery is None:
            message["body"] = KEEP_ALIVE
            await send(message)
            continue
        if delivery.left:
            return _LEFT
        parts: list[bytes] = []
        if events is None and reader.first is not None:
            encoder = Encoder(reader.completion_id, reader.first, client.include_usage)
            events = _Events(encoder, reader.first, client)
        if events is not None:
            events.write(delivery.pieces, parts)
            if delivery.end is not None:
                events.end(delivery.end, parts)
        if delivery.error is not None:
            parts.append(error_event(delivery.error, reader.completion_id, resumable=delivery.resumable))
        over = delivery.end is not None or delivery.error is not None
        if parts or over:
            message["body"] = b"".join(parts)
            message["more_body"] = not over
            await send(message)
        if over:
            return "whole" if delivery.error is None else code_of(delivery.error.reason)
        if reader.outlet is None and events is not None:
            reader.outlet = _Outlet(events, client.wire)


class _Events:
    """The events of one stream, without those that the client has."""

    def __init__(self, encoder: Encoder, first: Opening, client: Client) -> None:
        self._encoder = encoder
        self._exchange = client.exchange
        seen = client.last_seen
        self._seen = Seen(first.attempt, seen.seq) if seen.attempt is None else seen
        self._turn_to(first)

    def _turn_to(self, opening: Opening) -> None:
        self._opening = opening
        self._exchange.model = opening.start.model
        if opening.attempt == self._seen.attempt:
            self._last_seen = self._seen.seq
        else:
            self._last_seen = _ALL if opening.attempt < (self._seen.attempt or 0) else _NONE

    def write(self, pieces: Pieces, parts: list[bytes]) -> None:
        for opening, first, chunks in pieces:
            if opening is not self._opening:
                self._turn_to(opening)
                self._encoder.turn_to(opening)
            if first > self._last_seen:
                self._encoder.write(parts, first, chunks)
                continue
            known = chunks[: self._last_seen + 1 - first]
            self._encoder.skip(known)
            self._encoder.write(parts, first + len(known), chunks[len(known) :])

    def end(self, end: End, parts: list[bytes]) -> None:
        self._exchange.took(end.usage, end.cost_micros)
        if self._last_seen < end.count:
            parts.append(self._encoder.usage(end))
        parts.append(DONE)


class _Outlet:
    """Writes events to the connection without a task's turn: see ``Reader.offer``."""

    def __init__(self, events: _Events, wire: Wire) -> None:
        self._events = events
        self._wire = wire
        self.is_free = wire.is_free

    def pass_on(self, pieces: Pieces) -> None:
        parts: list[bytes] = []
        self._events.write(pieces, parts)
        if parts:
            self._wire.write(b"".join(parts))
