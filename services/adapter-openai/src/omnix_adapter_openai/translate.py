"""Between OmniX's words and OpenAI's: pure functions, with a table of cases each beside them in the tests.

What OpenAI's format cannot say is refused by name. Three fields are honoured without a word on the wire: a cache
breakpoint, because OpenAI's format caches prefixes by itself; that a tool failed, because the message's parts tell it;
and the wish to see reasoning, which is for "where the vendor shows it".
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, assert_never

import msgspec
from omnix_provider.errors import InvalidRequest, UnsupportedParameter
from omnix_provider.types import (
    Attempt,
    Audio,
    Batch,
    Choice,
    Chunk,
    Completion,
    CompletionRequest,
    Effort,
    File,
    FinishReason,
    FormatKind,
    Head,
    Image,
    Message,
    Part,
    Reasoned,
    ResponseFormat,
    Role,
    Text,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolChoice,
    ToolMode,
    Usage,
)

from omnix_adapter_openai import wire
from omnix_adapter_openai.dialect import Dialect

_FINISH_REASONS: Mapping[str, FinishReason] = MappingProxyType(
    {
        "stop": FinishReason.STOP,
        "length": FinishReason.LENGTH,
        "tool_calls": FinishReason.TOOL_CALLS,
        "function_call": FinishReason.TOOL_CALLS,
        "content_filter": FinishReason.CONTENT_FILTER,
    }
)

_encode = msgspec.json.Encoder().encode
_decode_answer = msgspec.json.Decoder(wire.Answer).decode
_decode_event = msgspec.json.Decoder(wire.Event).decode

Body = dict[str, Any]


class InBandError(Exception):
    """The vendor told of an error inside a stream that had begun well."""

    def __init__(self, error: wire.Error) -> None:
        super().__init__(error.message)
        self.error = error


Unreadable = msgspec.DecodeError | RecursionError


def request_body(request: CompletionRequest, attempt: Attempt, dialect: Dialect, *, stream: bool) -> bytes:
    """The JSON body.

    :raises UnsupportedParameter: naming what this format or this server cannot honour.
    :raises InvalidRequest: when JSON text in the request is none.
    """
    body: Body = {
        "model": attempt.model,
        "messages": [_message(message, f"messages.{i}", dialect) for i, message in enumerate(request.messages)],
    }
    if stream:
        body["stream"] = True
        if dialect.stream_usage:
            body["stream_options"] = {"include_usage": True}
    if request.tools:
        body["tools"] = [_tool(tool, f"tools.{i}") for i, tool in enumerate(request.tools)]
    if request.tool_choice is not None:
        body["tool_choice"] = _tool_choice(request.tool_choice)
    if request.response_format is not None:
        body["response_format"] = _response_format(request.response_format)
    _add_numbers(body, request, dialect)
    _add_reasoning(body, request)
    if request.stop:
        body["stop"] = list(request.stop)
    if request.end_user:
        body["user"] = request.end_user
    _add_vendor_parameters(body, request, dialect)
    if request.metadata and body.get("store") is True:
        body["metadata"] = dict(request.metadata)  # OpenAI takes labels only for what it stores
    return _encode(body)


def _add_numbers(body: Body, request: CompletionRequest, dialect: Dialect) -> None:
    sampling = request.sampling
    for name, value in (
        ("parallel_tool_calls", request.parallel_tool_calls),
        (dialect.max_tokens_field, request.max_output_tokens),
        ("seed", request.seed),
        ("n", request.candidate_count),
        ("temperature", sampling.temperature),
        ("top_p", sampling.top_p),
        ("frequency_penalty", sampling.frequency_penalty),
        ("presence_penalty", sampling.presence_penalty),
    ):
        if value is not None:
            body[name] = value
    if sampling.top_k is not None:
        if "top_k" not in dialect.parameters:
            raise _unsupported("top_k")
        body["top_k"] = sampling.top_k


def _add_reasoning(body: Body, request: CompletionRequest) -> None:
    if request.compute_mode is not None:
        raise _unsupported("compute_mode")
    if request.reasoning is None:
        return
    if request.reasoning.budget_tokens is not None:
        raise _unsupported("reasoning.budget_tokens")
    if request.reasoning.effort is not None:
        body["reasoning_effort"] = _effort(request.reasoning.effort)


def _effort(effort: Effort) -> str:
    match effort:
        case Effort.NONE:
            return "none"
        case Effort.MINIMAL:
            return "minimal"
        case Effort.LOW:
            return "low"
        case Effort.MEDIUM:
            return "medium"
        case Effort.HIGH:
            return "high"
        case Effort.MAX:
            return "xhigh"
        case _:
            assert_never(effort)


def _add_vendor_parameters(body: Body, request: CompletionRequest, dialect: Dialect) -> None:
    for name, text in request.vendor_parameters.items():
        if name not in dialect.parameters or name in body:
            raise _unsupported(name)
        body[name] = _json(text, name)


def _message(message: Message, where: str, dialect: Dialect) -> Body:
    body: Body = {"role": _role(message.role, dialect)}
    if message.parts:
        body["content"] = _content(message.parts, where)
    elif not message.tool_calls and not message.refusal:
        body["content"] = ""
    if message.name:
        body["name"] = message.name
    if message.tool_calls:
        body["tool_calls"] = [_tool_call(call, f"{where}.tool_calls.{i}") for i, call in enumerate(message.tool_calls)]
    if message.tool_call_id:
        body["tool_call_id"] = message.tool_call_id
    if message.refusal:
        body["refusal"] = message.refusal
    if message.reasoning:
        if not dialect.reasoning_content or any(part.signature or part.redacted for part in message.reasoning):
            raise _unsupported(f"{where}.reasoning")
        body["reasoning_content"] = "".join(part.text for part in message.reasoning)
    return body


def _role(role: Role, dialect: Dialect) -> str:
    match role:
        case Role.SYSTEM:
            return "system"
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


def _content(parts: Sequence[Part], where: str) -> str | list[Body]:
    if len(parts) == 1 and isinstance(parts[0], Text):
        return parts[0].text  # some servers know nothing but a string
    return [_part(part, f"{where}.content.{i}") for i, part in enumerate(parts)]


def _part(part: Part, where: str) -> Body:
    match part:
        case Text():
            return {"type": "text", "text": part.text}
        case Image():
            url = _data_url(part.media_type or "image/png", part.data) if part.data is not None else part.url
            image: Body = {"url": url}
            if part.detail:
                image["detail"] = part.detail
            return {"type": "image_url", "image_url": image}
        case Audio():
            return {"type": "input_audio", "input_audio": {"data": _base64(part.data), "format": part.format}}
        case File():
            if part.file_id is not None:
                return {"type": "file", "file": {"file_id": part.file_id}}
            if part.data is None:
                raise UnsupportedParameter("A file cannot be given by its address here.", param=where)
            file: Body = {"file_data": _data_url(part.media_type or "application/octet-stream", part.data)}
            if part.filename:
                file["filename"] = part.filename
            return {"type": "file", "file": file}
        case _:
            assert_never(part)


def _tool(tool: Tool, where: str) -> Body:
    function: Body = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.parameters_json:
        function["parameters"] = _json(tool.parameters_json, f"{where}.function.parameters")
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _tool_call(call: ToolCall, where: str) -> Body:
    if call.signature:
        raise _unsupported(f"{where}.signature")
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments_json}}


def _tool_choice(choice: ToolChoice) -> str | Body:
    match choice.mode:
        case ToolMode.AUTO:
            return "auto"
        case ToolMode.NONE:
            return "none"
        case ToolMode.REQUIRED:
            return "required"
        case ToolMode.NAMED:
            return {"type": "function", "function": {"name": choice.name}}
        case _:
            assert_never(choice.mode)


def _response_format(form: ResponseFormat) -> Body:
    match form.kind:
        case FormatKind.TEXT:
            return {"type": "text"}
        case FormatKind.JSON:
            return {"type": "json_object"}
        case FormatKind.JSON_SCHEMA:
            schema: Body = {"name": form.name}
            if form.description:
                schema["description"] = form.description
            if form.schema_json:
                schema["schema"] = _json(form.schema_json, "response_format.json_schema.schema")
            if form.strict is not None:
                schema["strict"] = form.strict
            return {"type": "json_schema", "json_schema": schema}
        case _:
            assert_never(form.kind)


def _json(text: str, param: str) -> object:
    """Decoded and not spliced in as it is: what is no JSON must not break the body around it."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise InvalidRequest(f"{param} is not valid JSON.", param=param) from exc


