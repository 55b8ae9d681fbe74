"""Telling a chat completion."""

from typing import Any, Final

import msgspec

from omnix_gateway import metrics
from omnix_gateway.caching.completions import WHOLE
from omnix_gateway.caching.convert import stream_of_completion
from omnix_gateway.chat import convert
from omnix_gateway.chat.sse import DONE, Encoder
from omnix_gateway.clients import Started
from omnix_gateway.http.exchange import Exchange, Headers, Send, reply
from omnix_gateway.routes.answered import REPLAYED, answered_by, cost, header_text
from omnix_gateway.routes.events import begin_events
from omnix_gateway.streaming.assembly import Opening

ID_PREFIX: Final = b"chatcmpl-"

_encoder = msgspec.json.Encoder()


async def tell(send: Send, exchange: Exchange, response: convert.CompleteResponse) -> None:
    """Send an answer as one JSON object."""
    body = _encoder.encode(convert.completion_from_proto(response, exchange.completion_id))
    headers = headers_of(exchange, response)
    headers.append((b"content-type", b"application/json"))
    exchange.took(response.completion.usage, response.cost_micros)
    if response.HasField("cost_micros"):
        headers += cost(response.cost_micros)
    await reply(send, 200, headers, body)


async def tell_as_stream(
    send: Send, exchange: Exchange, response: convert.CompleteResponse, *, include_usage: bool
) -> None:
    """Send an answer that is there already as the events of a stream."""
    start, chunks, end = stream_of_completion(response)
    encoder = Encoder(exchange.completion_id, Opening(1, start), include_usage)
    parts: list[bytes] = []
    encoder.write(parts, 0, chunks)
    parts += (encoder.usage(end), DONE)
    exchange.streamed = True
    await begin_events(send, headers_of(exchange, response))
    last: Any = {"type": "http.response.body", "body": b"".join(parts), "more_body": False}
    await send(last)
    exchange.stream_end = WHOLE
    metrics.STREAM_ENDS.labels(WHOLE).inc()


def headers_of(exchange: Exchange, answered: convert.CompleteResponse | Started) -> Headers:
    exchange.model = answered.model
    used = convert.reasoning_used(answered)
    headers: Headers = [
        (b"x-omnix-completion-id", ID_PREFIX + exchange.completion_id.encode()),
        *answered_by(
            answered.model,
            answered.attempts,
            sandbox=answered.sandbox,
            route=answered.route,
            policy=answered.policy,
        ),
        (b"openai-processing-ms", b"%d" % exchange.milliseconds),
    ]
    if used.mode:
        headers.append((b"x-omnix-mode", used.mode.encode()))
    if used.reasoning:
        headers.append((b"x-omnix-reasoning", used.reasoning.encode()))
    if used.note:
        headers.append((b"x-omnix-reasoning-note", header_text(used.note)))
    if exchange.cached is not None:
        headers += exchange.cached.headers
    headers += exchange.limits
    if exchange.replayed:
        headers.append(REPLAYED)
    return headers
