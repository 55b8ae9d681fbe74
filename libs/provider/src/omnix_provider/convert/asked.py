"""What is asked: from the contracts to the domain. An enum's zero value is refused."""

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from functools import lru_cache
from types import MappingProxyType
from typing import TypeVar

from omnix.completion.v1 import completion_pb2 as pb
from omnix.embedding.v1 import embedding_pb2
from omnix.provider.v1 import provider_pb2, provider_service_pb2
from omnix.usage.v1 import usage_pb2
from omnix_kit.caller import Caller
from omnix_kit.convert import price_from_proto
from omnix_kit.ids import is_id
from omnix_kit.money import Price

from omnix_provider import types as t
from omnix_provider.continuing import Continuation, Way
from omnix_provider.errors import InvalidRequest

_ROLES = MappingProxyType(
    {
        pb.ROLE_SYSTEM: t.Role.SYSTEM,
        pb.ROLE_DEVELOPER: t.Role.DEVELOPER,
        pb.ROLE_USER: t.Role.USER,
        pb.ROLE_ASSISTANT: t.Role.ASSISTANT,
        pb.ROLE_TOOL: t.Role.TOOL,
    }
)
_EFFORTS = MappingProxyType(
    {
        pb.Reasoning.EFFORT_NONE: t.Effort.NONE,
        pb.Reasoning.EFFORT_MINIMAL: t.Effort.MINIMAL,
        pb.Reasoning.EFFORT_LOW: t.Effort.LOW,
        pb.Reasoning.EFFORT_MEDIUM: t.Effort.MEDIUM,
        pb.Reasoning.EFFORT_HIGH: t.Effort.HIGH,
        pb.Reasoning.EFFORT_EXTRA_HIGH: t.Effort.EXTRA_HIGH,
        pb.Reasoning.EFFORT_MAX: t.Effort.MAX,
    }
)
_MODES = MappingProxyType(
    {
        pb.COMPUTE_MODE_FLASH: t.ComputeMode.FLASH,
        pb.COMPUTE_MODE_THINK: t.ComputeMode.THINK,
        pb.COMPUTE_MODE_ULTRA_THINK: t.ComputeMode.ULTRA_THINK,
    }
)
_CONTROLS = MappingProxyType(
    {
        pb.ReasoningPlan.CONTROL_NONE: t.Control.NONE,
        pb.ReasoningPlan.CONTROL_FIXED: t.Control.FIXED,
        pb.ReasoningPlan.CONTROL_SWITCH: t.Control.SWITCH,
        pb.ReasoningPlan.CONTROL_EFFORT: t.Control.EFFORT,
        pb.ReasoningPlan.CONTROL_BUDGET: t.Control.BUDGET,
    }
)
_PURPOSES = MappingProxyType(
    {
        embedding_pb2.PURPOSE_QUERY: t.Purpose.QUERY,
        embedding_pb2.PURPOSE_DOCUMENT: t.Purpose.DOCUMENT,
        embedding_pb2.PURPOSE_SIMILARITY: t.Purpose.SIMILARITY,
        embedding_pb2.PURPOSE_CLASSIFICATION: t.Purpose.CLASSIFICATION,
        embedding_pb2.PURPOSE_CLUSTERING: t.Purpose.CLUSTERING,
    }
)
_ATTEMPT_PURPOSES = MappingProxyType(
    {usage_pb2.PURPOSE_SHADOW: t.AttemptPurpose.SHADOW, usage_pb2.PURPOSE_HEDGE: t.AttemptPurpose.HEDGE}
)
_WAYS = MappingProxyType(
    {
        provider_service_pb2.Continuation.KIND_PREFIX: Way.PREFIX,
        provider_service_pb2.Continuation.KIND_RESTART: Way.RESTART,
    }
)
_TOOL_MODES = MappingProxyType(
    {
        pb.ToolChoice.MODE_AUTO: t.ToolMode.AUTO,
        pb.ToolChoice.MODE_NONE: t.ToolMode.NONE,
        pb.ToolChoice.MODE_REQUIRED: t.ToolMode.REQUIRED,
        pb.ToolChoice.MODE_NAMED: t.ToolMode.NAMED,
    }
)
_FORMATS = MappingProxyType(
    {
        pb.ResponseFormat.KIND_TEXT: t.FormatKind.TEXT,
        pb.ResponseFormat.KIND_JSON: t.FormatKind.JSON,
        pb.ResponseFormat.KIND_JSON_SCHEMA: t.FormatKind.JSON_SCHEMA,
    }
)
_TENANT = re.compile(r"[A-Za-z0-9_-]{1,128}")

WordT = TypeVar("WordT", bound=Enum)
NumberT = TypeVar("NumberT", bound=int)


def _word(table: Mapping[NumberT, WordT], value: NumberT, param: str) -> WordT:
    found = table.get(value)
    if found is None:
        raise InvalidRequest(f"{param} has no value that is known here.", param=param)
    return found


