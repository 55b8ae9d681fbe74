"""Between protobuf and the router's own words."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType

from omnix.common.v1 import caller_pb2
from omnix.completion.v1 import completion_pb2
from omnix.embedding.v1 import embedding_pb2
from omnix.provider.v1 import provider_pb2, provider_service_pb2
from omnix.router.v1 import router_pb2
from omnix.usage.v1 import usage_pb2
from omnix_kit.convert import price_to_proto, timestamp
from omnix_kit.errors import CallerError, Reason
from omnix_kit.money import Price

from omnix_router.catalogue.models import Control, Effort, Mode, ReasoningControl
from omnix_router.conditions import Facts
from omnix_router.fitting import Need
from omnix_router.listing import Listed
from omnix_router.narrowing import NO_PREFERENCES, Preferences
from omnix_router.orders import Order, Report
from omnix_router.preferring import Policy
from omnix_router.providers import Announcement, Provider
from omnix_router.reasoning import BUDGET, EFFORT, MODE, ReasoningPlan, Wish, modes_of

_MODES = MappingProxyType(
    {
        completion_pb2.COMPUTE_MODE_FLASH: Mode.FLASH,
        completion_pb2.COMPUTE_MODE_THINK: Mode.THINK,
        completion_pb2.COMPUTE_MODE_ULTRA_THINK: Mode.ULTRA_THINK,
    }
)
_EFFORTS = MappingProxyType(
    {
        completion_pb2.Reasoning.EFFORT_NONE: Effort.NONE,
        completion_pb2.Reasoning.EFFORT_MINIMAL: Effort.MINIMAL,
        completion_pb2.Reasoning.EFFORT_LOW: Effort.LOW,
        completion_pb2.Reasoning.EFFORT_MEDIUM: Effort.MEDIUM,
        completion_pb2.Reasoning.EFFORT_HIGH: Effort.HIGH,
        completion_pb2.Reasoning.EFFORT_EXTRA_HIGH: Effort.XHIGH,
        completion_pb2.Reasoning.EFFORT_MAX: Effort.MAX,
    }
)
_CONTROLS: Mapping[Control, "completion_pb2.ReasoningPlan.Control.ValueType"] = MappingProxyType(
    {
        Control.NONE: completion_pb2.ReasoningPlan.CONTROL_NONE,
        Control.FIXED: completion_pb2.ReasoningPlan.CONTROL_FIXED,
        Control.SWITCH: completion_pb2.ReasoningPlan.CONTROL_SWITCH,
        Control.EFFORT: completion_pb2.ReasoningPlan.CONTROL_EFFORT,
        Control.BUDGET: completion_pb2.ReasoningPlan.CONTROL_BUDGET,
    }
)
_MODES_TO_PROTO = MappingProxyType({mode: number for number, mode in _MODES.items()})
_EFFORTS_TO_PROTO = MappingProxyType({effort: number for number, effort in _EFFORTS.items()})
_SORTS = MappingProxyType(
    {
        completion_pb2.ProviderPreferences.SORT_PRICE: Policy.CHEAPEST,
        completion_pb2.ProviderPreferences.SORT_LATENCY: Policy.FASTEST,
    }
)
_NO_WISH = Wish()
_BYTES_A_TOKEN = 4
_STREAMING = Need("streaming", "stream")
_SYSTEM = frozenset({completion_pb2.ROLE_SYSTEM, completion_pb2.ROLE_DEVELOPER})

_price = lru_cache(maxsize=1024)(price_to_proto)


def wish_from_proto(request: completion_pb2.CompletionRequest) -> Wish:
    """What is asked of reasoning.

    :raises CallerError: ``INVALID_REQUEST`` for a value that is none.
    """
    has_mode, has_reasoning = request.HasField("compute_mode"), request.HasField("reasoning")
    if not has_mode and not has_reasoning:
        return _NO_WISH
    mode = _MODES.get(request.compute_mode) if has_mode else None
    if has_mode and mode is None:
        raise _invalid(MODE, "has no value that is known here.")
    effort, budget = None, None
    if has_reasoning and request.reasoning.HasField("effort"):
        effort = _EFFORTS.get(request.reasoning.effort)
        if effort is None:
            raise _invalid(EFFORT, "has no value that is known here.")
    if has_reasoning and request.reasoning.HasField("budget_tokens"):
        budget = request.reasoning.budget_tokens
        if budget < 0:
            raise _invalid(BUDGET, "must not be negative.")
    # A number that is none is for the adapter to refuse, with and without a wish for reasoning.
    return Wish(mode, effort, budget, max(request.max_output_tokens, 0) or None)


def set_mode(request: completion_pb2.CompletionRequest, mode: Mode) -> None:
    """Say the mode at the end of the model's name where everyone after the router looks for it.

    :raises CallerError: ``INVALID_REQUEST`` when the request says another one.
    """
    number = _MODES_TO_PROTO[mode]
    if request.HasField("compute_mode") and request.compute_mode != number:
        raise _invalid(MODE, f"contradicts the model's name, which ends in ':{mode}'.")
    request.compute_mode = number


def needs_of(request: completion_pb2.CompletionRequest, *, streamed: bool) -> tuple[Need, ...]:
    """What a model must be able to do for a request, each with the first parameter that asks for it."""
    found: dict[str, str] = {}
    if request.tools:
        found["tools"] = "tools"
    for index, message in enumerate(request.messages):
        _add_message_needs(found, index, message)
    if request.HasField("response_format"):
        kind = request.response_format.kind
        if kind == completion_pb2.ResponseFormat.KIND_JSON:
            found["json"] = "response_format"
        elif kind == completion_pb2.ResponseFormat.KIND_JSON_SCHEMA:
            found["json_schema"] = "response_format"
    if request.logprobs:
        found["logprobs"] = "logprobs"
    elif request.HasField("top_logprobs"):
        found["logprobs"] = "top_logprobs"
    needs = tuple([Need(capability, param) for capability, param in found.items()]) if found else ()
    return (*needs, _STREAMING) if streamed else needs


def _add_message_needs(found: dict[str, str], index: int, message: completion_pb2.Message) -> None:
    for part in message.parts:
        kind = part.WhichOneof("kind")
        if kind is None or kind == "text":
            continue
        found.setdefault(_modality(kind, part), f"messages.{index}.content")
    role = message.role
    if role == completion_pb2.ROLE_USER:
        return
    if role in _SYSTEM:
        found.setdefault("system", f"messages.{index}.role")
    elif role == completion_pb2.ROLE_TOOL:
        found.setdefault("tools", f"messages.{index}.role")
    elif message.tool_calls:
        found.setdefault("tools", f"messages.{index}.tool_calls")


def facts_of(request: completion_pb2.CompletionRequest, caller: caller_pb2.Caller) -> Facts:
    """What routes may ask of a completion; its compute mode must be said already, see :func:`set_mode`."""
    size = 0
    modalities: set[str] = set()
    for message in request.messages:
        for part in message.parts:
            kind = part.WhichOneof("kind")
            if kind == "text":
                size += _size(part.text)
            elif kind is not None:
                modalities.add(_modality(kind, part))
        for call in message.tool_calls:
            size += _size(call.name) + _size(call.arguments_json)
    for tool in request.tools:
        size += _size(tool.name) + _size(tool.description) + _size(tool.parameters_json)
    output = None
    if request.HasField("max_output_tokens"):
        output = max(request.max_output_tokens, 0) * max(request.candidate_count, 1)
    return Facts(
        tenant=caller.tenant_id,
        user=request.end_user or caller.user_id,
        cache_key=request.vendor_parameters.get("prompt_cache_key", ""),
        mode=_MODES.get(request.compute_mode) if request.HasField("compute_mode") else None,
        modalities=modalities,
        input_tokens=_tokens(size),
        output_tokens=output,
        metadata=request.metadata,
    )


def embedding_facts_of(request: embedding_pb2.EmbeddingRequest, caller: caller_pb2.Caller) -> Facts:
    """What routes may ask of a request for embeddings, which have no answer to be paid by its length."""
    return Facts(
        tenant=caller.tenant_id,
        user=request.end_user or caller.user_id,
        input_tokens=sum(_tokens(_size(each.text)) + len(each.tokens.ids) for each in request.inputs),
        output_tokens=0,
        metadata=request.metadata,
    )


def preferences_from_proto(
    request: completion_pb2.CompletionRequest | embedding_pb2.EmbeddingRequest,
) -> Preferences:
    """:raises CallerError: ``INVALID_REQUEST`` for a value that is none."""
    if not request.HasField("provider_preferences"):
        return NO_PREFERENCES
    said = request.provider_preferences
    sort = _SORTS.get(said.sort) if said.HasField("sort") else None
    if said.HasField("sort") and sort is None:
        raise _invalid("provider.sort", "has no value that is known here.")
    preferences = Preferences(
        order=tuple(said.order),
        only=frozenset(said.only),
        ignore=frozenset(said.ignore),
        sort=sort,
        fallbacks=not said.HasField("allow_fallbacks") or said.allow_fallbacks,
    )
    return NO_PREFERENCES if preferences == NO_PREFERENCES else preferences


def _modality(kind: str, part: completion_pb2.Part) -> str:
    return "video" if kind == "file" and part.file.media_type.startswith("video/") else kind


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _tokens(size: int) -> int:
    return -(-size // _BYTES_A_TOKEN)


def dimensions_of(request: embedding_pb2.EmbeddingRequest) -> int | None:
    """:raises CallerError: ``INVALID_REQUEST`` for a length that is none."""
    if not request.HasField("dimensions"):
        return None
    if request.dimensions < 1:
        raise _invalid("dimensions", "must be at least 1.")
    return request.dimensions


def attempt_to_proto(order: Order, completion_id: str, caller: caller_pb2.Caller) -> provider_pb2.Attempt:
    target = order.target
    return provider_pb2.Attempt(
        attempt_id=order.attempt_id,
        completion_id=completion_id,
        number=order.number,
        caller=caller,
        provider=target.provider,
        model=target.model,
        price=None if order.price is None else _price(order.price),
        route=order.route,
        reasoning=reasoning_to_proto(target.reasoning),
        max_output_tokens=0 if target.entry is None else target.entry.max_output_tokens,
        purpose=usage_pb2.PURPOSE_SHADOW if order.shadow else None,
        hedged=order.hedged,
    )


def reasoning_to_proto(plan: ReasoningPlan | None) -> completion_pb2.ReasoningPlan | None:
    return None if plan is None else _plan(plan)


@lru_cache(maxsize=1024)
def _plan(plan: ReasoningPlan) -> completion_pb2.ReasoningPlan:
    """Kept, because callers ask for the same few things; nobody changes what this returns."""
    return completion_pb2.ReasoningPlan(
        requested_mode=None if plan.requested_mode is None else _MODES_TO_PROTO[plan.requested_mode],
        mode=None if plan.mode is None else _MODES_TO_PROTO[plan.mode],
        control=_CONTROLS[plan.control],
        effort=None if plan.effort is None else _EFFORTS_TO_PROTO[plan.effort],
        budget_tokens=plan.budget,
        note=plan.note,
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
        reasoning=None if listed.reasoning is None else _control(listed.reasoning),
    )
    if listed.released is not None:
        message.create_time.CopyFrom(timestamp(listed.released))
    if listed.retires is not None:
        message.retire_time.CopyFrom(timestamp(listed.retires))
    return message


def _control(control: ReasoningControl) -> router_pb2.ReasoningControl:
    return router_pb2.ReasoningControl(
        control=_CONTROLS[control.control],
        efforts=[_EFFORTS_TO_PROTO[effort] for effort in control.efforts],
        min_budget_tokens=control.min_budget,
        max_budget_tokens=control.max_budget,
        can_disable=control.can_disable,
        modes=[_MODES_TO_PROTO[mode] for mode in modes_of(control)],
    )


def _optional_price(price: Price | None) -> usage_pb2.Price | None:
    return None if price is None else _price(price)


def _invalid(param: str, what: str) -> CallerError:
    return CallerError(f"{param} {what}", reason=Reason.INVALID_REQUEST, param=param)
