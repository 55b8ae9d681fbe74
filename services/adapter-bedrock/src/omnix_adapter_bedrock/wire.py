"""Converse's answers as they arrive, and no more of them than is read.

The shapes are those of AWS's own model of the service:
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html. Bytes are base64 in JSON.
"""

from msgspec import Raw, Struct, field


class Wire(Struct, rename="camel"):
    """Its fields have AWS's names in camel case."""


class CacheDetail(Wire):
    ttl: str | None = None
    input_tokens: int | None = None


class Usage(Wire):
    """``input_tokens`` holds neither what was read from the cache nor what was written to it."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    cache_details: list[CacheDetail] | None = None


class Tier(Wire):
    type: str | None = None


class ToolUse(Wire):
    tool_use_id: str
    name: str
    input: Raw = Raw(b"{}")
    type: str | None = None


class ReasoningText(Wire):
    text: str | None = None
    signature: str | None = None


class Reasoning(Wire):
    reasoning_text: ReasoningText | None = None
    redacted_content: bytes | None = None


class Generated(Wire):
    text: str | None = None


class Cited(Wire):
    content: list[Generated] | None = None


class Block(Wire):
    text: str | None = None
    tool_use: ToolUse | None = None
    reasoning_content: Reasoning | None = None
    citations_content: Cited | None = None


class Message(Wire):
    content: list[Block]


class Output(Wire):
    message: Message


class Router(Wire):
    invoked_model_id: str | None = None


class Trace(Wire):
    prompt_router: Router | None = None


class Answer(Wire):
    output: Output
    stop_reason: str
    usage: Usage | None = None
    service_tier: Tier | None = None
    trace: Trace | None = None


class ToolUseStart(Wire):
    tool_use_id: str
    name: str
    type: str | None = None


class Start(Wire):
    tool_use: ToolUseStart | None = None


class BlockStart(Wire):
    content_block_index: int
    start: Start | None = None


class ToolUseDelta(Wire):
    input: str | None = None


class ReasoningDelta(Wire):
    text: str | None = None
    signature: str | None = None
    redacted_content: bytes | None = None


class Delta(Wire):
    text: str | None = None
    tool_use: ToolUseDelta | None = None
    reasoning_content: ReasoningDelta | None = None


class BlockDelta(Wire):
    content_block_index: int
    delta: Delta


class BlockStop(Wire):
    content_block_index: int


class MessageStop(Wire):
    stop_reason: str


class Metadata(Wire):
    usage: Usage | None = None


class Fault(Wire):
    """An exception, as a body or inside a stream; older services write the first letter large."""

    message: str | None = None
    capital_message: str | None = field(name="Message", default=None)
    original_status_code: int | None = None
    code: str | int | float | None = None
    type: str | int | float | None = field(name="__type", default=None)
    """The exception's name, where no header tells it."""


class TitanEmbedding(Wire):
    embedding: list[float]
    input_text_token_count: int | None = None


class CohereFloats(Wire):
    floats: list[list[float]] = field(name="float")


class CohereEmbeddings(Wire):
    """``embeddings`` is a list, or an object by type where types were asked for."""

    embeddings: CohereFloats | list[list[float]]


class NovaVector(Wire):
    embedding: list[float]


class NovaEmbeddings(Wire):
    embeddings: list[NovaVector]
