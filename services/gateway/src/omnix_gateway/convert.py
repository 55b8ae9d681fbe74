"""Keys, models and usage: protobuf to what the API tells."""

from collections.abc import Mapping
from datetime import UTC, timedelta
from typing import Final, Literal, TypedDict

from google.protobuf.timestamp_pb2 import Timestamp
from msgspec import UNSET
from omnix.account.v1 import account_pb2, account_service_pb2
from omnix.completion.v1 import completion_pb2
from omnix.provider.v1 import stream_pb2
from omnix.router.v1 import router_pb2
from omnix.usage.v1 import usage_pb2, usage_service_pb2
from omnix_kit.convert import datetime_from, duration, error_from_proto, timestamp

from omnix_gateway import schema
from omnix_gateway.chat.answer import decimal
from omnix_gateway.chat.convert import EFFORT_NAMES, MODE_NAMES
from omnix_gateway.errors import error_body
from omnix_gateway.identity import Identity, Role
from omnix_gateway.policies import CANCEL, CONTINUE, OnDisconnect, on_disconnect

Control = Literal["none", "fixed", "switch", "effort", "budget"]

_ROLES = {account_pb2.KEY_ROLE_ADMIN: Role.ADMIN, account_pb2.KEY_ROLE_MEMBER: Role.MEMBER}
_ROLES_TO_PROTO = {role: proto for proto, role in _ROLES.items()}
_OUTCOMES = {
    usage_pb2.ATTEMPT_OUTCOME_SUCCEEDED: "succeeded",
    usage_pb2.ATTEMPT_OUTCOME_FAILED: "failed",
    usage_pb2.ATTEMPT_OUTCOME_CANCELLED: "cancelled",
    usage_pb2.ATTEMPT_OUTCOME_INTERRUPTED: "interrupted",
}


_OUTCOMES_TO_PROTO: Final = {name: number for number, name in _OUTCOMES.items()}
_MODES_TO_PROTO: Final = {name: number for number, name in MODE_NAMES.items()}
_OPERATIONS_TO_PROTO: Final = {"chat": usage_pb2.OPERATION_CHAT, "embeddings": usage_pb2.OPERATION_EMBEDDINGS}
_PURPOSES_TO_PROTO: Final[Mapping[schema.Purpose, "usage_pb2.Purpose.ValueType"]] = {
    "shadow": usage_pb2.PURPOSE_SHADOW,
    "hedge": usage_pb2.PURPOSE_HEDGE,
}
_PURPOSES: Final[Mapping[int, schema.Purpose]] = {number: name for name, number in _PURPOSES_TO_PROTO.items()}
_EXPORT_PAGE: Final = 250
_CONTROLS: Final[Mapping[int, Control]] = {
    completion_pb2.ReasoningPlan.CONTROL_NONE: "none",
    completion_pb2.ReasoningPlan.CONTROL_FIXED: "fixed",
    completion_pb2.ReasoningPlan.CONTROL_SWITCH: "switch",
    completion_pb2.ReasoningPlan.CONTROL_EFFORT: "effort",
    completion_pb2.ReasoningPlan.CONTROL_BUDGET: "budget",
}


class _Rates(TypedDict):
    input: str
    output: str
    cached_input: str | None
    cache_write: str | None
    long_cache_write: str | None
    reasoning: str | None


def identity_from_proto(key: account_pb2.Key, key_sha256: bytes) -> Identity:
    return Identity(
        key_id=key.key_id,
        tenant_id=key.tenant_id,
        # A role that this version does not know gives the fewest rights.
        role=_ROLES.get(key.role, Role.MEMBER),
        team_id=key.team_id,
        user_id=key.user_id,
        expire_time=datetime_from(key.expire_time) if key.HasField("expire_time") else None,
        on_disconnect=_on_disconnect(key),
        key_sha256=key_sha256,
    )


def _on_disconnect(key: account_pb2.Key) -> OnDisconnect | None:
    match key.disconnect_policy.action:
        case account_pb2.DisconnectPolicy.ACTION_CANCEL:
            return CANCEL
        case account_pb2.DisconnectPolicy.ACTION_CONTINUE:
            return CONTINUE
        case account_pb2.DisconnectPolicy.ACTION_GRACE:
            grace: timedelta = key.disconnect_policy.grace.ToTimedelta()
            return OnDisconnect(grace)
    return None


