"""A chat completion's bytes: one object for a unary answer, events for a stream.

Events are glued from prepared pieces, because encoding JSON for each token would cost more than sending it.
"""

import time
from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import blake2b
from itertools import zip_longest
from typing import Any, Final

import msgspec

from omnix_sandbox.formats import Billing, Making, StreamBytes
from omnix_sandbox.openai.models import snapshot
from omnix_sandbox.openai.request import ChatRequest
from omnix_sandbox.script import TOKENS_PER_ATTACHMENT, Answer, ToolCall, tokenize
from omnix_sandbox.words import ring_tokens

CONTENT_TYPE: Final = "text/event-stream; charset=utf-8"
DONE: Final = b"data: [DONE]\n\n"
BROKEN_EVENT: Final = (
    b'data: {"id":"chatcmpl-broken","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"conte\n\n'
)
_PADDING: Final = b"K7vQ2mZx9RtLw4Yb"
_encode = msgspec.json.encode


def usage_of(billing: Billing, audio_parts: int = 0) -> dict[str, Any]:
    prompt = {"cached_tokens": billing.cached_tokens, "audio_tokens": TOKENS_PER_ATTACHMENT * audio_parts}
    if billing.cache_write_tokens:
        prompt["cache_write_tokens"] = billing.cache_write_tokens
    return {
        "prompt_tokens": billing.input_tokens,
        "completion_tokens": billing.output_tokens,
        "total_tokens": billing.input_tokens + billing.output_tokens,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": {
            "reasoning_tokens": billing.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _inside(text: str) -> bytes:
    """The text as it stands between the quotes of a JSON string."""
    return _encode(text)[1:-1]


def _tail(text: str, suffix: bytes, obfuscated: bool) -> bytes:
    inside = _inside(text)
    if not obfuscated:
        return b'%b"%b}\n\n' % (inside, suffix)
    # Padding hides the token's length: events of common tokens are equally long.
    return b'%b"%b,"obfuscation":"%b"}\n\n' % (inside, suffix, _PADDING[len(inside) :])


def _suffix(with_usage: bool) -> bytes:
    usage = b',"usage":null' if with_usage else b""
    return b'},"logprobs":null,"finish_reason":null}]' + usage


@cache
def _ring_tails(with_usage: bool, obfuscated: bool) -> dict[str, bytes]:
    suffix = _suffix(with_usage)
    return {token: _tail(token, suffix, obfuscated) for token in set(ring_tokens())}


@cache
def fingerprint(model: str) -> str:
    return "fp_" + blake2b(model.encode(), digest_size=5).hexdigest()


def finish_of(answer: Answer) -> str:
    return answer.finish_as or answer.finish.value


def call_id(call: ToolCall, answer_id: str, at: int) -> str:
    return "call_" + blake2b(f"{answer_id}{call.name}{at}".encode(), digest_size=12).hexdigest()


def logprob_of(token: str, top: int) -> dict[str, Any]:
    """Made-up but fixed log probabilities."""
    digest = blake2b(token.encode(), digest_size=2).digest()
    value = -(digest[0] + 1) / 256
    entry = {"token": token, "logprob": value, "bytes": list(token.encode())}
    others = [
        {"token": f"{token}{at}" if at else token, "logprob": value - at, "bytes": list(f"{token}{at or ''}".encode())}
        for at in range(top)
    ]
    return {**entry, "top_logprobs": others}


def _logprobs(answer: Answer, entries: list[dict[str, Any]]) -> dict[str, Any]:
    """A refusal's tokens stand apart from an answer's."""
    return {"content": None, "refusal": entries} if answer.refusal else {"content": entries, "refusal": None}


class Events:
    """Makes the bytes of one answer."""

    def __init__(self, request: ChatRequest, making: Making) -> None:
        self._request = request
        self._making = making
        self._answer_id = making.answer_id or ""
        self._created = int(time.time())
        self._model = snapshot(request.model)
        self._with_usage = bool(request.stream) and request.includes_usage
        self._obfuscated = request.is_obfuscated

    def unary(self) -> bytes:
        body: dict[str, Any] = {
            "id": self._answer_id,
            "object": "chat.completion",
            "created": self._created,
            "model": self._model,
            "choices": [self._choice(at, answer) for at, answer in enumerate(self._making.answers)],
        }
        if self._making.billing is not None:
            body["usage"] = usage_of(self._making.billing, self._request.audio_parts)
        body |= {"service_tier": "default", "system_fingerprint": fingerprint(self._model)}
        return msgspec.json.format(_encode(body), indent=2) + b"\n"

    def _choice(self, at: int, answer: Answer) -> dict[str, Any]:
        text = answer.text
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None if answer.tool_calls or answer.refusal else text,
            "refusal": text if answer.refusal else None,
            "annotations": [],
        }
        if answer.tool_calls:
            message["tool_calls"] = [
                {
                    "id": call_id(call, self._answer_id, number),
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments or ""},
                }
                for number, call in enumerate(answer.tool_calls)
            ]
        logprobs = None
        if self._request.logprobs:
            top = self._request.top_logprobs or 0
            logprobs = _logprobs(answer, [logprob_of(token, top) for token in answer.tokens])
        return {"index": at, "message": message, "logprobs": logprobs, "finish_reason": finish_of(answer)}

    def stream(self) -> StreamBytes:
        answers = self._making.answers
        first = answers[0]
        if len(answers) == 1 and not first.tool_calls and not self._request.logprobs:
            prefix = self._start() + b'{"index":0,"delta":{"%b":"' % (b"refusal" if first.refusal else b"content")
            tails = self._plain_tails(first.tokens)
        else:
            prefix = b""
            per_choice = [self._deltas(at, answer) for at, answer in enumerate(answers)]
            tails = [event for row in zip_longest(*per_choice) for event in row if event is not None]
        usage = self._usage()
        return StreamBytes(
            content_type=CONTENT_TYPE,
            opening=b"".join(self._role(at, answer) for at, answer in enumerate(answers)),
            prefix=prefix,
            tails=tails,
            finish=b"".join(self._event(at, {}, finish=finish_of(answer)) for at, answer in enumerate(answers)),
            usage=usage,
            done=DONE,
            tells_usage=bool(usage),
            stampable=bool(prefix),
        )

    def _start(self) -> bytes:
        return (
            f'data: {{"id":"{self._answer_id}","object":"chat.completion.chunk","created":{self._created},'
            f'"model":{_encode(self._model).decode()},"service_tier":"default",'
            f'"system_fingerprint":"{fingerprint(self._model)}","choices":['
        ).encode()

    def _plain_tails(self, tokens: Sequence[str]) -> list[bytes]:
        known = _ring_tails(self._with_usage, self._obfuscated)
        tails = [known.get(token) for token in tokens]
        suffix = _suffix(self._with_usage)
        return [
            tail if tail is not None else _tail(token, suffix, self._obfuscated)
            for tail, token in zip(tails, tokens, strict=True)
        ]

    def _deltas(self, at: int, answer: Answer) -> Iterator[bytes]:
        if answer.tool_calls:
            yield from self._tool_deltas(at, answer)
            return
        name = "refusal" if answer.refusal else "content"
        top = self._request.top_logprobs or 0
        for token in answer.tokens:
            logprobs = _logprobs(answer, [logprob_of(token, top)]) if self._request.logprobs else None
            yield self._event(at, {name: token}, logprobs=logprobs)

    def _tool_deltas(self, at: int, answer: Answer) -> Iterator[bytes]:
        for number, call in enumerate(answer.tool_calls):
            opening = {
                "index": number,
                "id": call_id(call, self._answer_id, number),
                "type": "function",
                "function": {"name": call.name, "arguments": ""},
            }
            yield self._event(at, {"tool_calls": [opening]})
            for piece in tokenize(call.arguments or ""):
                yield self._event(at, {"tool_calls": [{"index": number, "function": {"arguments": piece}}]})

    def _role(self, at: int, answer: Answer) -> bytes:
        content = None if answer.tool_calls or answer.refusal else ""
        return self._event(at, {"role": "assistant", "content": content, "refusal": None})

    def _event(
        self, at: int, delta: dict[str, Any], *, finish: str | None = None, logprobs: dict[str, Any] | None = None
    ) -> bytes:
        choice = {"index": at, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return self._start() + _encode(choice) + b"]" + self._end()

    def _end(self) -> bytes:
        usage = b',"usage":null' if self._with_usage else b""
        padding = b',"obfuscation":"%b"' % _PADDING if self._obfuscated else b""
        return usage + padding + b"}\n\n"

    def _usage(self) -> bytes:
        billing = self._making.billing
        if not self._with_usage or billing is None:
            return b""
        padding = b',"obfuscation":""' if self._obfuscated else b""
        return (
            self._start() + b'],"usage":' + _encode(usage_of(billing, self._request.audio_parts)) + padding + b"}\n\n"
        )
