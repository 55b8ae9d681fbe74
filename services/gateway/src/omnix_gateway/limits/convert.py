"""Limits, leases and prices between protobuf and the domain."""

from collections.abc import Iterable, Mapping
from datetime import UTC
from decimal import ROUND_HALF_UP, Decimal
from types import MappingProxyType
from typing import Final, TypeVar

from omnix.common.v1 import caller_pb2
from omnix.completion.v1 import completion_pb2
from omnix.embedding.v1 import embedding_pb2
from omnix.router.v1 import router_pb2
from omnix.usage.v1 import quota_pb2 as pb
from omnix.usage.v1 import quota_service_pb2 as service_pb
from omnix_kit.convert import timestamp

from omnix_gateway.chat.answer import decimal
from omnix_gateway.errors import invalid
from omnix_gateway.identity import Identity
from omnix_gateway.limits import schema
from omnix_gateway.limits.expected import Expected
from omnix_gateway.limits.limit import Kind, Limit, Subject
from omnix_gateway.limits.prices import Rate
from omnix_gateway.limits.slices import Ask, Grant, Slice

T = TypeVar("T")

_SUBJECTS: Final[Mapping[int, Subject]] = MappingProxyType(
    {
        pb.LIMIT_SUBJECT_TENANT: Subject.TENANT,
        pb.LIMIT_SUBJECT_TEAM: Subject.TEAM,
        pb.LIMIT_SUBJECT_USER: Subject.USER,
        pb.LIMIT_SUBJECT_KEY: Subject.KEY,
    }
)
_KINDS: Final[Mapping[int, Kind]] = MappingProxyType(
    {
        pb.LIMIT_KIND_REQUESTS_PER_MINUTE: Kind.REQUESTS_PER_MINUTE,
        pb.LIMIT_KIND_TOKENS_PER_MINUTE: Kind.TOKENS_PER_MINUTE,
        pb.LIMIT_KIND_CONCURRENT_REQUESTS: Kind.CONCURRENT_REQUESTS,
        pb.LIMIT_KIND_COST_PER_DAY: Kind.COST_PER_DAY,
        pb.LIMIT_KIND_COST_PER_MONTH: Kind.COST_PER_MONTH,
    }
)
_MICROS: Final = 1_000_000
_MOST_DOLLARS: Final = 1_000_000_000
_BYTES_A_TOKEN: Final = 4


def limits_from_proto(messages: Iterable[pb.Limit]) -> tuple[Limit, ...]:
    """Those that this version understands."""
    return tuple(
        Limit(
            limit_id=message.limit_id,
            tenant_id=message.tenant_id,
            subject=_SUBJECTS[message.subject],
            subject_id=message.subject_id,
            model_pattern=message.model_pattern,
            kind=_KINDS[message.kind],
            amount=message.amount,
            is_hard=message.enforcement == pb.LIMIT_ENFORCEMENT_HARD,
            version=message.version,
        )
        for message in messages
        if message.subject in _SUBJECTS and message.kind in _KINDS
    )


def tenant_of_change(data: bytes) -> str:
    """:raises google.protobuf.message.DecodeError: when the bytes are something else."""
    return pb.LimitChanged.FromString(data).tenant_id


def asks_to_proto(gateway_id: str, asks: Iterable[tuple[Slice, Ask]]) -> service_pb.LeaseQuotaRequest:
    return service_pb.LeaseQuotaRequest(
        gateway_id=gateway_id,
        asks=[
            pb.LeaseAsk(
                tenant_id=slice.limit.tenant_id,
                limit_id=slice.limit.limit_id,
                subject_id=slice.subject_id,
                window=ask.window,
                spent=max(0, ask.spent),
                reserved=max(0, ask.reserved),
                need=ask.need,
                want=ask.want,
            )
            for slice, ask in asks
        ],
    )


def grants_from_proto(answer: service_pb.LeaseQuotaResponse) -> list[Grant]:
    return [
        Grant(
            window=message.window,
            granted=message.granted,
            available=message.available,
            exhausted=message.exhausted,
            lifetime=message.lifetime.ToTimedelta().total_seconds(),
            reset=message.reset_delay.ToTimedelta().total_seconds() if message.HasField("reset_delay") else None,
            version=message.limit_version,
        )
        for message in answer.grants
    ]


def rates_from_proto(models: Iterable[router_pb2.Model]) -> dict[str, Rate]:
    """What each name costs; a route as much as its dearest target."""
    rates: dict[str, Rate] = {}
    routes = []
    for model in models:
        if model.targets:
            routes.append(model)
        elif model.HasField("price"):
            rate = Rate(model.price.input_micros_per_million, model.price.output_micros_per_million)
            for name in (model.id, *model.aliases):
                rates[name] = rate
    for route in routes:
        known = [rates[name] for each in route.targets if (name := f"{each.provider}/{each.model}") in rates]
        if known:
            rates[route.id] = Rate(max(each.input for each in known), max(each.output for each in known))
    return rates


