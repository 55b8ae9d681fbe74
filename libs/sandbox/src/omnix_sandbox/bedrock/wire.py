"""Converse's request as it is on the wire.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and botocore's model of 2023-09-30,
read 2026-11-22.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta


class Wire(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Anything else than its members is refused by name."""


Data = Annotated[bytes, Meta(min_length=1)]


class S3Location(Wire, frozen=True):
    uri: Annotated[str, Meta(pattern=r"^s3://[a-z0-9][.\-a-z0-9]{1,61}[a-z0-9](/.*)?$")]
    bucket_owner: str | None = None


class Source(Wire, frozen=True):
    """A union: one member."""

    bytes: Data | None = None
    s3_location: S3Location | None = None


class DocumentText(Wire, frozen=True):
    text: str | None = None


class DocumentSource(Wire, frozen=True):
    bytes: Data | None = None
    s3_location: S3Location | None = None
    text: str | None = None
    content: list[DocumentText] | None = None


class Citations(Wire, frozen=True):
    enabled: bool


class Image(Wire, frozen=True):
    format: Literal["png", "jpeg", "gif", "webp"]
    source: Source


class Document(Wire, frozen=True):
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    source: DocumentSource
    format: Literal["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"] = "txt"
    context: str | None = None
    citations: Citations | None = None


class Video(Wire, frozen=True):
    format: Literal["mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"]
    source: Source


class Audio(Wire, frozen=True):
    format: Literal[
        "mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a", "mpeg", "mpga", "pcm", "webm"
    ]
    source: Source


class CachePoint(Wire, frozen=True):
    type: Literal["default"]
    ttl: Literal["5m", "1h"] | None = None


class ToolUse(Wire, frozen=True):
    tool_use_id: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_.:-]+$")]
    name: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")]
    input: Any
    type: Literal["server_tool_use"] | None = None


class ToolResultBlock(Wire, frozen=True):
    """A union: one member."""

    json: Any = None
    text: str | None = None
    image: Image | None = None
    document: Document | None = None
    video: Video | None = None
    search_result: dict[str, Any] | None = None


class ToolResult(Wire, frozen=True):
    tool_use_id: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_.:-]+$")]
    content: list[ToolResultBlock]
    status: Literal["success", "error"] | None = None
    type: str | None = None


class ReasoningText(Wire, frozen=True):
    text: str
    signature: str | None = None


class Reasoning(Wire, frozen=True):
    """A union: one member."""

    reasoning_text: ReasoningText | None = None
    redacted_content: bytes | None = None


class Block(Wire, frozen=True):
    """A union: one member."""

    text: str | None = None
    image: Image | None = None
    document: Document | None = None
    video: Video | None = None
    audio: Audio | None = None
    tool_use: ToolUse | None = None
    tool_result: ToolResult | None = None
    guard_content: dict[str, Any] | None = None
    cache_point: CachePoint | None = None
    reasoning_content: Reasoning | None = None
    citations_content: dict[str, Any] | None = None
    search_result: dict[str, Any] | None = None

    def kinds(self) -> list[str]:
        """The names of the members that are set."""
        return [name for name in self.__struct_fields__ if getattr(self, name) is not None]


class Message(Wire, frozen=True):
    role: Literal["user", "assistant", "system"]
    content: list[Block]


class SystemBlock(Wire, frozen=True):
    """A union: one member."""

    text: Annotated[str, Meta(min_length=1)] | None = None
    guard_content: dict[str, Any] | None = None
    cache_point: CachePoint | None = None


class InferenceConfig(Wire, frozen=True):
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    stop_sequences: Annotated[list[Annotated[str, Meta(min_length=1)]], Meta(max_length=2500)] | None = None


class InputSchema(Wire, frozen=True):
    json: dict[str, Any]


class ToolSpec(Wire, frozen=True):
    name: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")]
    input_schema: InputSchema
    description: Annotated[str, Meta(min_length=1)] | None = None
    strict: bool | None = None


class SystemTool(Wire, frozen=True):
    name: str


class Tool(Wire, frozen=True):
    """A union: one member."""

    tool_spec: ToolSpec | None = None
    system_tool: SystemTool | None = None
    cache_point: CachePoint | None = None


class NamedTool(Wire, frozen=True):
    name: str


class Nothing(Wire, frozen=True):
    """An object without members."""


class ToolChoice(Wire, frozen=True):
    """A union: one member."""

    auto: Nothing | None = None
    any: Nothing | None = None
    tool: NamedTool | None = None


class ToolConfig(Wire, frozen=True):
    tools: Annotated[list[Tool], Meta(min_length=1)]
    tool_choice: ToolChoice | None = None


class GuardrailConfig(Wire, frozen=True):
    guardrail_identifier: str | None = None
    guardrail_version: str | None = None
    trace: Literal["enabled", "disabled", "enabled_full"] | None = None
    stream_processing_mode: Literal["sync", "async"] | None = None


class JsonSchema(Wire, frozen=True):
    schema: str
    name: str | None = None
    description: str | None = None


class Structure(Wire, frozen=True):
    json_schema: JsonSchema | None = None


class TextFormat(Wire, frozen=True):
    type: Literal["json_schema"]
    structure: Structure


class OutputConfig(Wire, frozen=True):
    text_format: TextFormat | None = None
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None


class PerformanceConfig(Wire, frozen=True):
    latency: Literal["standard", "optimized"] | None = None


class ServiceTier(Wire, frozen=True):
    type: Literal["priority", "default", "flex", "reserved"]


class ConverseRequest(Wire, frozen=True):
    messages: list[Message] = []
    system: list[SystemBlock] = []
    inference_config: InferenceConfig = InferenceConfig()
    tool_config: ToolConfig | None = None
    guardrail_config: GuardrailConfig | None = None
    additional_model_request_fields: dict[str, Any] | None = None
    prompt_variables: dict[str, Any] | None = None
    additional_model_response_field_paths: Annotated[list[str], Meta(max_length=10)] | None = None
    request_metadata: dict[str, str] | None = None
    performance_config: PerformanceConfig | None = None
    service_tier: ServiceTier | None = None
    output_config: OutputConfig | None = None

    @property
    def tools(self) -> list[ToolSpec]:
        return [] if self.tool_config is None else [t.tool_spec for t in self.tool_config.tools if t.tool_spec]

    @property
    def forces_tool(self) -> bool:
        choice = self.tool_config.tool_choice if self.tool_config is not None else None
        return choice is not None and (choice.any is not None or choice.tool is not None)

    @property
    def writes_long_cache(self) -> bool:
        """Whether a cache point asks for an hour."""
        points = [block.cache_point for message in self.messages for block in message.content]
        points += [block.cache_point for block in self.system]
        points += [tool.cache_point for tool in self.tool_config.tools] if self.tool_config is not None else []
        return any(point is not None and point.ttl == "1h" for point in points)