def is_tenant(text: str) -> bool:
    """It may become a part of a subject."""
    return _TENANT.fullmatch(text) is not None


def attempt_from_proto(message: provider_pb2.Attempt) -> t.Attempt:
    """:raises InvalidRequest: when an id has not the form of one; ids become parts of subjects."""
    for field, value in (("attempt_id", message.attempt_id), ("completion_id", message.completion_id)):
        if not is_id(value):
            raise InvalidRequest(f"{field} is not an id.", param=field)
    caller = message.caller
    if not is_tenant(caller.tenant_id):
        raise InvalidRequest("tenant_id is not an id.", param="tenant_id")
    return t.Attempt(
        attempt_id=message.attempt_id,
        completion_id=message.completion_id,
        number=message.number,
        caller=Caller(caller.tenant_id, caller.team_id, caller.user_id, caller.key_id),
        provider=message.provider,
        model=message.model,
        price=_price(message.price.SerializeToString()) if message.HasField("price") else None,
        route=message.route,
        reasoning=_plan_from_proto(message.reasoning) if message.HasField("reasoning") else None,
        max_output_tokens=message.max_output_tokens,
        purpose=purpose_from_proto(message.purpose) if message.HasField("purpose") else None,
        hedged=message.hedged,
    )


def purpose_from_proto(value: "usage_pb2.Purpose.ValueType") -> t.AttemptPurpose:
    """:raises InvalidRequest: when it is unspecified or unknown."""
    return _word(_ATTEMPT_PURPOSES, value, "purpose")


def router_id_from_proto(router_id: str) -> str:
    """:raises InvalidRequest: when it is not empty, and could not become a part of a subject."""
    if router_id and not is_tenant(router_id):
        raise InvalidRequest("router_id is not an id.", param="router_id")
    return router_id


def continuation_from_proto(
    message: provider_service_pb2.Continuation, attempt: t.Attempt, request: t.CompletionRequest
) -> Continuation:
    """:raises InvalidRequest: when this attempt cannot go on with that."""
    if not 0 < message.attempt < attempt.number:
        raise InvalidRequest("The continued attempt is not an earlier one.", param="continuation.attempt")
    if (request.candidate_count or 1) != 1:
        raise InvalidRequest("Of several alternatives none is continued.", param="continuation")
    way = _word(_WAYS, message.kind, "continuation.kind")
    if way is Way.PREFIX and (message.refusal or message.tool_calls):
        raise InvalidRequest("Nothing but text is continued as a prefix.", param="continuation")
    return Continuation(
        attempt=message.attempt,
        way=way,
        text=message.text,
        refusal=message.refusal,
        tool_calls=_calls_from_proto(message.tool_calls),
    )


def _plan_from_proto(message: pb.ReasoningPlan) -> t.ReasoningPlan:
    has = message.HasField
    return t.ReasoningPlan(
        control=_word(_CONTROLS, message.control, "reasoning"),
        effort=_word(_EFFORTS, message.effort, "reasoning_effort") if has("effort") else None,
        budget_tokens=message.budget_tokens if has("budget_tokens") else None,
        mode=_word(_MODES, message.mode, "compute_mode") if has("mode") else None,
    )


@lru_cache(maxsize=1024)
def _price(message: bytes) -> Price:
    """Kept by its bytes: a model's price comes with every attempt, and is the same for weeks."""
    return price_from_proto(usage_pb2.Price.FromString(message))


def request_from_proto(message: pb.CompletionRequest) -> t.CompletionRequest:
    """:raises InvalidRequest: when a value is unspecified or unknown."""
    has = message.HasField
    if "" in message.vendor_parameters:
        raise InvalidRequest("A vendor parameter has no name.", param="vendor_parameters")
    return t.CompletionRequest(
        model=message.model,
        messages=tuple([_message_from_proto(each, f"messages.{i}") for i, each in enumerate(message.messages)]),
        tools=tuple([_tool_from_proto(tool) for tool in message.tools]),
        tool_choice=t.ToolChoice(_word(_TOOL_MODES, message.tool_choice.mode, "tool_choice"), message.tool_choice.name)
        if has("tool_choice")
        else None,
        parallel_tool_calls=message.parallel_tool_calls if has("parallel_tool_calls") else None,
        response_format=_format_from_proto(message.response_format) if has("response_format") else None,
        sampling=_sampling_from_proto(message.sampling) if has("sampling") else _NO_SAMPLING,
        max_output_tokens=message.max_output_tokens if has("max_output_tokens") else None,
        stop=tuple(message.stop),
        seed=message.seed if has("seed") else None,
        reasoning=_reasoning_from_proto(message.reasoning) if has("reasoning") else None,
        compute_mode=_word(_MODES, message.compute_mode, "compute_mode") if has("compute_mode") else None,
        metadata=dict(message.metadata),
        end_user=message.end_user,
        candidate_count=message.candidate_count if has("candidate_count") else None,
        vendor_parameters=dict(message.vendor_parameters),
        logprobs=message.logprobs,
        top_logprobs=message.top_logprobs if has("top_logprobs") else None,
    )