# What a request may take, before anybody has counted.


def expected_of_completion(request: completion_pb2.CompletionRequest, assumed: int) -> Expected:
    """:param assumed: tokens of an answer that the request sets no bound to."""
    most = request.max_output_tokens if request.HasField("max_output_tokens") else assumed
    return Expected(_prompt_tokens(request), most * max(1, request.candidate_count))


def expected_of_embedding(request: embedding_pb2.EmbeddingRequest) -> Expected:
    return Expected(sum(-(-len(each.text) // _BYTES_A_TOKEN) + len(each.tokens.ids) for each in request.inputs), 0)


def _prompt_tokens(request: completion_pb2.CompletionRequest) -> int:
    """A token is four bytes of text; images, sounds and files are not reckoned."""
    size = 0
    for message in request.messages:
        for part in message.parts:
            size += len(part.text)
        for call in message.tool_calls:
            size += len(call.arguments_json)
    for tool in request.tools:
        size += len(tool.name) + len(tool.description) + len(tool.parameters_json)
    return -(-size // _BYTES_A_TOKEN)


# Over HTTP.


def put_to_proto(limit_id: str, asked: schema.LimitRequest, identity: Identity) -> service_pb.PutLimitRequest:
    kind = Kind(asked.kind)
    if (asked.cost is not None) is not kind.is_cost or (asked.amount is None) is not kind.is_cost:
        wanted = "'cost'" if kind.is_cost else "'amount'"
        raise invalid(f"A limit of '{kind}' has {wanted}, and nothing else says how much.", wanted.strip("'"))
    amount = asked.amount or 0 if asked.cost is None else _micros(asked.cost)
    return service_pb.PutLimitRequest(
        limit=pb.Limit(
            limit_id=limit_id,
            tenant_id=identity.tenant_id,
            subject=pb.LimitSubject.ValueType(_number(_SUBJECTS, Subject(asked.subject))),
            subject_id=asked.subject_id or "",
            model_pattern=asked.model or "",
            kind=pb.LimitKind.ValueType(_number(_KINDS, kind)),
            amount=amount,
            enforcement=pb.LIMIT_ENFORCEMENT_HARD if asked.enforcement == "hard" else pb.LIMIT_ENFORCEMENT_SOFT,
        )
    )


def _micros(amount: Decimal) -> int:
    if not amount.is_finite() or not 0 < amount <= _MOST_DOLLARS:
        raise invalid(f"'cost' must be more than 0 and at most {_MOST_DOLLARS} US dollars.", "cost")
    return int((amount * _MICROS).to_integral_value(ROUND_HALF_UP))


def _number(names: Mapping[int, T], value: T) -> int:
    return next(number for number, name in names.items() if name == value)


def limit_to_schema(message: pb.Limit) -> schema.Limit:
    kind = _KINDS.get(message.kind)
    is_cost = kind is not None and kind.is_cost
    return schema.Limit(
        id=message.limit_id,
        subject=_SUBJECTS[message.subject].value if message.subject in _SUBJECTS else "unknown",
        subject_id=message.subject_id or None,
        model=message.model_pattern or None,
        kind="unknown" if kind is None else kind.value,
        amount=None if is_cost else message.amount,
        cost=decimal(message.amount) if is_cost else None,
        enforcement="hard" if message.enforcement == pb.LIMIT_ENFORCEMENT_HARD else "soft",
        version=message.version,
        created_at=message.create_time.seconds,
        updated_at=message.update_time.seconds,
    )


def usage_to_schema(message: pb.LimitUsage) -> schema.LimitUsage:
    limit = message.limit
    kind = _KINDS.get(limit.kind)
    remaining = max(0, limit.amount - message.used)
    is_cost = kind is not None and kind.is_cost
    reset = message.reset_time.ToDatetime(tzinfo=UTC) if message.HasField("reset_time") else None
    return schema.LimitUsage(
        limit=limit_to_schema(limit),
        subject_id=message.subject_id or None,
        used=None if is_cost else message.used,
        remaining=None if is_cost else remaining,
        used_cost=decimal(message.used) if is_cost else None,
        remaining_cost=decimal(remaining) if is_cost else None,
        resets_at=None if reset is None else timestamp(reset).seconds,
    )


def usage_asked(identity: Identity) -> service_pb.GetLimitUsageRequest:
    return service_pb.GetLimitUsageRequest(
        caller=caller_pb2.Caller(
            tenant_id=identity.tenant_id,
            team_id=identity.team_id,
            user_id=identity.user_id,
            key_id=identity.key_id,
        )
    )