def _seconds(message: account_pb2.Key | router_pb2.Model, field: str) -> int | None:
    if not message.HasField(field):  # type: ignore[arg-type]
        return None
    time: Timestamp = getattr(message, field)
    return time.seconds


def key_from_proto(key: account_pb2.Key) -> schema.Key:
    return schema.Key(
        id=key.key_id,
        name=key.name,
        hint=key.hint,
        role=_ROLES.get(key.role, Role.MEMBER).value,
        user_id=key.user_id or None,
        team_id=key.team_id or None,
        created_at=key.create_time.seconds,
        expires_at=_seconds(key, "expire_time"),
        revoked_at=_seconds(key, "revoke_time"),
        on_disconnect=None if (policy := _on_disconnect(key)) is None else str(policy),
    )


def new_key_from_proto(answer: account_service_pb2.CreateKeyResponse) -> schema.NewKey:
    key = key_from_proto(answer.key)
    fields = {name: getattr(key, name) for name in key.__struct_fields__}
    return schema.NewKey(**fields, key=answer.secret)


def new_key_to_proto(asked: schema.KeyRequest, maker: Identity) -> account_service_pb2.CreateKeyRequest:
    proto = account_service_pb2.CreateKeyRequest(
        tenant_id=maker.tenant_id,
        maker_key_id=maker.key_id,
        name=asked.name,
        role=_ROLES_TO_PROTO[Role(asked.role)],
        user_id=asked.user_id or "",
        team_id=asked.team_id or "",
    )
    if asked.expires_at is not None:
        proto.expire_time.seconds = asked.expires_at
    if asked.on_disconnect is not None:
        proto.disconnect_policy.CopyFrom(_policy(on_disconnect(asked.on_disconnect, "on_disconnect")))
    return proto


def _policy(policy: OnDisconnect) -> account_pb2.DisconnectPolicy:
    if policy == CANCEL:
        return account_pb2.DisconnectPolicy(action=account_pb2.DisconnectPolicy.ACTION_CANCEL)
    if policy.grace is None:
        return account_pb2.DisconnectPolicy(action=account_pb2.DisconnectPolicy.ACTION_CONTINUE)
    return account_pb2.DisconnectPolicy(action=account_pb2.DisconnectPolicy.ACTION_GRACE, grace=duration(policy.grace))


def list_keys_to_proto(tenant_id: str, limit: int, page_token: str) -> account_service_pb2.ListKeysRequest:
    return account_service_pb2.ListKeysRequest(tenant_id=tenant_id, page_size=limit, page_token=page_token)


def open_stream_from_proto(stream: stream_pb2.OpenStream) -> schema.OpenStream:
    return schema.OpenStream(
        id=f"chatcmpl-{stream.completion_id}",
        created_at=stream.create_time.seconds,
        requested_model=stream.requested_model,
        model=stream.model,
        route=stream.route or None,
        attempt=stream.attempt,
        key_id=stream.key_id,
        user_id=stream.user_id or None,
    )


def model_from_proto(model: router_pb2.Model) -> schema.Model:
    retires = datetime_from(model.retire_time) if model.HasField("retire_time") else None
    return schema.Model(
        id=model.id,
        created=_seconds(model, "create_time") or 0,
        owned_by=model.provider or "omnix",
        shutdown_date=retires.date().isoformat() if retires else None,
        provider=model.provider or None,
        model=model.model or None,
        aliases=list(model.aliases),
        display_name=model.display_name or model.id,
        context_window=model.context_window or None,
        max_output_tokens=model.max_output_tokens or None,
        capabilities=list(model.capabilities),
        reasoning=_reasoning_from_proto(model.reasoning) if model.HasField("reasoning") else None,
        pricing=price_from_proto(model.price) if model.HasField("price") else None,
        retirement=None if retires is None else int(retires.timestamp()),
        sandbox=model.sandbox,
        targets=[schema.Target(provider=each.provider, model=each.model, weight=each.weight) for each in model.targets]
        or UNSET,
    )


