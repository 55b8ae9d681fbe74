"""Between protobuf and what choosing needs."""

from collections.abc import Iterable
from dataclasses import replace

from omnix.completion.v1 import completion_pb2
from omnix.router.v1 import router_service_pb2, selection_pb2
from omnix_kit.convert import duration, timestamp
from omnix_kit.errors import CallerError, Reason

from omnix_router.catalogue.entries import CAPABILITIES, MAX_QUALITY
from omnix_router.catalogue.models import Mode
from omnix_router.choosing.auto import Request
from omnix_router.choosing.reasons import reasons, recommendation
from omnix_router.fitting import Need
from omnix_router.reasoning import Wish
from omnix_router.selection import Choice, Kind, Requirements, Selection

_KINDS = {
    selection_pb2.Requirements.MODEL_TYPE_CHAT: Kind.CHAT,
    selection_pb2.Requirements.MODEL_TYPE_EMBEDDINGS: Kind.EMBEDDINGS,
}
_MODES = {
    completion_pb2.COMPUTE_MODE_FLASH: Mode.FLASH,
    completion_pb2.COMPUTE_MODE_THINK: Mode.THINK,
    completion_pb2.COMPUTE_MODE_ULTRA_THINK: Mode.ULTRA_THINK,
}
_CHARACTERS_A_TOKEN = 4
_TOKENS_OF_MEDIA = 1_000
"""Of one image, sound, film or file: how large it is in tokens, only its vendor knows."""
_DEFAULTS = Requirements()


def request_from_proto(request: completion_pb2.CompletionRequest, needs: Iterable[Need], wish: Wish) -> Request:
    """What counts of a completion's request when a model is chosen for it."""
    preferences = request.provider_preferences
    return Request(
        capabilities=frozenset([need.capability for need in needs]),
        input_tokens=_tokens(request),
        # A wish for nothing does not tell how long the answer may be.
        wish=replace(wish, max_output_tokens=max(request.max_output_tokens, 0) or None),
        providers=frozenset(preferences.only),
        refused_providers=frozenset(preferences.ignore),
    )


def requirements_from_proto(asked: selection_pb2.Requirements) -> Requirements:
    """:raises CallerError: ``INVALID_REQUEST`` for a value that is none."""
    kind = _KINDS.get(asked.type)
    if kind is None:
        raise _invalid("type", "has no value that is known here.")
    mode = _MODES.get(asked.compute_mode) if asked.HasField("compute_mode") else None
    if asked.HasField("compute_mode") and mode is None:
        raise _invalid("mode", "has no value that is known here.")
    if unknown := sorted(set(asked.capabilities) - CAPABILITIES):
        raise _invalid("capabilities", f"may hold {', '.join(sorted(CAPABILITIES))}; not {', '.join(unknown)}.")
    for field in ("context_tokens", "input_tokens", "output_tokens", "max_cost_micros", "max_micros_per_million"):
        if getattr(asked, field) < 0:
            raise _invalid(field, "must not be negative.")
    if asked.HasField("quality_floor") and not 0 <= asked.quality_floor <= MAX_QUALITY:
        raise _invalid("quality_floor", f"must be from 0 to {MAX_QUALITY}.")
    inputs = asked.input_tokens if asked.HasField("input_tokens") else _DEFAULTS.input_tokens
    outputs = asked.output_tokens if asked.HasField("output_tokens") else _DEFAULTS.output_tokens
    return Requirements(
        kind=kind,
        capabilities=frozenset(asked.capabilities),
        context_tokens=asked.context_tokens,
        input_tokens=inputs,
        # Vectors cost what they are made of.
        output_tokens=0 if kind is Kind.EMBEDDINGS else outputs,
        max_cost_micros=asked.max_cost_micros if asked.HasField("max_cost_micros") else None,
        max_micros_per_million=asked.max_micros_per_million if asked.HasField("max_micros_per_million") else None,
        quality_floor=asked.quality_floor if asked.HasField("quality_floor") else None,
        mode=mode,
        max_first_content=asked.max_first_content.ToTimedelta() if asked.HasField("max_first_content") else None,
        providers=frozenset(asked.providers),
    )


def selection_to_proto(
    selection: Selection, requirements: Requirements, limit: int
) -> router_service_pb2.SelectModelsResponse:
    """:param limit: the most models to tell; 0 for all."""
    told = selection.order[:limit] if limit > 0 else selection.order
    return router_service_pb2.SelectModelsResponse(
        choices=[_choice(choice, selection, requirements) for choice in told],
        total=len(selection.order),
        rejections=[
            selection_pb2.Rejection(lack=lack.value, count=count) for lack, count in selection.rejected.items()
        ],
        recommendation=recommendation(selection, requirements),
    )


def _choice(choice: Choice, selection: Selection, requirements: Requirements) -> selection_pb2.Choice:
    model, latency = choice.model, choice.candidate.health.first_content
    return selection_pb2.Choice(
        id=model.id,
        provider=model.provider,
        model=model.name,
        display_name=model.title,
        score=round(choice.score, 2),
        cost_micros=choice.cost_micros,
        quality=None if model.quality is None else model.quality.score,
        quality_time=None if model.quality is None else timestamp(model.quality.as_of),
        first_content=None if latency is None else duration(latency),
        sandbox=choice.candidate.sandbox,
        reasons=reasons(choice, selection, requirements),
    )


def _tokens(request: completion_pb2.CompletionRequest) -> int:
    length = len(request.response_format.schema_json)
    media = 0
    for tool in request.tools:
        length += len(tool.name) + len(tool.description) + len(tool.parameters_json)
    for message in request.messages:
        for part in message.parts:
            if part.WhichOneof("kind") in ("image", "audio", "file"):
                media += 1
            else:
                length += len(part.text)
        for call in message.tool_calls:
            length += len(call.name) + len(call.arguments_json)
    return length // _CHARACTERS_A_TOKEN + media * _TOKENS_OF_MEDIA


def _invalid(param: str, what: str) -> CallerError:
    return CallerError(f"{param} {what}", reason=Reason.INVALID_REQUEST, param=param)