def _unsupported(param: str) -> UnsupportedParameter:
    return UnsupportedParameter(f"This provider cannot honour {param}.", param=param)


def _data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{_base64(data)}"


def _base64(data: bytes) -> str:
    return b64encode(data).decode("ascii")


def completion_from_wire(body: bytes) -> Completion:
    """Read a whole answer.

    :raises msgspec.DecodeError: when it is none.
    """
    answer = _decode_answer(body)
    if not answer.choices:
        raise msgspec.ValidationError("the answer has no choices")
    return Completion(
        choices=tuple(_choice(choice, position) for position, choice in enumerate(answer.choices)),
        usage=_usage(answer.usage),
        create_time=_time(answer.created),
        vendor_model=answer.model or "",
        vendor_id=answer.id or "",
        system_fingerprint=answer.system_fingerprint or "",
        service_tier=answer.service_tier or "",
    )


def _choice(choice: wire.Choice, position: int) -> Choice:
    if not choice.finish_reason:
        raise msgspec.ValidationError("a choice has no finish reason, so it may not be whole")
    said = choice.message
    reasoning = said.reasoning_content or said.reasoning
    return Choice(
        index=position if choice.index is None else choice.index,
        message=Message(
            role=Role.ASSISTANT,
            parts=(Text(said.content),) if said.content else (),
            tool_calls=tuple(
                ToolCall(call.id or "", call.function.name or "", call.function.arguments or "")
                for call in said.tool_calls or ()
            ),
            reasoning=(Reasoned(reasoning),) if reasoning else (),
            refusal=said.refusal or "",
        ),
        finish_reason=_FINISH_REASONS.get(choice.finish_reason, FinishReason.OTHER),
    )


