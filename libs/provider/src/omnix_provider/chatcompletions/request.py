"""From OmniX's words to the format's: pure functions.

What the format or the server cannot say is refused by name. Some wishes are honoured without a word on the wire: a
cache breakpoint where the server caches prefixes by itself; one on a tool, because the format has none there and tools
stand before every message in the prefix; that a tool failed, because the message's parts tell it; and the wish to see
reasoning, which is for "where the vendor shows it". What other vendors signed or sealed in earlier turns is theirs
alone to read, and left out; so is reasoning where the server takes none back.
"""

from collections.abc import Mapping
from typing import Any, assert_never

import msgspec

from omnix_provider.beginning import prefix_of, unsupported_prefix
from omnix_provider.chatcompletions.dialect import Dialect
from omnix_provider.chatcompletions.errors import unsupported
from omnix_provider.chatcompletions.messages import Body, message_body
from omnix_provider.errors import InvalidRequest
from omnix_provider.types import (
    Attempt,
    CompletionRequest,
    Control,
    Effort,
    FormatKind,
    ReasoningPlan,
    ResponseFormat,
    Role,
    Tool,
    ToolChoice,
    ToolMode,
)

_encode = msgspec.json.Encoder().encode


def request_body(request: CompletionRequest, attempt: Attempt, dialect: Dialect, *, stream: bool) -> bytes:
    """The JSON body.

    :raises UnsupportedParameter: naming what this format or this server cannot honour.
    :raises InvalidRequest: when JSON text in the request is none.
    """
    instructions = _instructions(request, attempt.reasoning, dialect)
    body: Body = {
        "model": attempt.model,
        "messages": [
            message_body(message, f"messages.{i}", dialect, instructions=instructions)
            for i, message in enumerate(request.messages)
        ],
    }
    if prefix := prefix_of(request, attempt):
        _add_prefix(body, prefix, request, attempt.reasoning, dialect)
    if stream:
        body["stream"] = True
        if dialect.stream_usage:
            body["stream_options"] = {"include_usage": True}
    if request.tools:
        body["tools"] = [_tool(tool, f"tools.{i}") for i, tool in enumerate(request.tools)]
    if request.tool_choice is not None:
        body["tool_choice"] = _tool_choice(request.tool_choice)
    if request.response_format is not None:
        body["response_format"] = _response_format(request.response_format, dialect)
    _add_numbers(body, request, dialect)
    if attempt.reasoning is None:
        _add_wished_reasoning(body, request, dialect)
    else:
        _add_planned_reasoning(body, attempt.reasoning, dialect, begun=bool(prefix))
    if request.stop:
        body["stop"] = list(request.stop)
    if request.end_user and dialect.end_user:
        body["user"] = request.end_user
    _add_vendor_parameters(body, request, dialect)
    if request.metadata and body.get("store") is True:
        body["metadata"] = dict(request.metadata)  # OpenAI takes labels only for what it stores
    for name in dialect.lacks:
        if name in body and body.pop(name) != _GIVEN_BY_ALL.get(name):
            raise unsupported(name)
    try:
        return _encode(body)
    except RecursionError as exc:
        raise InvalidRequest("The request is nested too deep.") from exc


_GIVEN_BY_ALL: Mapping[str, object] = {"n": 1, "parallel_tool_calls": True}


def _instructions(request: CompletionRequest, plan: ReasoningPlan | None, dialect: Dialect) -> str:
    """The role of system messages.

    OpenAI's reasoning models take them for the developer's, and a request must not have both:
    https://learn.microsoft.com/en-us/azure/ai-foundry/openai/how-to/reasoning, read 2026-11-22.
    """
    if not dialect.developer_role or plan is None or plan.control is Control.NONE:
        return "system"
    return "developer" if any(message.role is Role.DEVELOPER for message in request.messages) else "system"


def _add_prefix(
    body: Body, prefix: str, request: CompletionRequest, plan: ReasoningPlan | None, dialect: Dialect
) -> None:
    """The beginning of the answer, which comes after its reasoning: nobody reasons any more.

    Templates that open with reasoning could not go on (https://github.com/vllm-project/vllm/issues/28089), and what
    waits for the end of reasoning would take the answer for it.
    """
    if _reasons(request, plan):
        raise unsupported_prefix("This provider cannot continue an answer of a model that reasons.")
    message: Body = {"role": "assistant", "content": prefix}
    body["messages"].append(message)
    match dialect.continued:
        case None:
            raise unsupported_prefix()
        case "continue_final_message":
            body["continue_final_message"] = True
            body["add_generation_prompt"] = False
        case "prefix":
            message["prefix"] = True
        case "last_message":
            _join(body["messages"])
        case _:
            assert_never(dialect.continued)


