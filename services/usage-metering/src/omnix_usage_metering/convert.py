"""Usage events and queries between protobuf and the domain."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Literal, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from omnix.common.v1 import caller_pb2
from omnix.completion.v1 import completion_pb2
from omnix.usage.v1 import usage_pb2, usage_service_pb2
from omnix_kit.convert import datetime_from, price_to_proto, timestamp
from omnix_kit.durable.errors import Unreadable
from omnix_kit.usage.convert import Checked, events_from_wire
from omnix_kit.usage.events import Outcome

from omnix_usage_metering.entries import Entry, Filter, Former, Label, Line, Mode, ModelTotal, Operation, Purpose
from omnix_usage_metering.errors import invalid

_PURPOSES: Mapping["usage_pb2.Purpose.ValueType", Purpose] = MappingProxyType(
    {usage_pb2.PURPOSE_SHADOW: Purpose.SHADOW, usage_pb2.PURPOSE_HEDGE: Purpose.HEDGE}
)
_OUTCOMES: Mapping["usage_pb2.AttemptOutcome.ValueType", Outcome] = MappingProxyType(
    {
        usage_pb2.ATTEMPT_OUTCOME_SUCCEEDED: Outcome.SUCCEEDED,
        usage_pb2.ATTEMPT_OUTCOME_FAILED: Outcome.FAILED,
        usage_pb2.ATTEMPT_OUTCOME_CANCELLED: Outcome.CANCELLED,
        usage_pb2.ATTEMPT_OUTCOME_INTERRUPTED: Outcome.INTERRUPTED,
    }
)
_OPERATIONS: Mapping["usage_pb2.Operation.ValueType", Operation] = MappingProxyType(
    {usage_pb2.OPERATION_CHAT: Operation.CHAT, usage_pb2.OPERATION_EMBEDDINGS: Operation.EMBEDDINGS}
)
_MODES: Mapping["completion_pb2.ComputeMode.ValueType", Mode] = MappingProxyType(
    {
        completion_pb2.COMPUTE_MODE_FLASH: Mode.FLASH,
        completion_pb2.COMPUTE_MODE_THINK: Mode.THINK,
        completion_pb2.COMPUTE_MODE_ULTRA_THINK: Mode.ULTRA_THINK,
    }
)
_PURPOSES_TO_PROTO = MappingProxyType({purpose: number for number, purpose in _PURPOSES.items()})
_LONGEST = 512
_Chosen = TypeVar("_Chosen")
_Number = TypeVar("_Number", bound=int)


def entries_from_wire(payload: bytes, subject: str, record_time: datetime) -> list[Entry | Unreadable]:
    """Read the events of one message, each for itself.

    :raises Poison: when the message as a whole cannot be read.
    """
    return [
        event if isinstance(event, Unreadable) else _entry(event, record_time)
        for event in events_from_wire(payload, subject)
    ]


def _entry(event: Checked, record_time: datetime) -> Entry:
    message = event.message
    caller = message.caller
    return Entry(
        attempt_id=message.attempt_id,
        completion_id=message.completion_id,
        tenant_id=caller.tenant_id,
        team_id=caller.team_id,
        user_id=caller.user_id,
        key_id=caller.key_id,
        provider=message.provider,
        model=message.model,
        outcome=event.outcome,
        certainty=event.certainty,
        tokens=event.tokens,
        price=event.price,
        start_time=event.start_time,
        purpose=_PURPOSES[message.purpose] if message.HasField("purpose") else None,
        route=message.route,
        operation=_OPERATIONS[message.operation] if message.HasField("operation") else Operation.CHAT,
        streamed=message.streamed,
        mode=_MODES[message.compute_mode] if message.HasField("compute_mode") else None,
        metadata=dict(message.metadata),
        sandbox=message.sandbox,
        event=message.SerializeToString(),
        record_time=record_time,
    )


def filter_from_proto(message: usage_service_pb2.UsageFilter) -> Filter:
    purpose = _chosen(message, "purpose", _PURPOSES)
    if purpose is not None and message.answers_only:
        raise invalid("filter.answers_only", "filter.answers_only is said beside filter.purpose.")
    return Filter(
        tenant_id=message.tenant_id,
        key_id=message.key_id,
        user_id=message.user_id,
        completion_id=message.completion_id,
        model=message.model,
        provider=message.provider,
        start_time=_bound(message.start_time, "start_time") if message.HasField("start_time") else None,
        end_time=_bound(message.end_time, "end_time") if message.HasField("end_time") else None,
        purpose=purpose,
        answers_only=message.answers_only,
        team_id=message.team_id,
        route=message.route,
        outcome=_chosen(message, "outcome", _OUTCOMES),
        operation=_chosen(message, "operation", _OPERATIONS),
        streamed=message.streamed if message.HasField("streamed") else None,
        mode=_chosen(message, "compute_mode", _MODES),
        label=_label(message.label) if message.HasField("label") else None,
        estimated=message.estimated if message.HasField("estimated") else None,
        unpriced=message.unpriced if message.HasField("unpriced") else None,
    )


def _chosen(
    message: usage_service_pb2.UsageFilter,
    field: Literal["purpose", "outcome", "operation", "compute_mode"],
    known: Mapping[_Number, _Chosen],
) -> _Chosen | None:
    if not message.HasField(field):
        return None
    if (value := known.get(getattr(message, field))) is None:
        raise invalid(f"filter.{field}", f"filter.{field} is unspecified or unknown.")
    return value


def _label(message: usage_service_pb2.Label) -> Label:
    if not message.name or len(message.name) > _LONGEST or len(message.value) > _LONGEST:
        raise invalid("filter.label", f"filter.label has no name, or more than {_LONGEST} characters.")
    return Label(message.name, message.value)


def _bound(message: Timestamp, name: str) -> datetime:
    try:
        return datetime_from(message)
    except (ValueError, OverflowError):
        raise invalid(f"filter.{name}", f"filter.{name} is not a time between the years 1 and 9999.") from None


def line_to_proto(line: Line) -> usage_pb2.UsageEntry:
    rating = line.rating
    return usage_pb2.UsageEntry(
        event=usage_pb2.UsageRecorded.FromString(line.event),
        cost_micros=rating.cost_micros,
        currency=rating.currency,
        record_time=timestamp(line.record_time),
        billed_micros=rating.billed_micros,
        billed_currency=rating.billed_currency,
        rule_id=rating.rule_id,
        rated_price=None if line.price is None else price_to_proto(line.price),
        former_ratings=[_former_to_proto(former) for former in line.former],
    )


def _former_to_proto(former: Former) -> usage_pb2.UsageRating:
    rating = former.rating
    return usage_pb2.UsageRating(
        cost_micros=rating.cost_micros,
        currency=rating.currency,
        billed_micros=rating.billed_micros,
        billed_currency=rating.billed_currency,
        rule_id=rating.rule_id,
        rated_price=None if former.price is None else price_to_proto(former.price),
        rate_time=timestamp(former.rate_time),
        replace_time=timestamp(former.replace_time),
        replacer=caller_pb2.Caller(user_id=former.user_id, key_id=former.key_id),
    )


def total_to_proto(total: ModelTotal) -> usage_service_pb2.UsageTotal:
    return usage_service_pb2.UsageTotal(
        provider=total.provider,
        model=total.model,
        currency=total.currency,
        attempts=total.attempts,
        input_tokens=total.input_tokens,
        output_tokens=total.output_tokens,
        cost_micros=total.cost_micros,
        purpose=None if total.purpose is None else _PURPOSES_TO_PROTO[total.purpose],
        billed_micros=total.billed_micros,
        billed_currency=total.billed_currency,
    )
