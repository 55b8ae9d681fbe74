"""A request as the body of Converse: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html."""

import re
from collections.abc import Mapping

import msgspec
from omnix_provider.beginning import prefix_of, unsupported_prefix
from omnix_provider.errors import InvalidRequest
from omnix_provider.types import (
    Attempt,
    CompletionRequest,
    FormatKind,
    Role,
    Tool,
    ToolChoice,
    ToolMode,
)

from omnix_adapter_bedrock.families import Family, Kind, family_of
from omnix_adapter_bedrock.translate.messages import TOOL_NAME, Conversation, cache_point
from omnix_adapter_bedrock.translate.reasoning import Thinking, thinking_of
from omnix_adapter_bedrock.translate.saying import Body, json_object, json_text, unsupported

_LABEL = r"[a-zA-Z0-9\s:_@$#=/+,\-.]"
_LABEL_NAME = re.compile(_LABEL + "{1,256}")
_LABEL_VALUE = re.compile(_LABEL + "{0,256}")
_MOST_LABELS = 16
_TIERS = frozenset({"default", "flex", "priority", "reserved"})
_ROOM_TO_ANSWER = 4096
"""Beside a reasoning budget, where neither the caller nor the catalogue gives a limit."""
_TOP_P_WHILE_THINKING = 0.95
_ANYTHING = msgspec.Raw(b'{"type":"object"}')
_FORCING = frozenset({ToolMode.REQUIRED, ToolMode.NAMED})
_NO_CALL: Body = {"type": "none"}

_encode = msgspec.json.Encoder().encode


def converse_body(request: CompletionRequest, attempt: Attempt) -> bytes:
    """The JSON body.

    :raises UnsupportedParameter: naming what Converse, or this family of models, cannot honour.
    :raises InvalidRequest: when JSON text in the request is none.
    """
    _refuse_the_unsayable(request)
    family = family_of(attempt.model)
    conversation = Conversation(family, attempt.provider)
    for position, message in enumerate(request.messages):
        conversation.add(message, f"messages.{position}")
    if not conversation.messages:
        raise InvalidRequest("The conversation has no message of a user.", param="messages")
    prefix = prefix_of(request, attempt)
    if prefix and not family.continues:
        raise unsupported_prefix("This model continues no answer.")
    conversation.begin_answer(prefix)
    thinking = thinking_of(request, attempt, family, begun=bool(prefix))
    body: Body = {"messages": conversation.messages}
    if conversation.system:
        body["system"] = conversation.system
    fields: Body = dict(thinking.fields)
    _add_inference(body, fields, request, attempt, family, thinking)
    if thinking.aloud and request.tool_choice is not None and request.tool_choice.mode in _FORCING:
        raise unsupported("tool_choice", "Claude cannot be made to call a tool while it thinks.")
    _add_tools(body, fields, request, conversation, family)
    _add_output(body, request, family, thinking)
    _add_labels(body, request)
    _add_vendor_parameters(body, fields, request.vendor_parameters)
    if fields:
        body["additionalModelRequestFields"] = fields
    try:
        return _encode(body)
    except (UnicodeEncodeError, RecursionError) as exc:
        raise InvalidRequest("The request holds text that is none.", param="messages") from exc


def _refuse_the_unsayable(request: CompletionRequest) -> None:
    sampling = request.sampling
    for name, present in (
        ("n", request.candidate_count not in (None, 1)),
        ("seed", request.seed is not None),
        ("logprobs", request.logprobs),
        ("top_logprobs", request.top_logprobs is not None),
        ("frequency_penalty", bool(sampling.frequency_penalty)),
        ("presence_penalty", bool(sampling.presence_penalty)),
    ):
        if present:
            raise unsupported(name)


def _add_inference(
    body: Body, fields: Body, request: CompletionRequest, attempt: Attempt, family: Family, thinking: Thinking
) -> None:
    inference: Body = {}
    limit = _limit(request, attempt, family, thinking)
    if limit is not None:
        inference["maxTokens"] = limit
    _add_sampling(inference, fields, request, family, thinking)
    if request.stop:
        inference["stopSequences"] = list(request.stop)
    if inference:
        body["inferenceConfig"] = inference


