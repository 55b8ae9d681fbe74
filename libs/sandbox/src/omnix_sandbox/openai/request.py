"""OpenAI's chat completion request, checked as OpenAI checks it."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from omnix_sandbox import script
from omnix_sandbox.openai.errors import Refusal, unknown_parameter

_T = TypeVar("_T")


class ImageUrl(msgspec.Struct):
    url: str
    detail: Literal["auto", "low", "high", "original"] | None = None


class InputAudio(msgspec.Struct):
    data: bytes
    format: Literal["wav", "mp3"]


class File(msgspec.Struct):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class CacheBreakpoint(msgspec.Struct, forbid_unknown_fields=True):
    mode: Literal["explicit"]
    ttl: Literal["30m", "12h"] | None = None


class Part(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["text", "image_url", "input_audio", "file", "refusal"]
    text: str | None = None
    refusal: str | None = None
    image_url: ImageUrl | None = None
    input_audio: InputAudio | None = None
    file: File | None = None
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class FunctionCall(msgspec.Struct):
    name: str
    arguments: str


class MessageToolCall(msgspec.Struct):
    id: str
    type: Literal["function", "custom"] = "function"
    function: FunctionCall | None = None


class Message(msgspec.Struct, forbid_unknown_fields=True):
    role: Literal["developer", "system", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None
    name: str | None = None
    refusal: str | None = None
    audio: msgspec.Raw | None = None
    tool_calls: list[MessageToolCall] | None = None
    tool_call_id: str | None = None
    function_call: msgspec.Raw | None = None
    prefix: bool | None = None


class Function(msgspec.Struct):
    name: Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]{1,64}$")]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(msgspec.Struct):
    type: Literal["function", "custom"]
    function: Function | None = None


class NamedFunction(msgspec.Struct):
    name: str


class NamedTool(msgspec.Struct):
    type: Literal["function", "custom", "allowed_tools"]
    function: NamedFunction | None = None


class JsonSchema(msgspec.Struct):
    name: str
    schema: dict[str, Any] | None = None
    strict: bool | None = None
    description: str | None = None


class ResponseFormat(msgspec.Struct):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class StreamOptions(msgspec.Struct, forbid_unknown_fields=True):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


Penalty = Annotated[float, Meta(ge=-2, le=2)] | None


class ChatRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Every parameter of the vendor's, so that anything else is refused by name.

    The last two are not the vendor's, but of servers that speak its format.
    """

    model: str
    messages: Annotated[list[Message], Meta(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    stop: str | Annotated[list[str], Meta(max_length=4)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    frequency_penalty: Penalty = None
    presence_penalty: Penalty = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    seed: int | None = None
    tools: Annotated[list[Tool], Meta(max_length=128)] | UnsetType = UNSET
    tool_choice: Literal["none", "auto", "required"] | NamedTool | UnsetType = UNSET
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    service_tier: str | None = None
    user: str | None = None
    store: bool | None = None
    metadata: dict[str, str] | None = None
    modalities: list[Literal["text", "audio"]] | None = None
    audio: msgspec.Raw | None = None
    prediction: msgspec.Raw | None = None
    moderation: msgspec.Raw | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    web_search_options: msgspec.Raw | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: msgspec.Raw | None = None
    prompt_cache_retention: str | None = None
    functions: msgspec.Raw | None = None
    function_call: msgspec.Raw | None = None
    continue_final_message: bool | None = None
    add_generation_prompt: bool | None = None

    @property
    def audio_parts(self) -> int:
        """How many sounds are to be listened to."""
        return sum(
            part.type == "input_audio"
            for message in self.messages
            for part in (message.content if isinstance(message.content, list) else ())
        )

    @property
    def includes_usage(self) -> bool:
        return self.stream_options is not None and bool(self.stream_options.include_usage)

    @property
    def is_obfuscated(self) -> bool:
        return self.stream_options is None or self.stream_options.include_obfuscation is not False


_decoder = msgspec.json.Decoder(ChatRequest)
_PLACE = re.compile(r" - at `\$\.?(.*?)`$")
_FILE_DATA = re.compile(r"data:[a-z0-9.+-]+/[a-z0-9.+-]+;base64,")
_FIELD = re.compile(r"Object (?:contains unknown|missing required) field `(.*?)`")


def parse(body: bytes) -> ChatRequest:
    """Read a request's body.

    Raises:
        Refusal: it is not a request that OpenAI would take.
    """
    request = decode(_decoder, body)
    _check(request)
    return request


def decode(decoder: msgspec.json.Decoder[_T], body: bytes) -> _T:
    """Read a body, or refuse it in OpenAI's words.

    Raises:
        Refusal: it is no JSON, or not of the decoder's type.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as exc:
        raise _invalid(str(exc)) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise Refusal(
            400,
            "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP "
            f"library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON: {exc}.)",
        ) from exc


def _invalid(text: str) -> Refusal:
    """Name the parameter; the decoder tells the place in its message and nowhere else."""
    place = _PLACE.search(text)
    param = place[1] if place else ""
    if found := _FIELD.search(text):
        param = f"{param}.{found[1]}" if param else found[1]
        if "unknown" in found[0]:
            return unknown_parameter(param)
        return Refusal(400, f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
    reason = text[: place.start()] if place else text
    return Refusal(400, f"Invalid value for '{param}': {reason}.", param=param or None, code="invalid_value")


def _check(request: ChatRequest) -> None:
    if request.stream_options is not None and not request.stream:
        raise Refusal(
            400, "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
        )
    if request.max_tokens is not None and request.max_completion_tokens is not None:
        raise Refusal(
            400,
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            code="invalid_parameter_combination",
        )
    if request.tool_choice not in (UNSET, "none") and not request.tools:
        raise Refusal(400, "'tool_choice' is only allowed when 'tools' are specified.", param="tool_choice")
    if request.functions is not None or request.function_call is not None:
        raise Refusal(400, "Unsupported parameter: use 'tools'.", param="functions", code="unsupported_parameter")
    if request.top_logprobs is not None and not request.logprobs:
        raise Refusal(
            400, "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.", param="top_logprobs"
        )
    if request.modalities is not None and "audio" in request.modalities:
        raise Refusal(400, "This model does not answer with audio.", param="modalities", code="unsupported_value")
    _check_messages(request)


def _check_messages(request: ChatRequest) -> None:
    asked: set[str] = set()
    for at, message in enumerate(request.messages):
        if isinstance(message.content, list):
            for number, part in enumerate(message.content):
                _check_part(part, f"messages[{at}].content[{number}]", message.role)
        if message.tool_calls:
            asked.update(call.id for call in message.tool_calls)
        elif message.role == "tool" and message.tool_call_id not in asked:
            raise Refusal(
                400,
                "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
                "'tool_calls'.",
                param=f"messages.[{at}].role",
            )
        elif message.content is None and message.role not in ("assistant", "function"):
            raise Refusal(
                400,
                "Invalid value for 'content': expected a string, got null.",
                param=f"messages.[{at}].content",
            )
    wanted = request.response_format
    if (
        wanted is not None
        and wanted.type == "json_object"
        and not any("json" in text_of(message).lower() for message in request.messages)
    ):
        raise Refusal(
            400,
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
            param="messages",
        )
    if wanted is not None and wanted.type == "json_schema" and wanted.json_schema is None:
        raise Refusal(
            400,
            "Missing required parameter: 'response_format.json_schema'.",
            param="response_format.json_schema",
            code="missing_required_parameter",
        )


def _check_part(part: Part, place: str, role: str) -> None:
    if getattr(part, part.type) is None:
        raise Refusal(
            400,
            f"Missing required parameter: '{place}.{part.type}'.",
            param=f"{place}.{part.type}",
            code="missing_required_parameter",
        )
    if part.type not in ("text", "refusal") and role != "user":
        raise Refusal(
            400,
            f"Invalid value: '{part.type}'. Supported values are: 'text'.",
            param=f"{place}.type",
            code="invalid_value",
        )
    if part.image_url is not None and not part.image_url.url.startswith(("data:image/", "http://", "https://")):
        raise Refusal(
            400,
            f"Invalid '{place}.image_url'. Expected a base64-encoded data URL with an image MIME type or a valid URL.",
            param=f"{place}.image_url",
            code="invalid_image_url",
        )
    if part.file is not None and part.file.file_id is None:
        data = part.file.file_data
        if data is None or part.file.filename is None or not _FILE_DATA.match(data):
            raise Refusal(
                400,
                f"Invalid '{place}.file'. Expected a file_id, or a filename and a base64-encoded data URL with a MIME "
                "type (e.g. 'data:application/pdf;base64,...').",
                param=f"{place}.file.file_data",
                code="invalid_value",
            )


def text_of(message: Message) -> str:
    """A message's text parts, joined."""
    match message.content:
        case str(text):
            return text
        case list(parts):
            return "".join(part.text or part.refusal or "" for part in parts)
        case None:
            return ""


def prompt_of(request: ChatRequest | Mapping[str, Any]) -> script.Prompt:
    """The request in the script's words; a test may give the body it sends."""
    if isinstance(request, Mapping):
        request = parse(msgspec.json.encode(request))
    return script.Prompt(
        messages=tuple(_message(message) for message in request.messages),
        model=request.model,
        max_tokens=request.max_completion_tokens or request.max_tokens,
        stop=(request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ()),
        choices=request.n or 1,
        tools=_tools(request),
        may_call=request.tool_choice != "none",
        must_call=_must_call(request),
        parallel_calls=request.parallel_tool_calls is not False,
        schema=_schema(request.response_format),
    )


def _message(message: Message) -> script.Message:
    attachments = 0
    if isinstance(message.content, list):
        attachments = sum(part.type in ("image_url", "input_audio", "file") for part in message.content)
    calls = tuple(
        script.ToolCall(call.function.name, call.function.arguments)
        for call in message.tool_calls or ()
        if call.function is not None
    )
    return script.Message(message.role, text_of(message) + (message.refusal or ""), attachments, calls)


def _tools(request: ChatRequest) -> tuple[script.Tool, ...]:
    if not request.tools:
        return ()
    return tuple(
        script.Tool(tool.function.name, tool.function.description or "", tool.function.parameters)
        for tool in request.tools
        if tool.function is not None
    )


def _must_call(request: ChatRequest) -> str | None:
    match request.tool_choice:
        case "required":
            return ""
        case NamedTool(function=NamedFunction(name=name)):
            return name
        case _:
            return None


def _schema(wanted: ResponseFormat | None) -> Mapping[str, Any] | None:
    if wanted is None or wanted.type == "text":
        return None
    return (wanted.json_schema.schema or {}) if wanted.json_schema is not None else {}
