"""Messages and their parts in the format's words."""

from base64 import b64encode
from collections.abc import Sequence
from typing import Any, assert_never

from omnix_provider.chatcompletions.dialect import Dialect
from omnix_provider.chatcompletions.errors import unsupported
from omnix_provider.errors import UnsupportedParameter
from omnix_provider.types import Audio, CacheBreakpoint, File, Image, Message, Part, Role, Text, ToolCall

Body = dict[str, Any]


def message_body(message: Message, where: str, dialect: Dialect, *, instructions: str) -> Body:
    """:param instructions: the role as which the operator's instructions are sent."""
    body: Body = {"role": _role(message.role, dialect, instructions)}
    refusal = message.refusal if dialect.refusals else ""
    parts = message.parts if refusal or not message.refusal else (*message.parts, Text(message.refusal))
    if parts:
        if message.role is not Role.USER:
            _check_media(message, where, dialect)
        body["content"] = _content(parts, where, dialect)
    elif not message.tool_calls and not refusal:
        body["content"] = ""
    if message.name:
        body["name"] = message.name
    if message.tool_calls:
        body["tool_calls"] = [_tool_call(call) for call in message.tool_calls]
    if message.tool_call_id:
        body["tool_call_id"] = message.tool_call_id
    if refusal:
        body["refusal"] = refusal
    if dialect.reasoning_field is not None:
        # What is signed or sealed is another vendor's, and theirs alone to read: the format has neither.
        reasoning = "".join(part.text for part in message.reasoning if not (part.signature or part.redacted))
        if reasoning:
            body[dialect.reasoning_field] = reasoning
    return body


def _role(role: Role, dialect: Dialect, instructions: str) -> str:
    match role:
        case Role.SYSTEM:
            return instructions
        case Role.DEVELOPER:
            return "developer" if dialect.developer_role else "system"
        case Role.USER:
            return "user"
        case Role.ASSISTANT:
            return "assistant"
        case Role.TOOL:
            return "tool"
        case _:
            assert_never(role)


def _check_media(message: Message, where: str, dialect: Dialect) -> None:
    """What is not text belongs into a user's message; some servers take a tool's images too."""
    for part in message.parts:
        if isinstance(part, Text) or (message.role is Role.TOOL and isinstance(part, Image) and dialect.media_of_tools):
            continue
        raise UnsupportedParameter(
            f"This provider takes only text in a message of the {message.role.value}.", param=f"{where}.content"
        )


def _content(parts: Sequence[Part], where: str, dialect: Dialect) -> str | list[Body]:
    if len(parts) == 1 and isinstance(parts[0], Text) and (parts[0].cache is None or not dialect.cache_lifetimes):
        return parts[0].text  # some servers know nothing but a string
    return [_part(part, f"{where}.content.{i}", dialect) for i, part in enumerate(parts)]


def _part(part: Part, where: str, dialect: Dialect) -> Body:
    body = _piece(part, where, dialect)
    if part.cache is not None and dialect.cache_lifetimes:
        body["prompt_cache_breakpoint"] = _breakpoint(part.cache, where, dialect)
    return body


def _breakpoint(cache: CacheBreakpoint, where: str, dialect: Dialect) -> Body:
    body: Body = {"mode": "explicit"}
    if cache.ttl is not None:
        # The format says how long at least, so the next longer one honours what was asked.
        word = next((word for lifetime, word in dialect.cache_lifetimes if cache.ttl <= lifetime), None)
        if word is None:
            raise unsupported(f"{where}.prompt_cache_breakpoint.ttl")
        body["ttl"] = word
    return body


def _piece(part: Part, where: str, dialect: Dialect) -> Body:
    match part:
        case Text():
            return {"type": "text", "text": part.text}
        case Image():
            if "image" not in dialect.media:
                raise unsupported(where)
            url = _data_url(part.media_type or "image/png", part.data) if part.data is not None else part.url
            image: Body = {"url": url}
            if part.detail:
                image["detail"] = part.detail
            return {"type": "image_url", "image_url": image}
        case Audio():
            if "audio" not in dialect.media:
                raise unsupported(where)
            if dialect.audio_formats is not None and part.format not in dialect.audio_formats:
                raise unsupported(f"{where}.input_audio.format")
            return {"type": "input_audio", "input_audio": {"data": _base64(part.data), "format": part.format}}
        case File():
            return {"type": "file", "file": _file(part, where, dialect)}
        case _:
            assert_never(part)


def _file(part: File, where: str, dialect: Dialect) -> Body:
    if "file" not in dialect.media or part.media_type.startswith("video/"):
        raise unsupported(where)
    if part.file_id is not None:
        return {"file_id": part.file_id}
    if part.data is None:
        raise UnsupportedParameter("A file cannot be given by its address here.", param=where)
    media_type = part.media_type or "application/octet-stream"
    # OpenAI demands a name with the bytes, and its ending tells the kind.
    named = part.filename or ("file.pdf" if media_type == "application/pdf" else "file")
    return {"file_data": _data_url(media_type, part.data), "filename": named}


def _tool_call(call: ToolCall) -> Body:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments_json}}


def _data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{_base64(data)}"


def _base64(data: bytes) -> str:
    return b64encode(data).decode("ascii")