def _limit(request: CompletionRequest, attempt: Attempt, family: Family, thinking: Thinking) -> int | None:
    asked, most = request.max_output_tokens, attempt.max_output_tokens
    if thinking.exhaustive:
        if asked is not None:
            raise unsupported("max_completion_tokens", "Nova takes no limit beside its highest effort.")
        return None
    if thinking.budget:
        limit = asked or most or thinking.budget + _ROOM_TO_ANSWER
        if limit <= thinking.budget:
            raise unsupported("reasoning.budget_tokens", f"It must be less than the answer's limit of {limit}.")
        return limit
    if asked is None and family.wants_max_tokens and most:
        return most
    return asked


def _add_sampling(
    inference: Body, fields: Body, request: CompletionRequest, family: Family, thinking: Thinking
) -> None:
    sampling = request.sampling
    temperature, top_p, top_k = sampling.temperature, sampling.top_p, sampling.top_k
    if temperature is not None and not 0 <= temperature <= 1:
        raise unsupported("temperature", "It must be between 0 and 1.")
    if top_p is not None and not 0 <= top_p <= 1:
        raise unsupported("top_p", "It must be between 0 and 1.")
    if thinking.exhaustive and (temperature, top_p, top_k) != (None, None, None):
        named = "temperature" if temperature is not None else "top_p" if top_p is not None else "top_k"
        raise unsupported(named, "Nova takes none beside its highest effort.")
    if not family.samples or thinking.bound:
        if temperature not in (None, 1):
            raise unsupported("temperature", "This model draws tokens in its own way when it thinks.")
        if top_k is not None:
            raise unsupported("top_k", "This model draws tokens in its own way when it thinks.")
        if top_p is not None and top_p < (_TOP_P_WHILE_THINKING if family.samples else 1):
            raise unsupported("top_p", "This model draws tokens in its own way when it thinks.")
        temperature = None  # what it is anyway
        if not family.samples:
            top_p = None
    if family.kind is Kind.CLAUDE and family.generation >= (4, 5) and temperature is not None and top_p is not None:
        raise unsupported("top_p", "This model takes either temperature or top_p.")
    if temperature is not None:
        inference["temperature"] = temperature
    if top_p is not None:
        inference["topP"] = top_p
    if top_k is not None:
        _add_top_k(fields, top_k, family)


def _add_top_k(fields: Body, top_k: int, family: Family) -> None:
    """https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html, by family."""
    match family.kind:
        case Kind.CLAUDE | Kind.MISTRAL:
            fields["top_k"] = top_k
        case Kind.NOVA | Kind.NOVA_2:
            fields["inferenceConfig"] = {"topK": top_k}
        case Kind.COHERE:
            fields["k"] = top_k
        case _:
            raise unsupported("top_k")


def _add_tools(
    body: Body, fields: Body, request: CompletionRequest, conversation: Conversation, family: Family
) -> None:
    """Converse has no word for "call none", and demands tools where the conversation has calls.

    Claude knows the word, so it is told in its own. For others the tools are left out, which means the same as long as
    nothing was called.
    """
    choice = request.tool_choice
    history = any(message.role is Role.TOOL or message.tool_calls for message in request.messages)
    forbidden = choice is not None and choice.mode is ToolMode.NONE
    if not request.tools:
        if choice is not None and choice.mode in _FORCING:
            raise InvalidRequest("There is no tool to call.", param="tool_choice")
        if not history:
            return
        if family.kind is not Kind.CLAUDE:
            raise unsupported("tools", "It demands tools when the conversation has calls of tools.")
        body["toolConfig"] = {"tools": [_known_by_name(name) for name in conversation.called or ("none",)]}
        fields["tool_choice"] = _NO_CALL
        return
    if forbidden and family.kind is not Kind.CLAUDE:
        if history:
            raise unsupported("tool_choice", "It cannot be told to call none when the conversation has calls of tools.")
        return
    config: Body = {"tools": _tools(request.tools, family)}
    if forbidden:
        fields["tool_choice"] = _NO_CALL
    elif request.parallel_tool_calls is False:
        if family.kind is not Kind.CLAUDE:
            raise unsupported("parallel_tool_calls")
        fields["tool_choice"] = {**_in_claudes_words(choice), "disable_parallel_tool_use": True}
    elif choice is not None:
        config["toolChoice"] = _tool_choice(choice)
    body["toolConfig"] = config