def embedding_request_from_proto(message: embedding_pb2.EmbeddingRequest) -> t.EmbeddingRequest:
    """:raises InvalidRequest: when there is nothing to embed, or a value is unspecified or unknown."""
    if not message.inputs:
        raise InvalidRequest("There is nothing to embed.", param="input")
    return t.EmbeddingRequest(
        model=message.model,
        inputs=tuple([_input_from_proto(each, f"input.{i}") for i, each in enumerate(message.inputs)]),
        dimensions=message.dimensions if message.HasField("dimensions") else None,
        purpose=_word(_PURPOSES, message.purpose, "purpose") if message.HasField("purpose") else None,
        metadata=dict(message.metadata),
        end_user=message.end_user,
    )


def _input_from_proto(message: embedding_pb2.EmbeddingInput, where: str) -> str | tuple[int, ...]:
    match message.WhichOneof("kind"):
        case "text" if message.text:
            return message.text
        case "tokens" if message.tokens.ids:
            return tuple(message.tokens.ids)
        case _:
            raise InvalidRequest("An input is empty.", param=where)


_NO_SAMPLING = t.Sampling()


def _tool_from_proto(tool: pb.Tool) -> t.Tool:
    return t.Tool(
        name=tool.name,
        description=tool.description,
        parameters_json=tool.parameters_json,
        strict=tool.strict if tool.HasField("strict") else None,
        cache=_cache(tool),
    )


def _cache(message: pb.Part | pb.Tool) -> t.CacheBreakpoint | None:
    if not message.cache_breakpoint:
        return None
    if not message.HasField("cache_ttl"):
        return _CACHE
    return t.CacheBreakpoint(message.cache_ttl.ToTimedelta())


_CACHE = t.CacheBreakpoint()


def _message_from_proto(message: pb.Message, where: str) -> t.Message:
    return t.Message(
        role=_word(_ROLES, message.role, f"{where}.role"),
        parts=tuple([_part_from_proto(part, where) for part in message.parts]),
        name=message.name,
        tool_calls=_calls_from_proto(message.tool_calls),
        tool_call_id=message.tool_call_id,
        tool_failed=message.tool_failed,
        reasoning=tuple(
            [t.Reasoned(part.text, part.signature, part.redacted, part.provider) for part in message.reasoning]
        ),
        refusal=message.refusal,
    )


def _calls_from_proto(calls: Iterable[pb.ToolCall]) -> tuple[t.ToolCall, ...]:
    return tuple([t.ToolCall(call.id, call.name, call.arguments_json, call.signature) for call in calls])


def _part_from_proto(part: pb.Part, where: str) -> t.Part:
    match part.WhichOneof("kind"):
        case "text":
            return t.Text(part.text, _cache(part))
        case "image":
            image = part.image
            source = image.WhichOneof("source")
            if source is None:
                raise InvalidRequest("An image needs an address or data.", param=f"{where}.content")
            return t.Image(
                url=image.url if source == "url" else None,
                data=image.data if source == "data" else None,
                media_type=image.media_type,
                detail=image.detail,
                cache=_cache(part),
            )
        case "audio":
            return t.Audio(part.audio.data, part.audio.format, _cache(part))
        case "file":
            file = part.file
            source_of_file = file.WhichOneof("source")
            if source_of_file is None:
                raise InvalidRequest("A file needs data, an id or an address.", param=f"{where}.content")
            return t.File(
                data=file.data if source_of_file == "data" else None,
                file_id=file.file_id if source_of_file == "file_id" else None,
                url=file.url if source_of_file == "url" else None,
                media_type=file.media_type,
                filename=file.filename,
                cache=_cache(part),
            )
        case _:
            raise InvalidRequest("A part of a message is empty or of an unknown kind.", param=f"{where}.content")


def _format_from_proto(message: pb.ResponseFormat) -> t.ResponseFormat:
    return t.ResponseFormat(
        kind=_word(_FORMATS, message.kind, "response_format"),
        name=message.name,
        description=message.description,
        schema_json=message.schema_json,
        strict=message.strict if message.HasField("strict") else None,
    )


def _sampling_from_proto(message: pb.Sampling) -> t.Sampling:
    has = message.HasField
    return t.Sampling(
        temperature=message.temperature if has("temperature") else None,
        top_p=message.top_p if has("top_p") else None,
        top_k=message.top_k if has("top_k") else None,
        frequency_penalty=message.frequency_penalty if has("frequency_penalty") else None,
        presence_penalty=message.presence_penalty if has("presence_penalty") else None,
    )


def _reasoning_from_proto(message: pb.Reasoning) -> t.Reasoning:
    return t.Reasoning(
        effort=_word(_EFFORTS, message.effort, "reasoning_effort") if message.HasField("effort") else None,
        budget_tokens=message.budget_tokens if message.HasField("budget_tokens") else None,
        include=message.include,
    )