def _reasoning_from_proto(reasoning: router_pb2.ReasoningControl) -> schema.ReasoningControl | None:
    control = _CONTROLS.get(reasoning.control)
    if control is None:
        return None
    return schema.ReasoningControl(
        control=control,
        efforts=[EFFORT_NAMES[effort] for effort in reasoning.efforts if effort in EFFORT_NAMES],
        min_budget_tokens=reasoning.min_budget_tokens or None,
        max_budget_tokens=reasoning.max_budget_tokens or None,
        can_disable=reasoning.can_disable,
        modes=[MODE_NAMES[mode] for mode in reasoning.modes if mode in MODE_NAMES],
    )


def price_from_proto(price: usage_pb2.Price) -> schema.Pricing:
    return schema.Pricing(
        currency=price.currency,
        **_rates(price),
        audio_input=_optional(price, "audio_input_micros_per_million"),
        audio_output=_optional(price, "audio_output_micros_per_million"),
        batch_input=_optional(price, "batch_input_micros_per_million"),
        batch_output=_optional(price, "batch_output_micros_per_million"),
        tiers=[schema.Tier(above_input_tokens=tier.above_input_tokens, **_rates(tier)) for tier in price.tiers],
        effective=price.effective_time.seconds,
    )


def _rates(rates: usage_pb2.Price | usage_pb2.PriceTier) -> _Rates:
    return {
        "input": decimal(rates.input_micros_per_million),
        "output": decimal(rates.output_micros_per_million),
        "cached_input": _optional(rates, "cached_input_micros_per_million"),
        "cache_write": _optional(rates, "cache_write_micros_per_million"),
        "long_cache_write": _optional(rates, "long_cache_write_micros_per_million"),
        "reasoning": _optional(rates, "reasoning_micros_per_million"),
    }


def _optional(rates: usage_pb2.Price | usage_pb2.PriceTier, field: str) -> str | None:
    return decimal(getattr(rates, field)) if rates.HasField(field) else None  # type: ignore[arg-type]


def usage_filter_to_proto(
    query: schema.UsageDimensions, label: tuple[str, str] | None, identity: Identity
) -> usage_service_pb2.UsageFilter:
    """What the query asks for, within what the key may see: the tenant's for admins, its own for members."""
    proto = usage_service_pb2.UsageFilter(
        tenant_id=identity.tenant_id,
        key_id=(query.key_id or "") if identity.role is Role.ADMIN else identity.key_id,
        user_id=query.user_id or "",
        completion_id=(query.completion_id or "").removeprefix("chatcmpl-").removeprefix("embd-"),
        model=query.model or "",
        provider=query.provider or "",
        team_id=query.team_id or "",
        route=query.route or "",
        outcome=None if query.outcome is None else _OUTCOMES_TO_PROTO[query.outcome],
        operation=None if query.operation is None else _OPERATIONS_TO_PROTO[query.operation],
        streamed=query.streamed,
        compute_mode=None if query.mode is None else _MODES_TO_PROTO[query.mode],
        label=None if label is None else usage_service_pb2.Label(name=label[0], value=label[1]),
        estimated=query.estimated,
        unpriced=query.unpriced,
    )
    if query.purpose == "answer":
        proto.answers_only = True
    elif query.purpose is not None:
        proto.purpose = _PURPOSES_TO_PROTO[query.purpose]
    if query.start_time is not None:
        proto.start_time.CopyFrom(timestamp(query.start_time))
    if query.end_time is not None:
        proto.end_time.CopyFrom(timestamp(query.end_time))
    return proto


def usage_to_proto(
    query: schema.UsageQuery, label: tuple[str, str] | None, identity: Identity
) -> usage_service_pb2.ListUsageEntriesRequest:
    return usage_service_pb2.ListUsageEntriesRequest(
        filter=usage_filter_to_proto(query, label, identity), page_size=query.limit, page_token=query.page_token or ""
    )


def export_to_proto(
    query: schema.UsageDimensions, label: tuple[str, str] | None, identity: Identity, page_token: str
) -> usage_service_pb2.ListUsageEntriesRequest:
    return usage_service_pb2.ListUsageEntriesRequest(
        filter=usage_filter_to_proto(query, label, identity), page_size=_EXPORT_PAGE, page_token=page_token
    )


