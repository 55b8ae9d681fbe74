"""Between protobuf and the router's own words."""

from collections.abc import Iterable
from functools import lru_cache

from omnix.common.v1 import caller_pb2
from omnix.completion.v1 import completion_pb2
from omnix.provider.v1 import provider_pb2, provider_service_pb2
from omnix.router.v1 import router_pb2
from omnix.usage.v1 import usage_pb2
from omnix_kit.convert import price_to_proto, timestamp
from omnix_kit.money import Price

from omnix_router.attempts import Order, Report
from omnix_router.listing import Listed
from omnix_router.patience import Thinking
from omnix_router.providers import Announcement, Provider

_MODES = {
    completion_pb2.COMPUTE_MODE_FLASH: Thinking.FLASH,
    completion_pb2.COMPUTE_MODE_THINK: Thinking.THINK,
    completion_pb2.COMPUTE_MODE_ULTRA_THINK: Thinking.ULTRA_THINK,
}
_EFFORTS = {
    completion_pb2.Reasoning.EFFORT_NONE: Thinking.FLASH,
    completion_pb2.Reasoning.EFFORT_MINIMAL: Thinking.FLASH,
    completion_pb2.Reasoning.EFFORT_LOW: Thinking.THINK,
    completion_pb2.Reasoning.EFFORT_MEDIUM: Thinking.THINK,
    completion_pb2.Reasoning.EFFORT_HIGH: Thinking.ULTRA_THINK,
    completion_pb2.Reasoning.EFFORT_MAX: Thinking.ULTRA_THINK,
}

_price = lru_cache(maxsize=1024)(price_to_proto)


def thinking(request: completion_pb2.CompletionRequest) -> Thinking:
    """How much reasoning is asked for; an explicit effort wins over the compute mode."""
    if request.reasoning.HasField("effort"):
        return _EFFORTS.get(request.reasoning.effort, Thinking.UNSAID)
    return _MODES.get(request.compute_mode, Thinking.UNSAID) if request.HasField("compute_mode") else Thinking.UNSAID


def attempt_to_proto(order: Order, completion_id: str, caller: caller_pb2.Caller) -> provider_pb2.Attempt:
    return provider_pb2.Attempt(
        attempt_id=order.attempt_id,
        completion_id=completion_id,
        number=order.number,
        caller=caller,
        provider=order.target.provider,
        model=order.target.model,
        price=None if order.price is None else _price(order.price),
        route=order.route,
    )


def announcement_from_proto(said: provider_service_pb2.ListModelsResponse) -> Announcement:
    return Announcement(
        providers=tuple(
            Provider(provider.name, provider.kind, provider.sandbox, provider.problem) for provider in said.providers
        ),
        models=frozenset((model.provider, model.model) for model in said.models),
    )


def reports_to_proto(reports: Iterable[Report]) -> list[router_pb2.AttemptReport]:
    return [
        router_pb2.AttemptReport(
            number=report.number, provider=report.provider, model=report.model, error_reason=report.error_reason
        )
        for report in reports
    ]


def listed_to_proto(listed: Listed) -> router_pb2.Model:
    message = router_pb2.Model(
        id=listed.id,
        provider=listed.provider,
        model=listed.model,
        aliases=listed.aliases,
        display_name=listed.title,
        context_window=listed.context_window,
        max_output_tokens=listed.max_output_tokens,
        capabilities=listed.capabilities,
        price=_optional_price(listed.price),
        sandbox=listed.sandbox,
        targets=[
            router_pb2.Target(provider=target.provider, model=target.model, weight=target.weight)
            for target in listed.targets
        ],
    )
    if listed.released is not None:
        message.create_time.CopyFrom(timestamp(listed.released))
    if listed.retires is not None:
        message.retire_time.CopyFrom(timestamp(listed.retires))
    return message


def _optional_price(price: Price | None) -> usage_pb2.Price | None:
    return None if price is None else _price(price)
