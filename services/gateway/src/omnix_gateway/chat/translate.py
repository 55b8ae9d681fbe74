"""What of a request cannot be honoured, and what its values mean. Pure."""

import binascii
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from types import MappingProxyType
from typing import Final

import msgspec
from omnix_kit.errors import CallerError, Reason

from omnix_gateway.chat.schema import (
    AllowedToolsChoice,
    AssistantMessage,
    AudioPart,
    Cacheable,
    ChatRequest,
    CustomCallItem,
    CustomChoice,
    CustomTool,
    FilePart,
    FunctionCallItem,
    FunctionMessage,
    ImagePart,
    ImageUrl,
    ToolMessage,
    UserMessage,
    VideoPart,
    VideoUrl,
)
from omnix_gateway.errors import invalid, unsupported
from omnix_gateway.preferences.translate import models, refuse_contradictions

VENDOR_PARAMETERS: Final = (
    "logit_bias",
    "prediction",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "service_tier",
    "store",
    "verbosity",
)
"""Passed on as JSON text; an adapter refuses by name those that its vendor does not know."""

_ONLY_ON_REQUEST: Final[Mapping[str, str]] = MappingProxyType(
    {
        "audio": "Audio output is not carried yet.",
        "function_call": "Use 'tool_choice', which replaced it.",
        "functions": "Use 'tools', which replaced it.",
        "moderation": "Moderation results are not carried yet.",
        "web_search_options": "The citations that such answers need are not carried yet.",
    }
)

_not_carried = attrgetter(*_ONLY_ON_REQUEST)
_NONE_NOT_CARRIED: Final = (None,) * len(_ONLY_ON_REQUEST)
_for_vendors = attrgetter(*VENDOR_PARAMETERS)
_NONE_FOR_VENDORS: Final = (None,) * len(VENDOR_PARAMETERS)

_TTL_SECONDS: Final[Mapping[str, int]] = MappingProxyType({"5m": 300, "30m": 1800, "1h": 3600, "12h": 43200})
_METADATA_PAIRS, _METADATA_KEY, _METADATA_VALUE = 16, 64, 512
_NOTHING = (b"", b"null")


def refuse_what_is_not_honoured(request: ChatRequest) -> None:
    """Name the first parameter that OmniX understands and cannot honour, and the first that contradicts another."""
    asked = models(request.model, request.models)
    if request.provider is not None:
        refuse_contradictions(request.provider, asked)
    if _not_carried(request) != _NONE_NOT_CARRIED:
        for name, because in _ONLY_ON_REQUEST.items():
            if is_given(getattr(request, name)):
                raise unsupported(name, because)
    if request.top_logprobs is not None and not request.logprobs:
        raise invalid("'top_logprobs' is only allowed when 'logprobs' is true.", "top_logprobs")
    if request.modalities is not None and "audio" in request.modalities:
        raise unsupported("modalities", "Audio output is not carried yet; only ['text'] is.")
    if request.stream_options is not None:
        if not request.stream:
            raise invalid("'stream_options' is only allowed when 'stream' is true.", "stream_options")
        if request.stream_options.include_obfuscation:
            raise unsupported("stream_options.include_obfuscation", "OmniX adds no obfuscation.")
    if request.tools is not None:
        for index, tool in enumerate(request.tools):
            if isinstance(tool, CustomTool):
                raise unsupported(f"tools.{index}.type", "Custom tools are not carried yet; functions are.")
    if isinstance(request.tool_choice, CustomChoice | AllowedToolsChoice):
        raise unsupported("tool_choice.type", "Only 'none', 'auto', 'required' and a named function are carried.")
    if request.tool_choice is not None and request.tool_choice != "none" and not request.tools:
        raise invalid("'tool_choice' is only allowed when 'tools' are given.", "tool_choice")
    if request.metadata is not None:
        check_metadata(request.metadata)
    for index, message in enumerate(request.messages):
        if isinstance(message, AssistantMessage):
            _check_assistant(message, f"messages.{index}")
        elif isinstance(message, FunctionMessage):
            raise unsupported(f"messages.{index}.role", "Use 'tool' with 'tool_call_id' in place of 'function'.")


def _check_assistant(message: AssistantMessage, at: str) -> None:
    if is_given(message.audio):
        raise unsupported(f"{at}.audio", "Audio output is not carried yet.")
    if is_given(message.function_call):
        raise unsupported(f"{at}.function_call", "Use 'tool_calls', which replaced it.")
    if message.annotations:
        raise unsupported(f"{at}.annotations", "Annotations are not carried yet.")
    for index, call in enumerate(message.tool_calls or ()):
        if isinstance(call, CustomCallItem):
            raise unsupported(f"{at}.tool_calls.{index}.type", "Custom tools are not carried yet; functions are.")
    if message.content is None and not message.tool_calls and message.refusal is None:
        raise invalid("An assistant's message needs 'content', 'tool_calls' or 'refusal'.", f"{at}.content")