class EventReader:
    """Reads the events of one stream; it remembers only whether the head was told."""

    __slots__ = ("_head_told",)

    def __init__(self) -> None:
        self._head_told = False

    def batch(self, events: Sequence[bytes]) -> tuple[Batch, Unreadable | InBandError | None]:
        """What came with these events, and what is wrong with the one at which reading ended, if any.

        Content that came before a bad event counts all the same. Events after the end marker do not.
        """
        failure: Unreadable | InBandError | None = None
        chunks: list[Chunk] = []
        head: Head | None = None
        usage: Usage | None = None
        done = False
        for data in events:
            if data == b"[DONE]":
                done = True
                break
            try:
                event = _decode_event(data)
            except (msgspec.DecodeError, RecursionError) as exc:
                failure = exc
                break
            if event.error is not None:
                failure = InBandError(_error(event.error))
                break
            if not self._head_told and event.model:
                self._head_told = True
                head = Head(_time(event.created), event.model, event.system_fingerprint or "", event.service_tier or "")
            if event.usage is not None:
                usage = _usage(event.usage) or usage
            for choice in event.choices or ():
                chunk = _chunk(choice)
                if chunk is not None:
                    chunks.append(chunk)
        return Batch(chunks, head, usage, done), failure


def _chunk(choice: wire.ChunkChoice) -> Chunk | None:
    """None for a delta that says nothing, such as the one that only names the role."""
    delta = choice.delta or _SILENT
    reason = choice.finish_reason
    # Some servers send an empty reason with every delta until the true one.
    finish_reason = _FINISH_REASONS.get(reason, FinishReason.OTHER) if reason else None
    text = delta.content or ""
    reasoning = delta.reasoning_content or delta.reasoning
    if delta.tool_calls or reasoning or delta.refusal:
        return Chunk(
            text,
            choice.index or 0,
            tuple(_tool_call_delta(call, position) for position, call in enumerate(delta.tool_calls or ())),
            Reasoned(reasoning) if reasoning else None,
            delta.refusal or "",
            finish_reason,
        )
    if not text and finish_reason is None:
        return None
    return Chunk(text, choice.index or 0, finish_reason=finish_reason)


_SILENT = wire.Delta()


def _tool_call_delta(call: wire.ToolCallDelta, position: int) -> ToolCallDelta:
    function = call.function or wire.Function()
    return ToolCallDelta(
        index=position if call.index is None else call.index,
        id=call.id or "",
        name=function.name or "",
        arguments_json=function.arguments or "",
    )


def _error(error: wire.Error | str) -> wire.Error:
    return wire.Error(message=error) if isinstance(error, str) else error


def _usage(usage: wire.Usage | None) -> Usage | None:
    if usage is None or usage.prompt_tokens is None or usage.completion_tokens is None:
        return None
    prompt = usage.prompt_tokens_details or wire.PromptDetails()
    completion = usage.completion_tokens_details or wire.CompletionDetails()
    return Usage(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        cached_input_tokens=prompt.cached_tokens or 0,
        reasoning_tokens=completion.reasoning_tokens or 0,
        audio_input_tokens=prompt.audio_tokens or 0,
        audio_output_tokens=completion.audio_tokens or 0,
    )


def _time(created: float | None) -> datetime | None:
    if not created:
        return None
    try:
        return datetime.fromtimestamp(created, UTC)
    except (OverflowError, ValueError, OSError):
        return None
