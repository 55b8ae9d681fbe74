"""What an adapter is asked, and what it answers, free of any wire format.

The values are frozen msgspec structs and not dataclasses: making one costs a fifth, and every token makes a chunk.
Fields mean what the contract of the same name in ``omnix.completion.v1`` says; None means unset.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
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
    EXTRA_HIGH = "extra-high"
    """More than high and less than the most."""
    MAX = "max"


class ComputeMode(Enum):
    FLASH = "flash"
    THINK = "think"
    ULTRA_THINK = "ultra-think"


class Control(Enum):
    """How a model's reasoning is controlled."""

    NONE = "none"
    FIXED = "fixed"
    SWITCH = "switch"
    EFFORT = "effort"
    BUDGET = "budget"


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


class AttemptPurpose(Enum):
    """What an attempt is made for, when it is not the answer."""

    SHADOW = "shadow"
    HEDGE = "hedge"


class CacheBreakpoint(Struct, frozen=True):
    """Ask the vendor to cache the prompt up to and including what carries this."""

    ttl: timedelta | None = None
    """None for the vendor's default."""


class Text(Struct, frozen=True):
    text: str
    cache: CacheBreakpoint | None = None


class Image(Struct, frozen=True):
    """Either ``url`` or ``data`` with its media type."""

    url: str | None = None
    data: bytes | None = None
    media_type: str = ""
    detail: str = ""
    cache: CacheBreakpoint | None = None


class Audio(Struct, frozen=True):
    data: bytes
    format: str
    cache: CacheBreakpoint | None = None


class File(Struct, frozen=True):
    """A document, or a film: ``media_type`` tells. One of ``data``, ``file_id`` and ``url``."""

    data: bytes | None = None
    file_id: str | None = None
    url: str | None = None
    media_type: str = ""
    filename: str = ""
    cache: CacheBreakpoint | None = None


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
    cache: CacheBreakpoint | None = None


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
    logprobs: bool = False
    top_logprobs: int | None = None


class ReasoningPlan(Struct, frozen=True):
    """How an answer's reasoning is controlled, once request and model are known."""

    control: Control
    effort: Effort | None = None
    """For ``EFFORT`` and ``SWITCH``; None leaves it to the vendor."""
    budget_tokens: int | None = None
    """For ``BUDGET``: 0 is off; None leaves it to the vendor."""
    mode: ComputeMode | None = None


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
    reasoning: ReasoningPlan | None = None
    """To be obeyed where it is set, in place of what the request says of mode, effort and budget."""
    max_output_tokens: int = 0
    """The most that the model can do; 0 when unknown."""
    prefix: str = ""
    """The beginning of the answer, which the vendor is asked to continue. The answer is what follows it.

    It has no white space at its end, for models and vendors go on badly after it; the answer may begin with some.
    An adapter whose vendor cannot do so raises ``UnsupportedParameter`` for ``prefix``.
    """
    purpose: AttemptPurpose | None = None
    hedged: bool = False
    """Another one runs beside it, or may come to; which one answered first is said a moment later."""


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
    long_cache_write_input_tokens: int = 0
    """Of ``cache_write_input_tokens``, those kept longer than the vendor's shortest time."""


class TokenLogprob(Struct, frozen=True):
    """How likely a token was; ``logprob`` is a natural logarithm, ``top`` the likeliest tokens at this place."""

    token: str
    logprob: float
    token_bytes: bytes | None = None
    top: tuple["TokenLogprob", ...] = ()


class Choice(Struct, frozen=True):
    index: int
    message: Message
    finish_reason: FinishReason
    logprobs: tuple[TokenLogprob, ...] = ()
    refusal_logprobs: tuple[TokenLogprob, ...] = ()


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
    logprobs: tuple[TokenLogprob, ...] = ()
    refusal_logprobs: tuple[TokenLogprob, ...] = ()


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


class Purpose(Enum):
    """What vectors are for."""

    QUERY = "query"
    DOCUMENT = "document"
    SIMILARITY = "similarity"
    CLASSIFICATION = "classification"
    CLUSTERING = "clustering"


class EmbeddingRequest(Struct, frozen=True):
    """What the caller asked; the target is in the attempt. An input is text, or tokens of the model's vocabulary."""

    model: str
    inputs: tuple[str | tuple[int, ...], ...]
    dimensions: int | None = None
    purpose: Purpose | None = None
    metadata: Mapping[str, str] = {}
    end_user: str = ""


class Embeddings(Struct, frozen=True):
    """One vector for each input, in their order. ``usage`` is None when the vendor did not count."""

    vectors: tuple[bytes, ...]
    """Little-endian IEEE 754 numbers of 32 bits; ``omnix_provider.vectors`` makes them."""
    usage: Usage | None = None
    vendor_model: str = ""


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

    async def embed(self, request: EmbeddingRequest, attempt: Attempt, handed_over: HandedOver) -> Embeddings:
        """Make the attempt. Cancelling closes the vendor's connection.

        :raises UnsupportedParameter: naming what the vendor cannot honour.
        """

    def list_models(self) -> Sequence[ServedModel]:
        """What it offered when it was last asked. Never waits."""
