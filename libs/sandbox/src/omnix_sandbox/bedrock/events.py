"""Converse's answers: one object, or the messages of an event stream.

As on the wire, keys are in the alphabet's order, and text opens no block of its own.
"""

from collections.abc import Sequence
from functools import cache
from hashlib import blake2b
from typing import Any, Final

import msgspec

from omnix_sandbox.bedrock import frames
from omnix_sandbox.bedrock.thinking import Thinking
from omnix_sandbox.bedrock.wire import ConverseRequest
from omnix_sandbox.formats import Billing, Making, StreamBytes
from omnix_sandbox.script import FinishReason, ToolCall, tokenize
from omnix_sandbox.signatures import seal, sign
from omnix_sandbox.words import ring_tokens

_FINISH: Final = {
    FinishReason.STOP: "end_turn",
    FinishReason.LENGTH: "max_tokens",
    FinishReason.TOOL_CALLS: "tool_use",
    FinishReason.CONTENT_FILTER: "content_filtered",
}
_STOP_SEQUENCE: Final = "/stop_sequence"
_json = msgspec.json.Encoder(order="sorted").encode


class Events:
    """Makes the bytes of one answer; Converse has one choice."""

    def __init__(self, request: ConverseRequest, thinking: Thinking, making: Making) -> None:
        self._request = request
        self._thinking = thinking
        self._making = making
        self._answer = making.answers[0]

    def unary(self) -> bytes:
        body: dict[str, Any] = {
            "metrics": self._metrics(),
            "output": {"message": {"role": "assistant", "content": self._content()}},
            **self._stop(),
        }
        if self._making.billing is not None:
            body["usage"] = usage_of(self._making.billing, long=self._request.writes_long_cache)
        return _json(body | self._served())

    def stream(self) -> StreamBytes:
        opening, at = [frames.event("messageStart", {"role": "assistant"})], 0
        tails: list[bytes] = []
        finish: list[bytes] = []
        if reasoning := self._reasoning():
            at = 1
            if self.shows_reasoning:
                tails += _reasoning_deltas(self._answer.reasoning)
                tails[-1] += _signature(reasoning) + _stop_of(0)
            else:
                opening.append(_hidden(reasoning) + _signature(reasoning) + _stop_of(0))
        if self._answer.tool_calls:
            for number, call in enumerate(self._answer.tool_calls):
                tails += self._tool_deltas(at + number, call, number)
        elif self._answer.tokens:
            tails += _text_deltas(at, self._answer.tokens)
            finish.append(_stop_of(at))
        finish.append(frames.event("messageStop", self._stop()))
        billing = self._making.billing
        usage = b"" if billing is None else frames.event("metadata", self._metadata(billing))
        return StreamBytes(
            content_type=frames.CONTENT_TYPE,
            opening=b"".join(opening),
            prefix=b"",
            tails=tails,
            finish=b"".join(finish),
            usage=usage,
            tells_usage=billing is not None,
            stampable=not self._answer.tool_calls,
            stamped=frames.stamped,
        )

    @property
    def shows_reasoning(self) -> bool:
        """Whether the thoughts are told token by token."""
        return self._thinking.shown and not self._answer.redacted

    def _metadata(self, billing: Billing) -> dict[str, Any]:
        usage = usage_of(billing, long=self._request.writes_long_cache)
        return {"usage": usage, "metrics": self._metrics(), **self._served()}

    def _metrics(self) -> dict[str, int]:
        return {"latencyMs": max(1, self._making.latency_ms)}

    def _served(self) -> dict[str, Any]:
        """What the answer repeats of the request."""
        served: dict[str, Any] = {}
        if (performance := self._request.performance_config) is not None:
            served["performanceConfig"] = {"latency": performance.latency or "standard"}
        if (tier := self._request.service_tier) is not None:
            served["serviceTier"] = {"type": tier.type}
        return served

    def _stop(self) -> dict[str, Any]:
        reason = self._answer.finish_as or (
            "stop_sequence" if self._answer.stopped_by is not None else _FINISH[self._answer.finish]
        )
        stop: dict[str, Any] = {"stopReason": reason}
        if _STOP_SEQUENCE in (self._request.additional_model_response_field_paths or ()):
            stop["additionalModelResponseFields"] = {"stop_sequence": self._answer.stopped_by}
        return stop

    def _reasoning(self) -> dict[str, Any] | None:
        """The block of thoughts as the unary answer has it."""
        if not self._answer.reasoning or (not self._thinking.shown and self._thinking.hidden_text is None):
            return None
        if self._answer.redacted:
            return {"redactedContent": seal(self._answer.reasoning_text)}
        text = self._answer.reasoning_text if self._thinking.shown else self._thinking.hidden_text or ""
        told: dict[str, Any] = {"text": text}
        if self._thinking.signed:
            told["signature"] = sign(text)
        return {"reasoningText": told}

    def _content(self) -> list[dict[str, Any]]:
        content: list[dict[str, Any]] = []
        if reasoning := self._reasoning():
            content.append({"reasoningContent": reasoning})
        if self._answer.tool_calls:
            for number, call in enumerate(self._answer.tool_calls):
                use = {"toolUseId": self._tool_id(call, number), "name": call.name, "input": _input(call)}
                content.append({"toolUse": use})
        elif self._answer.tokens:
            content.append({"text": self._answer.text})
        return content

    def _tool_id(self, call: ToolCall, number: int) -> str:
        digest = blake2b(f"{self._making.call}{call.name}{number}".encode(), digest_size=11).hexdigest()
        return f"tooluse_{digest}"

    def _tool_deltas(self, at: int, call: ToolCall, number: int) -> list[bytes]:
        start = {"toolUse": {"toolUseId": self._tool_id(call, number), "name": call.name}}
        deltas = [frames.event("contentBlockStart", {"contentBlockIndex": at, "start": start})]
        deltas += [_delta(at, {"toolUse": {"input": piece}}) for piece in tokenize(call.arguments or "")]
        deltas[-1] += _stop_of(at)
        return deltas