def check_metadata(metadata: Mapping[str, str]) -> None:
    if len(metadata) > _METADATA_PAIRS:
        raise invalid(f"'metadata' may have at most {_METADATA_PAIRS} pairs.", "metadata")
    for key, value in metadata.items():
        if not 0 < len(key) <= _METADATA_KEY:
            raise invalid(f"Keys of 'metadata' must have 1 to {_METADATA_KEY} characters.", "metadata")
        if len(value) > _METADATA_VALUE:
            raise invalid(f"Values of 'metadata' may have at most {_METADATA_VALUE} characters.", f"metadata.{key}")


def is_given(value: object) -> bool:
    """Whether a field was sent with something other than null."""
    return value is not None and not (isinstance(value, msgspec.Raw) and bytes(value) in _NOTHING)


def raw_text(value: msgspec.Raw, param: str) -> str:
    """The JSON text of a field that is passed on unread."""
    try:
        return bytes(value).decode()
    except UnicodeDecodeError:
        raise invalid("The text is not valid UTF-8.", param) from None


def vendor_parameters(request: ChatRequest) -> dict[str, str]:
    """Parameters for vendors that know them: wire name to JSON text."""
    given: dict[str, str] = {}
    # Hardly any request has one, and asking for all of them together costs a tenth.
    values = _for_vendors(request)
    for name, value in () if values == _NONE_FOR_VENDORS else zip(VENDOR_PARAMETERS, values, strict=True):
        if is_given(value):
            given[name] = (
                raw_text(value, name) if isinstance(value, msgspec.Raw) else msgspec.json.encode(value).decode()
            )
    if request.user is not None and request.safety_identifier not in (None, request.user):
        given["user"] = msgspec.json.encode(request.user).decode()
    return given


def max_output_tokens(request: ChatRequest) -> int | None:
    """The limit under either of its names."""
    if request.max_completion_tokens is None:
        return request.max_tokens
    if request.max_tokens not in (None, request.max_completion_tokens):
        raise invalid("'max_tokens' and 'max_completion_tokens' are given and differ.", "max_tokens")
    return request.max_completion_tokens


@dataclass(frozen=True, slots=True)
class Cache:
    """A wish that the prompt be cached up to here; ``seconds`` is None for the vendor's default time."""

    seconds: int | None


def cache(asked: Cacheable, at: str) -> Cache | None:
    """The wish in either form."""
    theirs, control = asked.prompt_cache_breakpoint, asked.cache_control
    if theirs is not None and control is not None:
        raise invalid("Give 'prompt_cache_breakpoint' or 'cache_control', not both.", f"{at}.cache_control")
    wish = theirs if theirs is not None else control
    return None if wish is None else Cache(None if wish.ttl is None else _TTL_SECONDS[wish.ttl])


@dataclass(frozen=True, slots=True)
class Inline:
    """Bytes that came inside the request."""

    data: bytes
    media_type: str


def signature(call: FunctionCallItem, at: str) -> tuple[str, str]:
    """The vendor's proof of a call, and the name of the field that has it."""
    if call.signature is None and call.extra_content is not None and call.extra_content.google is not None:
        return call.extra_content.google.thought_signature or "", f"{at}.extra_content.google.thought_signature"
    return call.signature or "", f"{at}.signature"


def inline(url: str, param: str) -> Inline | None:
    """Read a data URL; None for any other."""
    if url[:5].lower() != "data:":
        return None
    head, comma, payload = url[5:].partition(",")
    media_type, _, parameters = head.partition(";")
    if not comma or parameters.rpartition(";")[2].strip().lower() != "base64":
        raise invalid("A data URL must have the form 'data:<media type>;base64,<data>'.", param)
    return Inline(base64_bytes(payload, param), media_type.strip().lower())


def base64_bytes(text: str, param: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise invalid("The data is not valid base64.", param) from None


def refuse_too_much_json(request: ChatRequest, size: int, limit: int) -> None:
    """Refuse a body that is too large for another reason than the media inside."""
    if size > limit and size - _inline_size(request) > limit:
        raise CallerError(
            f"The body without its inline media is larger than {limit} bytes.", reason=Reason.PAYLOAD_TOO_LARGE
        )


def _inline_size(request: ChatRequest) -> int:
    size = 0
    for message in request.messages:
        if not isinstance(message, UserMessage | ToolMessage) or isinstance(message.content, str):
            continue
        for part in message.content:
            match part:
                case ImagePart(image_url=ImageUrl(url=url)) | VideoPart(video_url=VideoUrl(url=url)):
                    size += len(url) if url[:5].lower() == "data:" else 0
                case AudioPart(input_audio=audio):
                    size += len(audio.data)
                case FilePart(file=file):
                    size += len(file.file_data or "")
                case _:
                    pass
    return size
