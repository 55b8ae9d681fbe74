"""OpenAI's JSON structs to protobuf, and protobuf answers to OpenAI's JSON structs."""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from msgspec import UNSET
from omnix.common.v1 import caller_pb2
from omnix.completion.v1 import completion_pb2 as pb
from omnix.router.v1 import router_service_pb2
from omnix_kit.caller import Caller
from omnix_kit.errors import PlatformError, Reason, error_for

from omnix_gateway.chat import answer, translate
from omnix_gateway.chat.content.convert import mark_cached, part_to_proto, parts_to_proto
from omnix_gateway.chat.content.media import Media
from omnix_gateway.chat.schema import (
    AssistantMessage,
    ChatRequest,
    CustomCallItem,
    CustomTool,
    DeveloperMessage,
    FunctionCallItem,
    FunctionChoice,
    FunctionMessage,
    FunctionTool,
    JsonObjectFormat,
    JsonSchemaFormat,
    Message,
    RefusalPart,
    SystemMessage,
    TextFormat,
    ToolMessage,
    UserMessage,
)
from omnix_gateway.errors import invalid
from omnix_gateway.preferences.convert import preferences_to_proto
from omnix_gateway.preferences.translate import models


@dataclass(frozen=True, slots=True)
class Used:
    """How reasoning was controlled; what is empty is not told."""

    mode: str = ""
    reasoning: str = ""
    """An effort's name, a number of tokens, `on`, `none`, or `fixed` where it cannot be controlled."""
    note: str = ""
    """Why this differs from what was asked."""


CompletionRequest = pb.CompletionRequest
CompleteResponse = router_service_pb2.CompleteResponse

_EFFORTS: Final = {
    "none": pb.Reasoning.EFFORT_NONE,
    "minimal": pb.Reasoning.EFFORT_MINIMAL,
    "low": pb.Reasoning.EFFORT_LOW,
    "medium": pb.Reasoning.EFFORT_MEDIUM,
    "high": pb.Reasoning.EFFORT_HIGH,
    "xhigh": pb.Reasoning.EFFORT_EXTRA_HIGH,
    "max": pb.Reasoning.EFFORT_MAX,
}
_MODES: Final = {
    "flash": pb.COMPUTE_MODE_FLASH,
    "think": pb.COMPUTE_MODE_THINK,
    "ultra-think": pb.COMPUTE_MODE_ULTRA_THINK,
}
EFFORT_NAMES: Final = {number: name for name, number in _EFFORTS.items()}
MODE_NAMES: Final = {number: name for name, number in _MODES.items()}
_CHOICES: Final = {
    "none": pb.ToolChoice.MODE_NONE,
    "auto": pb.ToolChoice.MODE_AUTO,
    "required": pb.ToolChoice.MODE_REQUIRED,
}
FINISH_REASONS: Final = {
    pb.FINISH_REASON_STOP: "stop",
    pb.FINISH_REASON_LENGTH: "length",
    pb.FINISH_REASON_TOOL_CALLS: "tool_calls",
    pb.FINISH_REASON_CONTENT_FILTER: "content_filter",
    pb.FINISH_REASON_OTHER: "other",
}


def caller_to_proto(caller: Caller) -> caller_pb2.Caller:
    return caller_pb2.Caller(
        tenant_id=caller.tenant_id, team_id=caller.team_id, user_id=caller.user_id, key_id=caller.key_id
    )


def request_to_proto(request: ChatRequest, media: Media) -> pb.CompletionRequest:
    """Say a checked request in OmniX's words. ``media`` learns what is inside, and what is to be fetched.

    :raises CallerError: for data that is no base64 or not what it is said to be, addresses that are not public, too
        much of either, text that is no Unicode.
    """
    try:
        return _request(request, media)
    except UnicodeEncodeError:
        raise invalid("A text contains half of a surrogate pair, which is not valid Unicode.") from None


def _request(request: ChatRequest, media: Media) -> pb.CompletionRequest:
    model, *fallbacks = models(request.model, request.models)
    proto = pb.CompletionRequest(
        model=model,
        fallback_models=fallbacks,
        provider_preferences=None if request.provider is None else preferences_to_proto(request.provider),
        messages=[_message(message, index, media) for index, message in enumerate(request.messages)],
        max_output_tokens=translate.max_output_tokens(request),
        seed=request.seed,
        candidate_count=request.n,
        parallel_tool_calls=request.parallel_tool_calls,
        end_user=request.safety_identifier or request.user or "",
        logprobs=request.logprobs or False,
        top_logprobs=request.top_logprobs,
    )
    sampling = proto.sampling
    if request.temperature is not None:
        sampling.temperature = request.temperature
    if request.top_p is not None:
        sampling.top_p = request.top_p
    if request.top_k is not None:
        sampling.top_k = request.top_k
    if request.frequency_penalty is not None:
        sampling.frequency_penalty = request.frequency_penalty
    if request.presence_penalty is not None:
        sampling.presence_penalty = request.presence_penalty
    if request.stop is not None:
        proto.stop.extend([request.stop] if isinstance(request.stop, str) else request.stop)
    if request.tools is not None:
        proto.tools.extend(_tools(request.tools))
    if isinstance(request.tool_choice, str):
        proto.tool_choice.mode = _CHOICES[request.tool_choice]
    elif isinstance(request.tool_choice, FunctionChoice):
        proto.tool_choice.mode = pb.ToolChoice.MODE_NAMED
        proto.tool_choice.name = request.tool_choice.function.name
    if request.response_format is not None:
        proto.response_format.CopyFrom(_format(request.response_format))
    if request.reasoning_effort is not None:
        proto.reasoning.effort = _EFFORTS[request.reasoning_effort]
    if request.reasoning is not None:
        if request.reasoning.budget_tokens is not None:
            proto.reasoning.budget_tokens = request.reasoning.budget_tokens
        proto.reasoning.include = bool(request.reasoning.include)
    if request.mode is not None:
        proto.compute_mode = _MODES[request.mode]
    if request.metadata:
        proto.metadata.update(request.metadata)
    for name, text in translate.vendor_parameters(request).items():
        proto.vendor_parameters[name] = text
    return proto


