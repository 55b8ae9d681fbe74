"""Sending a stream to a client as server-sent events."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from omnix_kit.errors import Reason, error_for

from omnix_gateway import metrics
from omnix_gateway.chat.sse import DONE, KEEP_ALIVE, Encoder, error_event
from omnix_gateway.errors import code_of
from omnix_gateway.http.exchange import Exchange, Headers, Receive, Send, gone
from omnix_gateway.streaming.convert import Chunk
from omnix_gateway.streaming.reader import Delivery, Reader

_log = logging.getLogger(__name__)

_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)


@dataclass(frozen=True)
class Client:
    """Who gets the events."""

    exchange: Exchange
    receive: Receive
    send: Send
    include_usage: bool
    last_seen: int = -1
    """Number of the last event that it has."""


async def begin_events(send: Send, headers: Headers) -> None:
    start: Any = {"type": "http.response.start", "status": 200, "headers": [*_HEADERS, *headers]}
    await send(start)
    first: Any = {"type": "http.response.body", "body": b"", "more_body": True}
    await send(first)


async def send_events(reader: Reader, client: Client) -> bool:
    """Send until the stream ends, well or not. Answers False when the client left before."""
    exchange = client.exchange
    exchange.streamed = True
    watcher = asyncio.create_task(_watch(client.receive, reader))
    try:
        how = await _send(reader, client)
    except Exception:
        _log.exception("a stream failed", extra={"completion_id": reader.completion_id})
        defect = error_for(Reason.INTERNAL, "OmniX failed; the log of the gateway says why.")
        last: Any = {"type": "http.response.body", "body": error_event(defect, reader.completion_id)}
        await client.send(last)
        how = code_of(Reason.INTERNAL)
    finally:
        watcher.cancel()
    exchange.stream_end = how
    metrics.STREAM_ENDS.labels(how).inc()
    return how != "left"


async def _send(reader: Reader, client: Client) -> str:
    send: Any = client.exchange.send or client.send
    encoder: Encoder | None = None
    message: dict[str, Any] = {"type": "http.response.body", "body": b"", "more_body": True}
    while True:
        delivery = await reader.take()
        if delivery is None:
            message["body"] = KEEP_ALIVE
            await send(message)
            continue
        if delivery.left:
            return "left"
        parts: list[bytes] = []
        if encoder is None and reader.start is not None:
            encoder = Encoder(reader.completion_id, reader.start, client.include_usage)
        if encoder is not None:
            _write(encoder, delivery, client.last_seen, parts)
            if delivery.end is not None:
                if client.last_seen < delivery.end.count:
                    parts.append(encoder.usage(delivery.end))
                parts.append(DONE)
        if delivery.error is not None:
            parts.append(error_event(delivery.error, reader.completion_id))
        over = delivery.end is not None or delivery.error is not None
        if parts or over:
            message["body"] = b"".join(parts)
            message["more_body"] = not over
            await send(message)
        if over:
            return "whole" if delivery.error is None else code_of(delivery.error.reason)


def _write(encoder: Encoder, delivery: Delivery, last_seen: int, parts: list[bytes]) -> None:
    for first, chunks in delivery.pieces:
        if first > last_seen:
            encoder.write(parts, first, chunks)
            continue
        known: Sequence[Chunk] = chunks[: last_seen + 1 - first]
        encoder.skip(known)
        encoder.write(parts, first + len(known), chunks[len(known) :])


async def _watch(receive: Receive, reader: Reader) -> None:
    await gone(receive)
    reader.leave()
