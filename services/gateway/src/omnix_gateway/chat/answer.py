"""The answers of ``POST /v1/chat/completions``: OpenAI's shape, OmniX's additions optional."""

from decimal import Decimal
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

_MICROS = Decimal(1_000_000)


def decimal(micros: int) -> str:
    """Millionths of a currency as a decimal string with six digits."""
    return f"{Decimal(micros) / _MICROS:.6f}"


class PromptTokens(Struct):
    cached_tokens: int = 0
    audio_tokens: int = 0
    cache_write_tokens: int = 0
    long_cache_write_tokens: int = 0


class CompletionTokens(Struct):
    reasoning_tokens: int = 0
    audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


class Usage(Struct, kw_only=True):
    """Tokens, and OmniX's cost; `cost` is null when the model has no price."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokens
    completion_tokens_details: CompletionTokens
    cost: str | None = None
    cost_micros: int | None = None
    estimated: bool = False


class Function(Struct):
    name: str
    arguments: str


class ToolCall(Struct, kw_only=True):
    id: str
    type: Literal["function"] = "function"
    function: Function
    signature: str | UnsetType = UNSET


class ReasoningDetail(Struct, kw_only=True, omit_defaults=True):
    text: str = ""
    signature: str | None = None
    redacted: str | None = None
    provider: str = ""


class Message(Struct, kw_only=True):
    """What is unset is left out, as OpenAI does."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: str | None = None
    tool_calls: list[ToolCall] | UnsetType = UNSET
    reasoning_content: str | UnsetType = UNSET
    reasoning_details: list[ReasoningDetail] | UnsetType = UNSET


class TopLogprob(Struct):
    """`bytes` are those of UTF-8; null where the vendor does not tell them."""

    token: str
    logprob: float
    bytes: list[int] | None


class TokenLogprob(Struct):
    token: str
    logprob: float
    bytes: list[int] | None
    top_logprobs: list[TopLogprob]


class Logprobs(Struct):
    content: list[TokenLogprob] | None
    refusal: list[TokenLogprob] | None


class Choice(Struct, kw_only=True):
    index: int
    message: Message
    logprobs: Logprobs | None = None
    finish_reason: str


class ChatCompletion(Struct, kw_only=True):
    """A whole answer."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    service_tier: str | None = None
    system_fingerprint: str | None = None
