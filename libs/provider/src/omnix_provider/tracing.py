"""The call of a vendor as a span, in the words of https://github.com/open-telemetry/semantic-conventions-genai.

What was asked and answered is told only where the operator wants it, and no more of it than the bounds here.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Final, Protocol, runtime_checkable
from urllib.parse import urlsplit

from omnix_kit import telemetry

from omnix_provider.types import (
    Attempt,
    Audio,
    Batch,
    Choice,
    Completion,
    CompletionRequest,
    EmbeddingRequest,
    Embeddings,
    File,
    FinishReason,
    Image,
    Message,
    Part,
    Provider,
    Text,
    ToolCall,
    Usage,
)

_log = logging.getLogger(__name__)

_NAMES: Final = {"bedrock": "aws.bedrock", "gemini": "gcp.gemini"}
"""Of providers, where the convention has another word than ours."""
_PORTS: Final = {"http": 80, "https": 443}
_MOST_CONTENT = 65_536
"""Characters of what was asked, the newest, and of what was answered, the first."""


@runtime_checkable
class Placed(Protocol):
    """A provider that tells where its vendor is."""

    @property
    def base_url(self) -> str: ...


class VendorCall:
    """One call of a vendor. Everything that is told of it is cheap when its trace is not recorded."""

    __slots__ = ("_content", "_reasons", "_room", "_said", "_span", "_vendor_model")

    def __init__(
        self,
        provider: Provider,
        request: CompletionRequest | EmbeddingRequest,
        attempt: Attempt,
        *,
        streamed: bool,
    ) -> None:
        operation = "embeddings" if isinstance(request, EmbeddingRequest) else "chat"
        attributes = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": _NAMES.get(provider.kind, provider.kind),
            "gen_ai.request.model": attempt.model,
            **_place(provider),
            **({"gen_ai.request.stream": True} if streamed else {}),
            **_asked(request),
            "omnix.provider": attempt.provider,
            "omnix.completion_id": attempt.completion_id,
            "omnix.attempt_id": attempt.attempt_id,
            "omnix.attempt": attempt.number,
            "omnix.sandbox": provider.sandbox,
        }
        self._span = telemetry.Span(f"{operation} {attempt.model}", attributes, kind=telemetry.Kind.CLIENT)
        self._reasons: dict[int, FinishReason] = {}
        self._said: dict[int, list[str]] = {}
        self._room = _MOST_CONTENT
        self._content = telemetry.captures_content() and isinstance(request, CompletionRequest)
        self._vendor_model = ""

    def begin(self, request: CompletionRequest | EmbeddingRequest) -> "VendorCall":
        self._span.begin()
        self._content = self._content and self._span.is_recorded
        if self._content and isinstance(request, CompletionRequest):
            self._span.tell({"gen_ai.input.messages": _messages(request.messages)})
        return self

    def take(self, batch: Batch) -> None:
        """Something came of a streamed answer."""
        if batch.head is not None:
            self._vendor_model = batch.head.vendor_model
        for chunk in batch.chunks:
            if chunk.finish_reason is not None:
                self._reasons[chunk.choice_index] = chunk.finish_reason
            if self._content and chunk.text:
                said = self._said.setdefault(chunk.choice_index, [])
                if self._room > 0:
                    self._room -= len(chunk.text)
                    said.append(chunk.text)

    def ended(self, usage: Usage, cost_micros: int | None, first_content_us: int, error_type: str | None) -> None:
        """A streamed answer ended."""
        told: dict[str, telemetry.Attribute] = {}
        if self._reasons:
            told["gen_ai.response.finish_reasons"] = [_word(self._reasons[index]) for index in sorted(self._reasons)]
        if first_content_us:
            told["gen_ai.response.time_to_first_chunk"] = first_content_us / 1e6
        if self._said:
            told["gen_ai.output.messages"] = _json(
                [
                    _output([_text("".join(said))], self._reasons.get(index))
                    for index, said in sorted(self._said.items())
                ]
            )
        self._end(told, usage, cost_micros, error_type)

    def answered(self, answer: Completion | Embeddings, usage: Usage, cost_micros: int | None) -> None:
        """A whole answer came at once."""
        self._vendor_model = answer.vendor_model
        told: dict[str, telemetry.Attribute] = {}
        if isinstance(answer, Completion):
            told["gen_ai.response.finish_reasons"] = [_word(choice.finish_reason) for choice in answer.choices]
            if answer.vendor_id:
                told["gen_ai.response.id"] = answer.vendor_id
            if self._content:
                told["gen_ai.output.messages"] = _json([_choice(choice) for choice in answer.choices])
        self._end(told, usage, cost_micros, None)

    def failed(self, error_type: str) -> None:
        self._span.failed(error_type)
        self._span.end()

    def _end(
        self, told: dict[str, telemetry.Attribute], usage: Usage, cost_micros: int | None, error_type: str | None
    ) -> None:
        if self._span.is_recorded:
            if self._vendor_model:
                told["gen_ai.response.model"] = self._vendor_model
            self._span.tell({**told, **_usage(usage)})
            if cost_micros is not None:
                self._span.tell({"omnix.cost_micros": cost_micros})
        if error_type is not None:
            self._span.failed(error_type)
        self._span.end()


def vendor_call(
    provider: Provider, request: CompletionRequest | EmbeddingRequest, attempt: Attempt, *, streamed: bool
) -> VendorCall | None:
    """Begun; None where nothing is exported, which is all that it costs then. Never raises."""
    if not telemetry.recording():
        return None
    try:
        return VendorCall(provider, request, attempt, streamed=streamed).begin(request)
    except Exception:
        _log.exception("a call of a vendor is not traced")
        return None


def _place(provider: Provider) -> Mapping[str, str | int]:
    if not isinstance(provider, Placed):
        return {}
    parts = urlsplit(provider.base_url)
    return {"server.address": parts.hostname or "", "server.port": parts.port or _PORTS.get(parts.scheme, 443)}


def _asked(request: CompletionRequest | EmbeddingRequest) -> Mapping[str, telemetry.Attribute]:
    if isinstance(request, EmbeddingRequest):
        return {} if request.dimensions is None else {"gen_ai.embeddings.dimension.count": request.dimensions}
    sampling = request.sampling
    asked = {
        "gen_ai.request.max_tokens": request.max_output_tokens,
        "gen_ai.request.seed": request.seed,
        "gen_ai.request.choice.count": request.candidate_count,
        "gen_ai.request.temperature": sampling.temperature,
        "gen_ai.request.top_p": sampling.top_p,
        "gen_ai.request.top_k": None if sampling.top_k is None else float(sampling.top_k),
        "gen_ai.request.frequency_penalty": sampling.frequency_penalty,
        "gen_ai.request.presence_penalty": sampling.presence_penalty,
    }
    return {name: value for name, value in asked.items() if value is not None}


def _usage(usage: Usage) -> Mapping[str, telemetry.Attribute]:
    details = {
        "gen_ai.usage.cache_read.input_tokens": usage.cached_input_tokens,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_input_tokens,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
    }
    return {
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        **{name: count for name, count in details.items() if count},
        "omnix.usage.estimated": usage.estimated,
    }


def _word(reason: FinishReason) -> str:
    return reason.value.replace("-", "_")


def _messages(messages: Sequence[Message]) -> str:
    """The newest of them that fit."""
    told: list[object] = []
    left = _MOST_CONTENT
    for message in reversed(messages):
        parts = _parts(message)
        left -= sum(len(str(part)) for part in parts)
        if left < 0 and told:
            break
        told.insert(0, {"role": message.role.value, "parts": parts})
    return _json(told)


def _parts(message: Message) -> list[dict[str, str]]:
    if message.tool_call_id:
        response = "".join(part.text for part in message.parts if isinstance(part, Text))[:_MOST_CONTENT]
        return [{"type": "tool_call_response", "id": message.tool_call_id, "response": response}]
    return [*(_part(part) for part in message.parts), *(_call(call) for call in message.tool_calls)]


def _part(part: Part) -> dict[str, str]:
    match part:
        case Text():
            return _text(part.text)
        case Image() | File():  # what is in them is nobody's text
            return {"type": "image" if isinstance(part, Image) else "file", "mime_type": part.media_type}
        case Audio():
            return {"type": "audio", "mime_type": f"audio/{part.format}"}


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "content": text[:_MOST_CONTENT]}


def _call(call: ToolCall) -> dict[str, str]:
    return {
        "type": "tool_call",
        "id": call.id,
        "name": call.name,
        "arguments": call.arguments_json[:_MOST_CONTENT],
    }


def _choice(choice: Choice) -> Mapping[str, object]:
    return _output(_parts(choice.message), choice.finish_reason)


def _output(parts: Sequence[Mapping[str, str]], reason: FinishReason | None) -> Mapping[str, object]:
    return {"role": "assistant", "parts": parts, **({} if reason is None else {"finish_reason": _word(reason)})}


def _json(value: object) -> str:
    # Models say things that UTF-8 has no bytes for.
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()