def _tools(tools: tuple[Tool, ...], family: Family) -> list[Body]:
    blocks: list[Body] = []
    for position, tool in enumerate(tools):
        where = f"tools.{position}"
        if not TOOL_NAME.fullmatch(tool.name):
            param = f"{where}.function.name"
            raise unsupported(param, "A tool's name is 1 to 64 letters, digits, hyphens and underscores.")
        schema = json_text(tool.parameters_json, f"{where}.function.parameters") if tool.parameters_json else _ANYTHING
        spec: Body = {"name": tool.name, "inputSchema": {"json": schema}}
        if tool.description:
            spec["description"] = tool.description
        if tool.strict:
            spec["strict"] = True
        blocks.append({"toolSpec": spec})
        if tool.cache is not None and family.caches_tools:
            blocks.append(cache_point(tool.cache, family, where))
    return blocks


def _known_by_name(name: str) -> Body:
    return {"toolSpec": {"name": name, "inputSchema": {"json": _ANYTHING}}}


def _tool_choice(choice: ToolChoice) -> Body:
    match choice.mode:
        case ToolMode.REQUIRED:
            return {"any": {}}
        case ToolMode.NAMED:
            return {"tool": {"name": choice.name}}
        case _:
            return {"auto": {}}


def _in_claudes_words(choice: ToolChoice | None) -> Body:
    """https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-tool-use.html"""
    if choice is None or choice.mode is ToolMode.AUTO:
        return {"type": "auto"}
    if choice.mode is ToolMode.REQUIRED:
        return {"type": "any"}
    return {"type": "tool", "name": choice.name}


def _add_output(body: Body, request: CompletionRequest, family: Family, thinking: Thinking) -> None:
    output: Body = {}
    form = request.response_format
    if form is not None and form.kind is FormatKind.JSON:
        raise unsupported("response_format", "It holds an answer to a JSON schema, and to nothing looser.")
    if form is not None and form.kind is FormatKind.JSON_SCHEMA:
        if not family.json_schema:
            raise unsupported("response_format", "This model does not hold its answer to a schema.")
        param = "response_format.json_schema.schema"
        if not form.schema_json:
            raise InvalidRequest("There is no schema.", param=param)
        schema: Body = {"schema": bytes(json_text(form.schema_json, param)).decode()}
        if form.name:
            schema["name"] = form.name
        if form.description:
            schema["description"] = form.description
        output["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": schema}}
    if thinking.effort:
        output["effort"] = thinking.effort
    if output:
        body["outputConfig"] = output


def _add_labels(body: Body, request: CompletionRequest) -> None:
    """Those that AWS takes, to filter its logs by. All of them are kept with the usage entry in any case."""
    labels = {
        name: value
        for name, value in request.metadata.items()
        if _LABEL_NAME.fullmatch(name) and _LABEL_VALUE.fullmatch(value)
    }
    if request.end_user and "end_user" not in labels and _LABEL_VALUE.fullmatch(request.end_user):
        labels = {"end_user": request.end_user, **labels}
    if labels:
        body["requestMetadata"] = dict(list(labels.items())[:_MOST_LABELS])


def _add_vendor_parameters(body: Body, fields: Body, parameters: Mapping[str, str]) -> None:
    for name, text in parameters.items():
        match name:
            case "service_tier":
                tier = _word(text, name)
                if tier in _TIERS:
                    body["serviceTier"] = {"type": tier}
                elif tier != "auto":
                    raise unsupported(name)
            case "guardrailConfig" | "performanceConfig":
                body[name] = json_object(text, name)
            case "additionalModelRequestFields":
                for field, value in json_object(text, name).items():
                    if field in fields:
                        raise unsupported(f"{name}.{field}", "Another parameter of the request says it already.")
                    fields[field] = value
            case _:
                raise unsupported(name)


def _word(text: str, param: str) -> str:
    try:
        return msgspec.json.decode(text.encode(), type=str)
    except (msgspec.DecodeError, UnicodeEncodeError) as exc:
        raise InvalidRequest(f"{param} is not a text.", param=param) from exc
