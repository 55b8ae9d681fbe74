"""Limits and leases between protobuf and the domain."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final, TypeVar

from omnix.common.v1 import caller_pb2
from omnix.usage.v1 import quota_pb2 as pb
from omnix_kit.caller import Caller
from omnix_kit.convert import duration, timestamp

from omnix_usage_metering.errors import invalid
from omnix_usage_metering.quotas.leasing import Ask
from omnix_usage_metering.quotas.limits import Enforcement, Kind, Limit, Subject
from omnix_usage_metering.quotas.quotas import Lease, Place, Reached, Use

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
_ENFORCEMENTS: Final[Mapping[int, Enforcement]] = MappingProxyType(
    {pb.LIMIT_ENFORCEMENT_SOFT: Enforcement.SOFT, pb.LIMIT_ENFORCEMENT_HARD: Enforcement.HARD}
)


def limit_from_proto(message: pb.Limit, now: datetime) -> Limit:
    """:raises CallerError: for what is unspecified."""
    return Limit(
        limit_id=message.limit_id,
        tenant_id=message.tenant_id,
        subject=_known(_SUBJECTS, message.subject, "subject"),
        subject_id=message.subject_id,
        model_pattern=message.model_pattern,
        kind=_known(_KINDS, message.kind, "kind"),
        amount=message.amount,
        enforcement=_known(_ENFORCEMENTS, message.enforcement, "enforcement"),
        version=0,
        create_time=now,
        update_time=now,
    )


def _known(names: Mapping[int, T], value: int, field: str) -> T:
    if value not in names:
        raise invalid(f"limit.{field}", f"limit.{field} is unspecified or unknown.")
    return names[value]


def _number(names: Mapping[int, T], value: T) -> int:
    return next(number for number, name in names.items() if name == value)


def limit_to_proto(limit: Limit) -> pb.Limit:
    return pb.Limit(
        limit_id=limit.limit_id,
        tenant_id=limit.tenant_id,
        subject=pb.LimitSubject.ValueType(_number(_SUBJECTS, limit.subject)),
        subject_id=limit.subject_id,
        model_pattern=limit.model_pattern,
        kind=pb.LimitKind.ValueType(_number(_KINDS, limit.kind)),
        amount=limit.amount,
        enforcement=pb.LimitEnforcement.ValueType(_number(_ENFORCEMENTS, limit.enforcement)),
        version=limit.version,
        create_time=timestamp(limit.create_time),
        update_time=timestamp(limit.update_time),
    )


def use_to_proto(use: Use) -> pb.LimitUsage:
    return pb.LimitUsage(
        limit=limit_to_proto(use.limit),
        subject_id=use.subject_id,
        used=use.used,
        reserved=use.reserved,
        reset_time=None if use.reset_time is None else timestamp(use.reset_time),
    )


def ask_from_proto(message: pb.LeaseAsk) -> tuple[Place, Ask]:
    place = Place(message.tenant_id, message.limit_id, message.subject_id)
    return place, Ask(message.window, message.spent, message.reserved, message.need, message.want)


def grant_to_proto(lease: Lease | None) -> pb.LeaseGrant:
    if lease is None:
        return pb.LeaseGrant()
    return pb.LeaseGrant(
        window=lease.window,
        granted=lease.grant.granted,
        available=lease.grant.available,
        exhausted=lease.grant.exhausted,
        lifetime=duration(lease.lifetime),
        reset_delay=None if lease.reset is None else duration(lease.reset),
        limit_version=lease.limit.version,
    )


def caller_from_proto(message: caller_pb2.Caller) -> Caller:
    return Caller(message.tenant_id, message.team_id, message.user_id, message.key_id)


def reached_to_bytes(reached: Reached) -> bytes:
    return pb.LimitReached(
        event_id=reached.event_id,
        limit=limit_to_proto(reached.limit),
        subject_id=reached.subject_id,
        used=reached.used,
        reach_time=timestamp(reached.time),
    ).SerializeToString()


def changed_to_bytes(tenant_id: str, limit_id: str) -> bytes:
    return pb.LimitChanged(tenant_id=tenant_id, limit_id=limit_id).SerializeToString()