def _message(message: Message, index: int, media: Media) -> pb.Message:
    match message:
        case UserMessage(content=content, name=name):
            return pb.Message(role=pb.ROLE_USER, name=name or "", parts=parts_to_proto(content, index, media))
        case AssistantMessage():
            return _assistant(message, index, media)
        case SystemMessage(content=content, name=name):
            return pb.Message(role=pb.ROLE_SYSTEM, name=name or "", parts=parts_to_proto(content, index, media))
        case DeveloperMessage(content=content, name=name):
            return pb.Message(role=pb.ROLE_DEVELOPER, name=name or "", parts=parts_to_proto(content, index, media))
        case ToolMessage(content=content, tool_call_id=call, is_error=failed):
            return pb.Message(
                role=pb.ROLE_TOOL,
                tool_call_id=call,
                tool_failed=failed or False,
                parts=parts_to_proto(content, index, media),
            )
        case FunctionMessage():
            raise AssertionError("refused before")
        case _:
            assert_never(message)


def _assistant(message: AssistantMessage, number: int, media: Media) -> pb.Message:
    at = f"messages.{number}"
    refusal = message.refusal or ""
    parts: list[pb.Part] = []
    if isinstance(message.content, str):
        parts.append(pb.Part(text=message.content))
    elif message.content is not None:
        for index, part in enumerate(message.content):
            if isinstance(part, RefusalPart):
                refusal += part.refusal
            else:
                parts.append(part_to_proto(part, number, index, len(parts), media))
    proto = pb.Message(role=pb.ROLE_ASSISTANT, name=message.name or "", parts=parts, refusal=refusal)
    for index, call in enumerate(message.tool_calls or ()):
        proto.tool_calls.append(_call(call, f"{at}.tool_calls.{index}"))
    for index, detail in enumerate(message.reasoning_details or ()):
        param = f"{at}.reasoning_details.{index}"
        proto.reasoning.add(
            text=detail.text,
            signature=translate.base64_bytes(detail.signature or "", f"{param}.signature"),
            redacted=translate.base64_bytes(detail.redacted or "", f"{param}.redacted"),
            provider=detail.provider,
        )
    if message.reasoning_content and not any(part.text for part in proto.reasoning):
        # A stream's reader may have the text and the proofs apart; they belong together.
        if not proto.reasoning or proto.reasoning[0].redacted:
            proto.reasoning.insert(0, pb.ReasoningPart())
        proto.reasoning[0].text = message.reasoning_content
    return proto


def _call(call: FunctionCallItem | CustomCallItem, at: str) -> pb.ToolCall:
    match call:
        case FunctionCallItem(id=id_, function=function):
            proof = translate.base64_bytes(*translate.signature(call, at))
            return pb.ToolCall(id=id_, name=function.name, arguments_json=function.arguments, signature=proof)
        case CustomCallItem():
            raise AssertionError("refused before")
        case _:
            assert_never(call)


def _tools(tools: Iterable[FunctionTool | CustomTool]) -> Iterable[pb.Tool]:
    for index, tool in enumerate(tools):
        match tool:
            case FunctionTool(function=function):
                parameters = ""
                if translate.is_given(function.parameters):
                    parameters = translate.raw_text(function.parameters, f"tools.{index}.function.parameters")
                proto = pb.Tool(
                    name=function.name,
                    description=function.description or "",
                    parameters_json=parameters,
                    strict=function.strict,
                )
                if cache := translate.cache(tool, f"tools.{index}"):
                    mark_cached(proto, cache)
                yield proto
            case CustomTool():
                raise AssertionError("refused before")
            case _:
                assert_never(tool)


def _format(form: TextFormat | JsonObjectFormat | JsonSchemaFormat) -> pb.ResponseFormat:
    match form:
        case TextFormat():
            return pb.ResponseFormat(kind=pb.ResponseFormat.KIND_TEXT)
        case JsonObjectFormat():
            return pb.ResponseFormat(kind=pb.ResponseFormat.KIND_JSON)
        case JsonSchemaFormat(json_schema=schema):
            text = ""
            if translate.is_given(schema.schema):
                text = translate.raw_text(schema.schema, "response_format.json_schema.schema")
            return pb.ResponseFormat(
                kind=pb.ResponseFormat.KIND_JSON_SCHEMA,
                name=schema.name,
                description=schema.description or "",
                schema_json=text,
                strict=schema.strict,
            )
        case _:
            assert_never(form)


