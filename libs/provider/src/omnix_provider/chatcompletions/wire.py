"""The format as it arrives, and no more of it than is read.

Servers that speak it differ in what they leave out or send as null, so nearly everything is optional.
"""

from typing import Annotated, Any

from msgspec import DecodeError, Meta, Struct

UNREADABLE = (DecodeError, RecursionError, UnicodeDecodeError)
"""What decoding raises: too deep a nesting and text that is no UTF-8 are errors of their own to msgspec."""


Index = Annotated[int, Meta(ge=0, lt=2**31)]


class PromptDetails(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None


class CompletionDetails(Struct):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


class Usage(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None


class Function(Struct):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None
    """Older servers send the object itself and not its text."""


class ToolCall(Struct):
    function: Function
    id: str | None = None


class ToolCallDelta(Struct):
    index: Index | None = None
    id: str | None = None
    function: Function | None = None


class TopLogprob(Struct):
    token: str
    logprob: float | None = None
    bytes: list[Annotated[int, Meta(ge=0, le=255)]] | None = None


class TokenLogprob(TopLogprob):
    top_logprobs: list[TopLogprob] | None = None


class Logprobs(Struct):
    content: list[TokenLogprob] | None = None
    refusal: list[TokenLogprob] | None = None


class Answered(Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    reasoning_content: str | None = None
    """DeepSeek's word, which vLLM and llama.cpp took over."""
    reasoning: str | None = None
    """Ollama's, Groq's and OpenRouter's word for the same."""


class Choice(Struct):
    message: Answered
    index: Index | None = None
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class Error(Struct):
    """Of a refusal, or in place of an answer whose status was 200."""

    message: str | None = None
    type: str | None = None
    code: str | int | None = None
    param: str | None = None


class Answer(Struct):
    choices: list[Choice] | None = None
    id: str | None = None
    created: float | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    usage: Usage | None = None
    error: Error | str | None = None


class Counted(Struct):
    """Of an answer, the count alone, whatever else is wrong with it."""

    usage: Usage | None = None


class Delta(Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCallDelta] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class ChunkChoice(Struct):
    delta: Delta | None = None
    index: Index | None = None
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class Event(Struct):
    choices: list[ChunkChoice] | None = None
    created: float | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    usage: Usage | None = None
    error: Error | str | None = None


class Embedding(Struct):
    embedding: str | list[float]
    """Base64 of numbers of 32 bits, or the numbers."""
    index: Index | None = None


class EmbeddingAnswer(Struct):
    data: list[Embedding]
    model: str | None = None
    usage: Usage | None = None
