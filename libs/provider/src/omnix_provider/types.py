"""What an adapter is asked, and what it answers, free of any wire format.

The values are frozen msgspec structs and not dataclasses: making one costs a fifth, and every token makes a chunk.
Fields mean what the contract of the same name in ``omnix.completion.v1`` says; None means unset.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Protocol

from msgspec import Struct
from omnix_kit.caller import Caller
from omnix_kit.money import Price


class Role(Enum):
    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class Effort(Enum):
    NONE = "none"
    MINIMAL = "minimal"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    MAX = "max"


class ComputeMode(Enum):
    FLASH = "flash"
    THINK = "think"
    ULTRA_THINK = "ultra-think"


class ToolMode(Enum):
    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"
    NAMED = "named"


class FormatKind(Enum):
    TEXT = "text"
    JSON = "json"
    JSON_SCHEMA = "json-schema"


class FinishReason(Enum):
    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool-calls"
    CONTENT_FILTER = "content-filter"
    OTHER = "other"


class Text(Struct, frozen=True):
    text: str
    cache_breakpoint: bool = False


class Image(Struct, frozen=True):
    """Either ``url`` or ``data`` with its media type."""

    url: str | None = None
    data: bytes | None = None
    media_type: str = ""
    detail: str = ""
    cache_breakpoint: bool = False


class Audio(Struct, frozen=True):
    data: bytes
    format: str
    cache_breakpoint: bool = False


class File(Struct, frozen=True):
    """One of ``data``, ``file_id`` and ``url``."""

    data: bytes | None = None
    file_id: str | None = None
    url: str | None = None
    media_type: str = ""
    filename: str = ""
    cache_breakpoint: bool = False


Part = Text | Image | Audio | File


class Reasoned(Struct, frozen=True):
    """A piece of a model's reasoning."""

    text: str = ""
    signature: bytes = b""
    redacted: bytes = b""
    provider: str = ""


class ToolCall(Struct, frozen=True):
    id: str
    name: str
    arguments_json: str
    signature: bytes = b""


class Message(Struct, frozen=True):
    role: Role
    parts: tuple[Part, ...] = ()
    name: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    tool_failed: bool = False
    reasoning: tuple[Reasoned, ...] = ()
    refusal: str = ""


class Tool(Struct, frozen=True):
    name: str
    description: str = ""
    parameters_json: str = ""
    strict: bool | None = None


class ToolChoice(Struct, frozen=True):
    mode: ToolMode
    name: str = ""


class ResponseFormat(Struct, frozen=True):
    kind: FormatKind
    name: str = ""
    description: str = ""
    schema_json: str = ""
    strict: bool | None = None


class Sampling(Struct, frozen=True):
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None


class Reasoning(Struct, frozen=True):
    effort: Effort | None = None
    budget_tokens: int | None = None
    include: bool = False


class CompletionRequest(Struct, frozen=True):
    """What the caller asked; the target is in the attempt."""

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    sampling: Sampling = Sampling()
    max_output_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    reasoning: Reasoning | None = None
    compute_mode: ComputeMode | None = None
    metadata: Mapping[str, str] = {}
    end_user: str = ""
    candidate_count: int | None = None
    vendor_parameters: Mapping[str, str] = {}
    """Wire name to JSON text."""


class Attempt(Struct, frozen=True):
    """One call of one target, as the router orders it."""

    attempt_id: str
    completion_id: str
    number: int
    caller: Caller
    provider: str
    model: str
    price: Price | None = None
    route: str = ""


class Usage(Struct, frozen=True):
    """Tokens of one attempt; details are parts of the totals."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    cache_write_input_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    estimated: bool = False


class Choice(Struct, frozen=True):
    index: int
    message: Message
    finish_reason: FinishReason


class Completion(Struct, frozen=True):
    """A whole answer. ``usage`` is None when the vendor did not count."""

    choices: tuple[Choice, ...]
    usage: Usage | None = None
    create_time: datetime | None = None
    vendor_model: str = ""
    vendor_id: str = ""
    system_fingerprint: str = ""
    service_tier: str = ""


class ToolCallDelta(Struct, frozen=True):
    index: int
    id: str = ""
    name: str = ""
    arguments_json: str = ""
    signature: bytes = b""


class Chunk(Struct, frozen=True):
    """One increment of an answer. It carries content or a finish reason; one that would carry neither is not made."""

    text: str = ""
    choice_index: int = 0
    tool_calls: tuple[ToolCallDelta, ...] = ()
    reasoning: Reasoned | None = None
    refusal: str = ""
    finish_reason: FinishReason | None = None


class Head(Struct, frozen=True):
    """What the vendor tells of a streamed answer before its content."""

    create_time: datetime | None = None
    vendor_model: str = ""
    system_fingerprint: str = ""
    service_tier: str = ""


class Batch(Struct, frozen=True):
    """What arrived together. An empty batch is a sign of life and nothing more."""

    chunks: Sequence[Chunk] = ()
    head: Head | None = None
    """In the first batch that knows it."""
    usage: Usage | None = None
    """In the batch that brought it; a later one replaces it."""
    done: bool = False
    """The vendor's end marker came."""


class ServedModel(Struct, frozen=True):
    """A model that a provider offers now."""

    model: str
    owned_by: str = ""


HandedOver = Callable[[], None]
"""Called once, immediately before the request's first byte goes to a vendor's connection: from then on it may cost."""


class Provider(Protocol):
    """One vendor API with one credential. It never retries, and raises only errors of ``omnix_provider.errors``."""

    @property
    def name(self) -> str:
        """By which the router orders attempts, such as ``openai``."""

    @property
    def kind(self) -> str:
        """The wire format, such as ``openai``."""

    @property
    def sandbox(self) -> bool:
        """It is the sandbox and not the vendor."""

    def problem(self) -> str | None:
        """Why it cannot be called, such as a missing key; None when it can."""

    async def complete(self, request: CompletionRequest, attempt: Attempt, handed_over: HandedOver) -> Completion:
        """Make the attempt. Cancelling closes the vendor's connection."""

    def stream(self, request: CompletionRequest, attempt: Attempt, handed_over: HandedOver) -> AsyncIterator[Batch]:
        """Make the attempt, batch by batch as the vendor's bytes arrive.

        It ends where the body ends; whether the answer is whole, who iterates judges by the finish reasons. Closing the
        iterator closes the vendor's connection. A refusal by argument (``UnsupportedParameter`` …) is raised by the
        first step, before anything is sent.
        """

    def list_models(self) -> Sequence[ServedModel]:
        """What it offered when it was last asked. Never waits."""
