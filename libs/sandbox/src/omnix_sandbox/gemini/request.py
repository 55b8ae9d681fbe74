"""The messages of `generateContent` and its like, by https://ai.google.dev/api/generate-content (2026-11)."""

from typing import Any, Final, Literal

import msgspec

from omnix_sandbox.gemini.wire import Base64, Message


class Blob(Message):
    mime_type: str = ""
    data: Base64 = ""
    display_name: str = ""


class FileData(Message):
    mime_type: str = ""
    file_uri: str = ""
    display_name: str = ""


class FunctionCall(Message):
    id: str = ""
    name: str = ""
    args: dict[str, Any] | None = None


class FunctionResponsePart(Message):
    inline_data: Blob | None = None
    file_data: FileData | None = None
    media_resolution: Any = None


class FunctionResponse(Message):
    id: str = ""
    name: str = ""
    response: dict[str, Any] | None = None
    parts: tuple[FunctionResponsePart, ...] = ()
    will_continue: bool = False
    scheduling: str = ""


class Part(Message):
    """One part; exactly one of its data fields is set."""

    text: str | None = None
    inline_data: Blob | None = None
    file_data: FileData | None = None
    function_call: FunctionCall | None = None
    function_response: FunctionResponse | None = None
    executable_code: dict[str, Any] | None = None
    code_execution_result: dict[str, Any] | None = None
    tool_call: dict[str, Any] | None = None
    tool_response: dict[str, Any] | None = None
    thought: bool = False
    thought_signature: Base64 | None = None
    video_metadata: Any = None
    part_metadata: Any = None
    media_resolution: Any = None

    def data(self) -> list[str]:
        """The names of the data fields that are set."""
        return [name for name in DATA if getattr(self, name) is not None]


DATA: Final = (
    "text",
    "inline_data",
    "file_data",
    "function_call",
    "function_response",
    "executable_code",
    "code_execution_result",
    "tool_call",
    "tool_response",
)


class Content(Message):
    role: str = ""
    parts: tuple[Part, ...] = ()


class Schema(Message):
    """OpenAPI 3.0's schema as far as Google goes along; the last four are Vertex AI's alone."""

    type: Literal["TYPE_UNSPECIFIED", "STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"] | None = None
    format: str | None = None
    title: str | None = None
    description: str | None = None
    nullable: bool | None = None
    enum: list[str] | None = None
    max_items: int | None = None
    min_items: int | None = None
    properties: dict[str, "Schema"] | None = None
    required: list[str] | None = None
    min_properties: int | None = None
    max_properties: int | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    example: Any = None
    any_of: list["Schema"] | None = None
    property_ordering: list[str] | None = None
    default: Any = None
    items: "Schema | None" = None
    minimum: float | None = None
    maximum: float | None = None
    additional_properties: Any = None
    ref: str | None = None
    defs: dict[str, "Schema"] | None = None
    prefix_items: list["Schema"] | None = None


VERTEX_ONLY: Final = frozenset({"additional_properties", "ref", "defs", "prefix_items", "model_armor_config"})
"""Names that the Gemini API does not know."""


class FunctionDeclaration(Message):
    name: str = ""
    description: str = ""
    behavior: str = ""
    parameters: Schema | None = None
    parameters_json_schema: dict[str, Any] | None = None
    response: Schema | None = None
    response_json_schema: Any = None


class Tool(Message):
    function_declarations: tuple[FunctionDeclaration, ...] = ()
    google_search: Any = None
    google_search_retrieval: Any = None
    code_execution: Any = None
    url_context: Any = None
    computer_use: Any = None
    file_search: Any = None
    google_maps: Any = None
    mcp_servers: Any = None
    retrieval: Any = None
    enterprise_web_search: Any = None


class FunctionCallingConfig(Message):
    mode: Literal["MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"] = "AUTO"
    allowed_function_names: tuple[str, ...] = ()
    stream_function_call_arguments: bool = False


class ToolConfig(Message):
    function_calling_config: FunctionCallingConfig | None = None
    retrieval_config: Any = None
    include_server_side_tool_invocations: bool = False


class ThinkingConfig(Message):
    include_thoughts: bool = False
    thinking_budget: int | None = None
    thinking_level: Literal["THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"] | None = None


class GenerationConfig(Message):
    stop_sequences: tuple[str, ...] = ()
    response_mime_type: str = ""
    response_schema: Schema | None = None
    response_json_schema: dict[str, Any] | None = None
    response_modalities: tuple[Literal["MODALITY_UNSPECIFIED", "TEXT", "IMAGE", "AUDIO"], ...] = ()
    candidate_count: int | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    response_logprobs: bool = False
    logprobs: int | None = None
    thinking_config: ThinkingConfig | None = None
    media_resolution: str | None = None
    speech_config: Any = None
    image_config: Any = None
    audio_timestamp: bool = False
    enable_enhanced_civic_answers: bool = False
    routing_config: Any = None
    model_config: Any = None


class SafetySetting(Message):
    category: str = ""
    threshold: Literal[
        "HARM_BLOCK_THRESHOLD_UNSPECIFIED",
        "BLOCK_LOW_AND_ABOVE",
        "BLOCK_MEDIUM_AND_ABOVE",
        "BLOCK_ONLY_HIGH",
        "BLOCK_NONE",
        "OFF",
    ] = "HARM_BLOCK_THRESHOLD_UNSPECIFIED"
    method: str = ""


class GenerateContentRequest(Message):
    model: str = ""
    contents: tuple[Content, ...] = ()
    system_instruction: Content | None = None
    tools: tuple[Tool, ...] = ()
    tool_config: ToolConfig | None = None
    safety_settings: tuple[SafetySetting, ...] = ()
    generation_config: GenerationConfig = msgspec.field(default_factory=GenerationConfig)
    cached_content: str = ""
    labels: dict[str, str] | None = None
    service_tier: str = ""
    store: bool = False
    continuation_token: Base64 | None = None
    model_armor_config: Any = None

    @property
    def declarations(self) -> list[FunctionDeclaration]:
        return [declaration for tool in self.tools for declaration in tool.function_declarations]

    @property
    def calling(self) -> FunctionCallingConfig:
        config = self.tool_config.function_calling_config if self.tool_config is not None else None
        return config or FunctionCallingConfig()

    @property
    def thinking(self) -> ThinkingConfig:
        return self.generation_config.thinking_config or ThinkingConfig()


class CountTokensRequest(Message):
    """Counts `contents`, or a whole request; Vertex AI has the request's parts beside the contents."""

    contents: tuple[Content, ...] = ()
    generate_content_request: GenerateContentRequest | None = None
    system_instruction: Content | None = None
    tools: tuple[Tool, ...] = ()
    generation_config: GenerationConfig | None = None
    model: str = ""
