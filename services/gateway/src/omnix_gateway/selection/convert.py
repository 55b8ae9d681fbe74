"""Requirements to protobuf, and what fits from it."""

from decimal import ROUND_FLOOR, Decimal
from typing import Final

from msgspec import UNSET
from omnix.completion.v1 import completion_pb2
from omnix.router.v1 import router_service_pb2, selection_pb2
from omnix_kit.convert import datetime_from

from omnix_gateway.chat.answer import decimal
from omnix_gateway.errors import invalid
from omnix_gateway.selection.schema import ModelSelection, SelectedModel, SelectionRequest

_TYPES: Final = {
    "chat": selection_pb2.Requirements.MODEL_TYPE_CHAT,
    "embeddings": selection_pb2.Requirements.MODEL_TYPE_EMBEDDINGS,
}
_MODES: Final = {
    "flash": completion_pb2.COMPUTE_MODE_FLASH,
    "think": completion_pb2.COMPUTE_MODE_THINK,
    "ultra-think": completion_pb2.COMPUTE_MODE_ULTRA_THINK,
}
_MICROS: Final = 1_000_000
_MOST_DOLLARS: Final = 1_000_000


def selection_to_proto(request: SelectionRequest) -> router_service_pb2.SelectModelsRequest:
    """:raises CallerError: for an amount of money that is none."""
    requirements = selection_pb2.Requirements(
        type=_TYPES[request.type],
        capabilities=request.capabilities,
        context_tokens=request.context_tokens,
        input_tokens=request.input_tokens,
        output_tokens=request.output_tokens,
        max_cost_micros=_micros(request.max_cost, "max_cost"),
        max_micros_per_million=_micros(request.max_price, "max_price"),
        quality_floor=request.quality_floor,
        compute_mode=None if request.mode is None else _MODES[request.mode],
        providers=request.providers,
    )
    if request.max_first_content_ms is not None:
        requirements.max_first_content.FromMilliseconds(request.max_first_content_ms)
    return router_service_pb2.SelectModelsRequest(requirements=requirements, page_size=request.limit)


def selection_from_proto(answer: router_service_pb2.SelectModelsResponse, *, recommend: bool) -> ModelSelection:
    return ModelSelection(
        data=[_model(choice) for choice in answer.choices],
        total=answer.total,
        rejected={rejection.lack: rejection.count for rejection in answer.rejections},
        recommendation=(answer.recommendation or None) if recommend else UNSET,
    )


def _model(choice: selection_pb2.Choice) -> SelectedModel:
    cost = choice.cost_micros if choice.HasField("cost_micros") else None
    as_of = datetime_from(choice.quality_time).date().isoformat() if choice.HasField("quality_time") else None
    return SelectedModel(
        id=choice.id,
        provider=choice.provider,
        model=choice.model,
        display_name=choice.display_name,
        score=choice.score,
        cost_micros=cost,
        cost=None if cost is None else decimal(cost),
        quality=choice.quality if choice.HasField("quality") else None,
        quality_as_of=as_of,
        first_content_ms=choice.first_content.ToMicroseconds() / 1000 if choice.HasField("first_content") else None,
        sandbox=choice.sandbox,
        reasons=list(choice.reasons),
    )


def _micros(amount: Decimal | None, param: str) -> int | None:
    if amount is None:
        return None
    if not amount.is_finite() or not 0 <= amount <= _MOST_DOLLARS:
        raise invalid(f"{param} must be from 0 to {_MOST_DOLLARS} US dollars.", param)
    return int((amount * _MICROS).to_integral_value(ROUND_FLOOR))