def usage_of(billing: Billing, *, long: bool) -> dict[str, Any]:
    """Input tokens are those that no cache was asked for; the total has all.

    https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html, read 2026-11-22.
    """
    usage: dict[str, Any] = {
        "inputTokens": billing.input_tokens - billing.cached_tokens - billing.cache_write_tokens,
        "outputTokens": billing.output_tokens,
        "totalTokens": billing.input_tokens + billing.output_tokens,
        "cacheReadInputTokens": billing.cached_tokens,
        "cacheWriteInputTokens": billing.cache_write_tokens,
    }
    if billing.cache_write_tokens:
        usage["cacheDetails"] = [{"ttl": "1h" if long else "5m", "inputTokens": billing.cache_write_tokens}]
    return usage


def _input(call: ToolCall) -> Any:
    return msgspec.json.decode(call.arguments or "{}")


def _delta(at: int, delta: dict[str, Any]) -> bytes:
    return frames.event("contentBlockDelta", {"contentBlockIndex": at, "delta": delta})


def _stop_of(at: int) -> bytes:
    return frames.event("contentBlockStop", {"contentBlockIndex": at})


def _reasoning_deltas(tokens: Sequence[str]) -> list[bytes]:
    return [_delta(0, {"reasoningContent": {"text": token}}) for token in tokens]


def _hidden(reasoning: dict[str, Any]) -> bytes:
    """What is sent of thoughts that are not told; nothing where their text is empty."""
    told = reasoning.get("reasoningText", {}).get("text")
    if told is None:
        return _delta(0, {"reasoningContent": reasoning})
    return _delta(0, {"reasoningContent": {"text": told}}) if told else b""


def _signature(reasoning: dict[str, Any]) -> bytes:
    signature = reasoning.get("reasoningText", {}).get("signature")
    return _delta(0, {"reasoningContent": {"signature": signature}}) if signature is not None else b""


@cache
def _ring_deltas(at: int) -> dict[str, bytes]:
    """Deltas of the tokens that most answers are made of, by token."""
    return {token: _delta(at, {"text": token}) for token in set(ring_tokens())}


def _text_deltas(at: int, tokens: Sequence[str]) -> list[bytes]:
    known = _ring_deltas(at)
    return [known.get(token) or _delta(at, {"text": token}) for token in tokens]
