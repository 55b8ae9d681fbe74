"""Whole answers, and what they have in common with streamed ones."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TypeVar

import msgspec

from omnix_provider.chatcompletions import wire
from omnix_provider.chatcompletions.errors import in_band
from omnix_provider.types import (
    Choice,
    Completion,
    FinishReason,
    Message,
    Reasoned,
    Role,
    Text,
    TokenLogprob,
    ToolCall,
    Usage,
)

FINISH_REASONS: Mapping[str, FinishReason] = MappingProxyType(
    {
        "stop": FinishReason.STOP,
        "length": FinishReason.LENGTH,
        "tool_calls": FinishReason.TOOL_CALLS,
        "function_call": FinishReason.TOOL_CALLS,
        "content_filter": FinishReason.CONTENT_FILTER,
        # Of text-generation-inference and of Together:
        "eos_token": FinishReason.STOP,
        "stop_sequence": FinishReason.STOP,
        "eos": FinishReason.STOP,
        # Of Mistral, where the model's context ends:
        "model_length": FinishReason.LENGTH,
    }
)
BROKEN_OFF = frozenset({"error", "abort", "insufficient_system_resource"})
"""What Mistral's, vLLM's and DeepSeek's servers say when they fail in the middle: it is the end of no answer.

https://docs.mistral.ai/api, https://github.com/vllm-project/vllm/blob/main/vllm/v1/engine/__init__.py,
https://api-docs.deepseek.com/api/create-chat-completion
"""

_IMPROBABLE = -9999.0
_encode = msgspec.json.Encoder().encode
_decode_answer = msgspec.json.Decoder(wire.Answer).decode
_decode_count = msgspec.json.Decoder(wire.Counted).decode


def completion_from_wire(body: bytes) -> Completion:
    """Read a whole answer.

    :raises InBandError: when it is an error, as some servers answer with status 200.
    :raises wire.UNREADABLE: one of them, when it is none.
    """
    answer = _decode_answer(body)
    if answer.error is not None:
        raise in_band(answer.error)
    if not answer.choices:
        raise msgspec.ValidationError("the answer has no choices")
    return Completion(
        choices=tuple(_choice(choice, position) for position, choice in enumerate(answer.choices)),
        usage=usage_from_wire(answer.usage),
        create_time=time_from_wire(answer.created),
        vendor_model=answer.model or "",
        vendor_id=answer.id or "",
        system_fingerprint=answer.system_fingerprint or "",
        service_tier=answer.service_tier or "",
    )


def _choice(choice: wire.Choice, position: int) -> Choice:
    if not choice.finish_reason or choice.finish_reason in BROKEN_OFF:
        raise msgspec.ValidationError("a choice has no finish reason, so it may not be whole")
    said = choice.message
    reasoning = said.reasoning_content or said.reasoning
    logprobs = choice.logprobs or _NO_LOGPROBS
    return Choice(
        index=position if choice.index is None else choice.index,
        message=Message(
            role=Role.ASSISTANT,
            parts=(Text(said.content),) if said.content else (),
            tool_calls=tuple(
                ToolCall(call.id or "", call.function.name or "", arguments_from_wire(call.function))
                for call in said.tool_calls or ()
            ),
            reasoning=(Reasoned(reasoning),) if reasoning else (),
            refusal=said.refusal or "",
        ),
        finish_reason=ended(
            FINISH_REASONS.get(choice.finish_reason, FinishReason.OTHER), calling=bool(said.tool_calls)
        ),
        logprobs=logprobs_from_wire(logprobs.content),
        refusal_logprobs=logprobs_from_wire(logprobs.refusal),
    )


_NO_LOGPROBS = wire.Logprobs()


_ReasonT = TypeVar("_ReasonT", bound=FinishReason | None)


def ended(reason: _ReasonT, *, calling: bool) -> _ReasonT | FinishReason:
    """The same for all: a choice that calls ends because it wants to.

    OpenAI says ``stop`` when the caller forced the call, and text-generation-inference always does.
    """
    return FinishReason.TOOL_CALLS if calling and reason is FinishReason.STOP else reason


def logprobs_from_wire(tokens: Sequence[wire.TokenLogprob] | None) -> tuple[TokenLogprob, ...]:
    return tuple(_logprob(token, tuple(map(_logprob, token.top_logprobs or ()))) for token in tokens or ())


def _logprob(token: wire.TopLogprob, top: tuple[TokenLogprob, ...] = ()) -> TokenLogprob:
    return TokenLogprob(
        token.token,
        _IMPROBABLE if token.logprob is None else token.logprob,
        None if token.bytes is None else bytes(token.bytes),
        top,
    )


def arguments_from_wire(function: wire.Function) -> str:
    arguments = function.arguments
    if isinstance(arguments, dict):
        return _encode(arguments).decode()
    return arguments or ""


def usage_from_wire(usage: wire.Usage | None) -> Usage | None:
    if usage is None or usage.prompt_tokens is None or usage.completion_tokens is None:
        return None
    prompt = usage.prompt_tokens_details or _NO_PROMPT_DETAILS
    completion = usage.completion_tokens_details or _NO_COMPLETION_DETAILS
    return Usage(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        cached_input_tokens=prompt.cached_tokens or 0,
        cache_write_input_tokens=prompt.cache_write_tokens or 0,
        reasoning_tokens=completion.reasoning_tokens or 0,
        audio_input_tokens=prompt.audio_tokens or 0,
        audio_output_tokens=completion.audio_tokens or 0,
    )


def usage_in(body: bytes) -> Usage | None:
    """The count of an answer that is none otherwise."""
    return usage_from_wire(count_in(body))


def count_in(body: bytes) -> wire.Usage | None:
    try:
        return _decode_count(body).usage
    except wire.UNREADABLE:
        return None


_NO_PROMPT_DETAILS, _NO_COMPLETION_DETAILS = wire.PromptDetails(), wire.CompletionDetails()


def time_from_wire(created: float | None) -> datetime | None:
    if not created:
        return None
    try:
        return datetime.fromtimestamp(created, UTC)
    except (OverflowError, ValueError, OSError):
        return None