def _join(messages: list[Body]) -> None:
    """A server that goes on unasked went on with what the caller had begun, too."""
    begun, message = messages[-2], messages[-1]
    if begun["role"] == "assistant" and isinstance(begun.get("content"), str) and "tool_calls" not in begun:
        messages[-2:] = [{**begun, "content": begun["content"] + message["content"]}]


def _reasons(request: CompletionRequest, plan: ReasoningPlan | None) -> bool:
    """Whether the model reasons and cannot be kept from it by a switch."""
    if plan is None:
        return request.reasoning is not None and request.reasoning.effort not in (None, Effort.NONE)
    match plan.control:
        case Control.NONE | Control.SWITCH:
            return False
        case Control.EFFORT:
            return plan.effort is not Effort.NONE
        case Control.FIXED | Control.BUDGET:
            return True
        case _:
            assert_never(plan.control)


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
        ("logprobs", request.logprobs or None),
        ("top_logprobs", request.top_logprobs),
    ):
        if value is not None:
            body[name] = value
    if sampling.top_k is not None:
        if "top_k" not in dialect.parameters:
            raise unsupported("top_k")
        body["top_k"] = sampling.top_k


def _add_planned_reasoning(body: Body, plan: ReasoningPlan, dialect: Dialect, *, begun: bool) -> None:
    match plan.control:
        case Control.NONE | Control.FIXED:
            return
        case Control.EFFORT:
            if plan.effort is not None:
                body["reasoning_effort"] = _effort(plan.effort, dialect)
        case Control.SWITCH:
            if plan.effort is not None:
                _add_switch(body, Effort.NONE if begun else plan.effort, dialect)
        case Control.BUDGET:
            if plan.budget_tokens is not None:
                raise unsupported("reasoning.budget_tokens")
        case _:
            assert_never(plan.control)


def _add_switch(body: Body, effort: Effort, dialect: Dialect) -> None:
    match dialect.switch:
        case "reasoning_effort":
            body["reasoning_effort"] = _effort(effort, dialect)
        case "chat_template_kwargs":
            # Templates ignore what they do not know: Qwen's and GLM's read the one, DeepSeek's and Kimi's the other.
            on = effort is not Effort.NONE
            body["chat_template_kwargs"] = {"enable_thinking": on, "thinking": on}
        case None:
            raise unsupported("reasoning_effort")
        case _:
            assert_never(dialect.switch)


def _add_wished_reasoning(body: Body, request: CompletionRequest, dialect: Dialect) -> None:
    if request.compute_mode is not None:
        raise unsupported("mode")
    if request.reasoning is None:
        return
    if request.reasoning.budget_tokens is not None:
        raise unsupported("reasoning.budget_tokens")
    if request.reasoning.effort is not None:
        body["reasoning_effort"] = _effort(request.reasoning.effort, dialect)


def _effort(effort: Effort, dialect: Dialect) -> str:
    word = dialect.efforts.get(effort)
    if word is None:
        raise unsupported("reasoning_effort")
    return word


def _add_vendor_parameters(body: Body, request: CompletionRequest, dialect: Dialect) -> None:
    for name, text in request.vendor_parameters.items():
        if name not in dialect.parameters or name in body:
            raise unsupported(name)
        body[name] = _json(text, name)


def _tool(tool: Tool, where: str) -> Body:
    function: Body = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.parameters_json:
        function["parameters"] = _json(tool.parameters_json, f"{where}.function.parameters")
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


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


def _response_format(form: ResponseFormat, dialect: Dialect) -> Body:
    match form.kind:
        case FormatKind.TEXT:
            return {"type": "text"}
        case FormatKind.JSON:
            if not dialect.json_object:
                raise unsupported("response_format")
            return {"type": "json_object"}
        case FormatKind.JSON_SCHEMA:
            schema: Body = {"name": form.name}
            if form.description:
                schema["description"] = form.description
            if form.schema_json:
                schema["schema"] = _json(form.schema_json, "response_format.json_schema.schema")
            if form.strict is not None:
                schema["strict"] = form.strict
            return {"type": "json_schema", dialect.schema_in: schema}
        case _:
            assert_never(form.kind)


def _json(text: str, param: str) -> Any:
    """Decoded and not spliced in as it is: what is no JSON must not break the body around it."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise InvalidRequest(f"{param} is not valid JSON.", param=param) from exc
