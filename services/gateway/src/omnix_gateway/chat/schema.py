"""The request of ``POST /v1/chat/completions``: OpenAI's whole current one, and OmniX's few fields.

Unknown fields are refused by name. What is here and not honoured is refused by ``translate``, so nothing is dropped in
silence. Schemas inside (tool parameters, JSON schemas) stay raw JSON text.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw

Text = Annotated[str, Meta(min_length=1)]
Name = Annotated[str, Meta(min_length=1, max_length=256)]
_INT32 = 2**31 - 1


class Wire(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A JSON object that refuses what it does not know."""


class CacheBreakpoint(Wire):
    """Ask the vendor to cache the prompt up to and including this, in OpenAI's words."""

    mode: Literal["explicit"]
    ttl: Literal["30m", "12h"] | None = None


class CacheControl(Wire):
    """The same in Anthropic's words."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


class Cacheable(Wire):
    """What may end a part of the prompt that is cached."""

    prompt_cache_breakpoint: CacheBreakpoint | None = None
    cache_control: CacheControl | None = None


class TextPart(Cacheable, tag_field="type", tag="text", kw_only=True):
    text: str


class ImageUrl(Wire):
    """`url` is a data URL, or a public http(s) address, which the gateway fetches."""

    url: str
    detail: Literal["auto", "low", "high", "original"] | None = None


class ImagePart(Cacheable, tag_field="type", tag="image_url", kw_only=True):
    image_url: ImageUrl


class VideoUrl(Wire):
    """`url` is a data URL, or a public http(s) address, which the gateway fetches."""

    url: str


class VideoPart(Cacheable, tag_field="type", tag="video_url", kw_only=True):
    video_url: VideoUrl


class InputAudio(Wire):
    """`data` is base64."""

    data: str
    format: Literal["wav", "mp3"]


class AudioPart(Cacheable, tag_field="type", tag="input_audio", kw_only=True):
    input_audio: InputAudio


class FileSource(Wire):
    """One of `file_data` (a data URL or base64), `file_id` and OmniX's `file_url` (a public http(s) address)."""

    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None
    file_url: str | None = None


class FilePart(Cacheable, tag_field="type", tag="file", kw_only=True):
    file: FileSource


class RefusalPart(Wire, tag_field="type", tag="refusal"):
    refusal: str


class CalledFunction(Wire):
    """`parsed_arguments` is what OpenAI's SDK keeps of a stream, and means nothing here."""

    name: Name
    arguments: str
    parsed_arguments: Raw = msgspec.field(default_factory=Raw)


class GoogleExtra(msgspec.Struct):
    thought_signature: str | None = None


class ExtraContent(msgspec.Struct):
    """What Google's own OpenAI-compatible endpoint adds; its clients hand it back."""

    google: GoogleExtra | None = None


class FunctionCallItem(Wire, tag_field="type", tag="function"):
    """`signature` is the vendor's proof from the answer (base64), handed back unchanged.

    `index` is what OpenAI's SDK keeps of a stream, and means nothing here.
    """

    id: Text
    function: CalledFunction
    signature: str | None = None
    extra_content: ExtraContent | None = None
    index: int | None = None


class CalledCustom(Wire):
    name: Name
    input: str


class CustomCallItem(Wire, tag_field="type", tag="custom"):
    id: Text
    custom: CalledCustom


class ReasoningDetail(Wire):
    """A piece of reasoning from an answer, handed back unchanged; `signature` and `redacted` are base64."""

    text: str = ""
    signature: str | None = None
    redacted: str | None = None
    provider: str = ""
    index: int | None = None


class SystemMessage(Wire, tag_field="role", tag="system"):
    content: str | list[TextPart]
    name: Name | None = None


class DeveloperMessage(Wire, tag_field="role", tag="developer"):
    content: str | list[TextPart]
    name: Name | None = None


class UserMessage(Wire, tag_field="role", tag="user"):
    content: str | list[TextPart | ImagePart | AudioPart | VideoPart | FilePart]
    name: Name | None = None


class AssistantMessage(Wire, tag_field="role", tag="assistant"):
    """`parsed` is what OpenAI's SDK keeps of a stream, and means nothing here."""

    content: str | list[TextPart | RefusalPart] | None = None
    name: Name | None = None
    refusal: str | None = None
    tool_calls: list[FunctionCallItem | CustomCallItem] | None = None
    audio: Raw = msgspec.field(default_factory=Raw)
    function_call: Raw = msgspec.field(default_factory=Raw)
    annotations: list[Raw] | None = None
    parsed: Raw = msgspec.field(default_factory=Raw)
    reasoning_content: str | None = None
    reasoning_details: list[ReasoningDetail] | None = None


class ToolMessage(Wire, tag_field="role", tag="tool"):
    """OpenAI's has text alone; images and files are OmniX's, and so is `is_error`: the tool failed."""

    content: str | list[TextPart | ImagePart | FilePart]
    tool_call_id: Text
    is_error: bool | None = None


class FunctionMessage(Wire, tag_field="role", tag="function"):
    name: str
    content: str | None = None


Message = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage


class FunctionDefinition(Wire):
    """`parameters` is a JSON Schema."""

    name: Name
    description: str | None = None
    parameters: Raw = msgspec.field(default_factory=Raw)
    strict: bool | None = None


class FunctionTool(Cacheable, tag_field="type", tag="function", kw_only=True):
    function: FunctionDefinition


class CustomTool(Wire, tag_field="type", tag="custom"):
    custom: Raw


class NamedFunction(Wire):
    name: Name


class FunctionChoice(Wire, tag_field="type", tag="function"):
    function: NamedFunction


class CustomChoice(Wire, tag_field="type", tag="custom"):
    custom: Raw


class AllowedToolsChoice(Wire, tag_field="type", tag="allowed_tools"):
    allowed_tools: Raw


class TextFormat(Wire, tag_field="type", tag="text"):
    pass


class JsonObjectFormat(Wire, tag_field="type", tag="json_object"):
    pass


class JsonSchema(Wire):
    name: Name
    description: str | None = None
    schema: Raw = msgspec.field(default_factory=Raw)
    strict: bool | None = None


class JsonSchemaFormat(Wire, tag_field="type", tag="json_schema"):
    json_schema: JsonSchema


class StreamOptions(Wire):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ReasoningOptions(Wire):
    """How much the model reasons: at most `budget_tokens`; `include` asks to see it."""

    budget_tokens: Annotated[int, Meta(ge=1, le=_INT32)] | None = None
    include: bool | None = None


Names = Annotated[list[Name], Meta(min_length=1, max_length=50)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]


class ProviderPreferences(Wire):
    """Which providers may answer and which come first, in OpenRouter's words.

    `order` are tried first, `only` are the only ones allowed, `ignore` are not. With `allow_fallbacks` false only those
    of `order` are called, or else the first choice.
    """

    order: Names | None = None
    only: Names | None = None
    ignore: Names | None = None
    sort: Literal["price", "latency"] | None = None
    allow_fallbacks: bool | None = None


Namespace = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:-]{1,128}$")]


class CacheWish(Wire):
    """The directives of the header `x-omnix-cache`, in LiteLLM's words; times are in seconds.

    `ttl` keeps the answer for so long; `max-age` (or `s-maxage`) takes none that is older. `no-cache` takes none at
    all, `no-store` keeps none, `join` shares the answer of an identical request that is under way, `namespace` keeps
    answers apart.
    """

    ttl: Annotated[int, Meta(ge=1, le=_INT32)] | None = None
    max_age: Annotated[int, Meta(ge=0, le=_INT32)] | None = msgspec.field(default=None, name="max-age")
    s_maxage: Annotated[int, Meta(ge=0, le=_INT32)] | None = msgspec.field(default=None, name="s-maxage")
    no_cache: bool | None = msgspec.field(default=None, name="no-cache")
    no_store: bool | None = msgspec.field(default=None, name="no-store")
    join: bool | None = None
    namespace: Namespace | None = None


Penalty = Annotated[float, Meta(ge=-2, le=2)]
Count = Annotated[int, Meta(ge=1, le=_INT32)]


class ChatRequest(Wire, kw_only=True):
    """What is asked of a model: `model`, or the first of `models`; the others are its fallbacks, in order.

    `timeout` is in seconds, until the answer or a stream's first content.
    """

    model: Name = ""
    messages: Annotated[list[Message], Meta(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_completion_tokens: Count | None = None
    max_tokens: Count | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: Text | Annotated[list[Text], Meta(max_length=16)] | None = None
    tools: Annotated[list[FunctionTool | CustomTool], Meta(max_length=1024)] | None = None
    tool_choice: Literal["none", "auto", "required"] | FunctionChoice | CustomChoice | AllowedToolsChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: TextFormat | JsonObjectFormat | JsonSchemaFormat | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    metadata: dict[str, str] | None = None
    user: str | None = None
    safety_identifier: str | None = None

    # Handed to vendors that know them; see translate.VENDOR_PARAMETERS.
    logit_bias: dict[str, Annotated[int, Meta(ge=-100, le=100)]] | None = None
    prediction: Raw = msgspec.field(default_factory=Raw)
    prompt_cache_key: str | None = None
    prompt_cache_options: Raw = msgspec.field(default_factory=Raw)
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast"] | None = None
    store: bool | None = None
    verbosity: Literal["low", "medium", "high"] | None = None

    # Known and refused by name, unless they ask for nothing.
    audio: Raw = msgspec.field(default_factory=Raw)
    function_call: Raw = msgspec.field(default_factory=Raw)
    functions: Raw = msgspec.field(default_factory=Raw)
    modalities: list[Literal["text", "audio"]] | None = None
    moderation: Raw = msgspec.field(default_factory=Raw)
    web_search_options: Raw = msgspec.field(default_factory=Raw)

    # OpenRouter's.
    models: Annotated[list[Name], Meta(min_length=1, max_length=10)] | None = None
    provider: ProviderPreferences | None = None

    # OmniX's own.
    timeout: Seconds | None = None
    cache: CacheWish | bool | None = None
    mode: Literal["flash", "think", "ultra-think"] | None = None
    reasoning: ReasoningOptions | None = None
    top_k: Count | None = None