def usage_from_proto(usage: pb.Usage, cost_micros: int | None) -> answer.Usage:
    return answer.Usage(
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
        total_tokens=usage.input_tokens + usage.output_tokens,
        prompt_tokens_details=answer.PromptTokens(
            cached_tokens=usage.cached_input_tokens,
            audio_tokens=usage.audio_input_tokens,
            cache_write_tokens=usage.cache_write_input_tokens,
            long_cache_write_tokens=usage.long_cache_write_input_tokens,
        ),
        completion_tokens_details=answer.CompletionTokens(
            reasoning_tokens=usage.reasoning_tokens, audio_tokens=usage.audio_output_tokens
        ),
        cost_micros=cost_micros,
        cost=None if cost_micros is None else answer.decimal(cost_micros),
        estimated=usage.estimated,
    )


def completion_from_proto(response: router_service_pb2.CompleteResponse, completion_id: str) -> answer.ChatCompletion:
    completion = response.completion
    cost = response.cost_micros if response.HasField("cost_micros") else None
    return answer.ChatCompletion(
        id=f"chatcmpl-{completion_id}",
        created=completion.create_time.seconds,
        model=completion.vendor_model or response.model.partition("/")[2],
        choices=[_choice(choice) for choice in completion.choices],
        usage=usage_from_proto(completion.usage, cost),
        service_tier=completion.service_tier or None,
        system_fingerprint=completion.system_fingerprint or None,
    )


def _choice(choice: pb.Choice) -> answer.Choice:
    finish = FINISH_REASONS.get(choice.finish_reason)
    if finish is None:
        raise error_for(Reason.PROVIDER_MALFORMED, "The answer of the provider has no end.")
    message = choice.message
    texts = [part.text for part in message.parts if part.WhichOneof("kind") == "text"]
    if len(texts) != len(message.parts):
        raise PlatformError("The answer has content other than text.", reason=Reason.INTERNAL)
    return answer.Choice(
        index=choice.index,
        finish_reason=finish,
        logprobs=logprobs_from_proto(choice),
        message=answer.Message(
            content="".join(texts) if texts else None,
            refusal=message.refusal or None,
            tool_calls=[_answered_call(call) for call in message.tool_calls] or UNSET,
            reasoning_content="".join(part.text for part in message.reasoning) or UNSET,
            reasoning_details=[reasoning_detail(part) for part in message.reasoning] or UNSET,
        ),
    )


def _answered_call(call: pb.ToolCall) -> answer.ToolCall:
    return answer.ToolCall(
        id=call.id,
        function=answer.Function(name=call.name, arguments=call.arguments_json),
        signature=b64encode(call.signature).decode() or UNSET,
    )


def reasoning_detail(part: pb.ReasoningPart) -> answer.ReasoningDetail:
    return answer.ReasoningDetail(
        text=part.text,
        signature=b64encode(part.signature).decode() or None,
        redacted=b64encode(part.redacted).decode() or None,
        provider=part.provider,
    )


def logprobs_from_proto(told: pb.Choice | pb.Chunk) -> answer.Logprobs | None:
    """What is told of tokens; None when nothing is."""
    if not told.logprobs and not told.refusal_logprobs:
        return None
    return answer.Logprobs(_logprobs(told.logprobs), _logprobs(told.refusal_logprobs))


def _logprobs(tokens: Sequence[pb.TokenLogprob]) -> list[answer.TokenLogprob] | None:
    return [
        answer.TokenLogprob(
            token.token,
            token.logprob,
            _bytes(token),
            [answer.TopLogprob(each.token, each.logprob, _bytes(each)) for each in token.top],
        )
        for token in tokens
    ] or None


def _bytes(token: pb.TokenLogprob) -> list[int] | None:
    return list(token.token_bytes) if token.HasField("token_bytes") else None


def reasoning_used(response: router_service_pb2.CompleteResponse | router_service_pb2.StartCompletionResponse) -> Used:
    """How the answer's reasoning was controlled, for the headers."""
    if not response.HasField("reasoning"):
        return Used()
    plan = response.reasoning
    used = ""
    match plan.control:
        case pb.ReasoningPlan.CONTROL_FIXED:
            used = "fixed"
        case pb.ReasoningPlan.CONTROL_EFFORT if plan.HasField("effort"):
            used = EFFORT_NAMES.get(plan.effort, "")
        case pb.ReasoningPlan.CONTROL_SWITCH if plan.HasField("effort"):
            used = "none" if plan.effort == pb.Reasoning.EFFORT_NONE else "on"
        case pb.ReasoningPlan.CONTROL_BUDGET if plan.HasField("budget_tokens"):
            used = str(plan.budget_tokens) if plan.budget_tokens else "none"
    return Used(MODE_NAMES.get(plan.mode, "") if plan.HasField("mode") else "", used, plan.note)