def summary_to_proto(
    query: schema.UsageQuery, label: tuple[str, str] | None, identity: Identity
) -> usage_service_pb2.SummarizeUsageRequest:
    return usage_service_pb2.SummarizeUsageRequest(filter=usage_filter_to_proto(query, label, identity))


def moment(time: Timestamp) -> str:
    """RFC 3339, to the millisecond."""
    return time.ToDatetime(tzinfo=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def usage_entry_from_proto(entry: usage_pb2.UsageEntry) -> schema.UsageEntry:
    event = entry.event
    usage = event.usage
    cost = entry.cost_micros if entry.HasField("cost_micros") else None
    billed = entry.billed_micros if entry.HasField("billed_micros") else None
    embeds = event.operation == usage_pb2.OPERATION_EMBEDDINGS
    return schema.UsageEntry(
        id=event.attempt_id,
        completion_id=f"{'embd' if embeds else 'chatcmpl'}-{event.completion_id}",
        operation="embeddings" if embeds else "chat",
        purpose=_PURPOSES.get(event.purpose),
        attempt=event.attempt,
        key_id=event.caller.key_id,
        user_id=event.caller.user_id or None,
        team_id=event.caller.team_id or None,
        requested_model=event.requested_model,
        provider=event.provider,
        model=event.model,
        route=event.route or None,
        mode=MODE_NAMES.get(event.compute_mode) if event.HasField("compute_mode") else None,
        streamed=event.streamed,
        outcome=_OUTCOMES.get(event.outcome, "unknown"),
        error=error_body(error_from_proto(event.error)) if event.HasField("error") else None,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        cache_write_input_tokens=usage.cache_write_input_tokens,
        long_cache_write_input_tokens=usage.long_cache_write_input_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        audio_input_tokens=usage.audio_input_tokens,
        audio_output_tokens=usage.audio_output_tokens,
        estimated=usage.estimated,
        cost_micros=cost,
        cost=None if cost is None else decimal(cost),
        currency=entry.currency or None,
        unpriced=cost is None,
        billed_micros=billed,
        billed=None if billed is None else decimal(billed),
        billed_currency=entry.billed_currency or None,
        rule_id=entry.rule_id or None,
        pricing=price_from_proto(event.price) if event.HasField("price") else None,
        rated_pricing=price_from_proto(entry.rated_price) if entry.HasField("rated_price") else None,
        former_ratings=[_rating_from_proto(rating) for rating in entry.former_ratings],
        start_time=moment(event.start_time),
        end_time=moment(event.end_time),
        record_time=moment(entry.record_time),
        first_content_ms=round(event.first_content_us / 1000, 3) if event.first_content_us else None,
        metadata=dict(event.metadata),
        sandbox=event.sandbox,
    )


def _rating_from_proto(rating: usage_pb2.UsageRating) -> schema.UsageRating:
    return schema.UsageRating(
        cost_micros=rating.cost_micros if rating.HasField("cost_micros") else None,
        currency=rating.currency or None,
        billed_micros=rating.billed_micros if rating.HasField("billed_micros") else None,
        billed_currency=rating.billed_currency or None,
        rule_id=rating.rule_id or None,
        rated_pricing=price_from_proto(rating.rated_price) if rating.HasField("rated_price") else None,
        rate_time=moment(rating.rate_time),
        replace_time=moment(rating.replace_time),
        user_id=rating.replacer.user_id or None,
        key_id=rating.replacer.key_id or None,
    )


def usage_total_from_proto(total: usage_service_pb2.UsageTotal) -> schema.UsageTotal:
    return schema.UsageTotal(
        provider=total.provider,
        model=total.model,
        currency=total.currency or None,
        purpose=_PURPOSES.get(total.purpose),
        attempts=total.attempts,
        input_tokens=total.input_tokens,
        output_tokens=total.output_tokens,
        cost_micros=total.cost_micros if total.currency else None,
        cost=decimal(total.cost_micros) if total.currency else None,
        billed_micros=total.billed_micros if total.billed_currency else None,
        billed=decimal(total.billed_micros) if total.billed_currency else None,
        billed_currency=total.billed_currency or None,
        unpriced=not total.currency,
    )
