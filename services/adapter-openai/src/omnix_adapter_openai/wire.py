"""OpenAI's chat format as it arrives, and no more of it than is read.

Servers that speak it differ in what they leave out or send as null, so nearly everything is optional.
"""

from msgspec import Struct


class PromptDetails(Struct):
    cached_tokens: int | None = None
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
    arguments: str | None = None


class ToolCall(Struct):
    function: Function
    id: str | None = None


class ToolCallDelta(Struct):
    index: int | None = None
    id: str | None = None
    function: Function | None = None


class Answered(Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    reasoning_content: str | None = None
    """DeepSeek's word, which vLLM and llama.cpp took over."""
    reasoning: str | None = None
    """Ollama's and OpenRouter's word for the same."""


class Choice(Struct):
    message: Answered
    index: int | None = None
    finish_reason: str | None = None


class Answer(Struct):
    choices: list[Choice]
    id: str | None = None
    created: float | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    usage: Usage | None = None


class Delta(Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCallDelta] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class ChunkChoice(Struct):
    delta: Delta | None = None
    index: int | None = None
    finish_reason: str | None = None


class Error(Struct):
    """In-band, in a stream whose status was 200."""

    message: str | None = None
    type: str | None = None
    code: str | int | None = None
    param: str | None = None


class Event(Struct):
    choices: list[ChunkChoice] | None = None
    created: float | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    usage: Usage | None = None
    error: Error | str | None = None
