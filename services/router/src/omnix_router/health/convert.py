"""Health between protobuf and the router's own words."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from omnix.common.v1 import errors_pb2
from omnix.provider.v1 import health_pb2
from omnix.router.v1 import health_pb2 as report_pb2
from omnix_kit.convert import duration, timestamp
from omnix_kit.errors import Reason

from omnix_router.health.circuits import Outage
from omnix_router.health.fleet import CHANGES, Change, Record
from omnix_router.health.reporting import ProviderReport, State, TargetReport

_STATES: Final = MappingProxyType(
    {
        State.UNKNOWN: report_pb2.ProviderHealth.STATE_UNKNOWN,
        State.HEALTHY: report_pb2.ProviderHealth.STATE_HEALTHY,
        State.DEGRADED: report_pb2.ProviderHealth.STATE_DEGRADED,
        State.DOWN: report_pb2.ProviderHealth.STATE_DOWN,
    }
)
_MOST_CIRCUITS: Final = 1000
"""Of one provider in one message, which NATS bounds."""


def record_to_bytes(record: Record) -> bytes:
    outages = list(record.outages.values())[-_MOST_CIRCUITS:]
    return health_pb2.ProviderHealthChanged(
        provider=record.provider,
        revision=record.revision,
        circuits=[_outage_to_proto(outage) for outage in outages],
        changes=[change_to_proto(change) for change in record.changes],
    ).SerializeToString()


def record_from_bytes(data: bytes) -> Record | None:
    """None when it cannot be read. What this version does not know is left out."""
    try:
        message = health_pb2.ProviderHealthChanged.FromString(data)
    except DecodeError:
        return None
    if not message.provider:
        return None
    outages = {
        circuit.model: _outage_from_proto(message.provider, circuit)
        for circuit in message.circuits
        if circuit.state in (health_pb2.CIRCUIT_STATE_OPEN, health_pb2.CIRCUIT_STATE_HALF_OPEN)
    }
    changes = tuple(_change_from_proto(change) for change in message.changes[-CHANGES:])
    return Record(message.provider, message.revision, MappingProxyType(outages), changes)


def report_to_proto(report: ProviderReport) -> report_pb2.ProviderHealth:
    return report_pb2.ProviderHealth(
        provider=report.provider,
        state=_STATES[report.state],
        since_time=None if report.since is None else _time(report.since),
        why=report.why,
        targets=[_target_to_proto(target) for target in report.targets],
        history=_changes_to_proto(report.history),
        sandbox=report.sandbox,
    )


def change_to_proto(change: Change) -> health_pb2.CircuitChange:
    return health_pb2.CircuitChange(
        change_time=_time(change.time),
        model=change.model,
        state=health_pb2.CIRCUIT_STATE_OPEN if change.opened else health_pb2.CIRCUIT_STATE_CLOSED,
        error_reason=_reason_to_proto(change.reason),
        why=change.why,
        router=change.router,
    )


def _changes_to_proto(changes: Iterable[Change]) -> list[health_pb2.CircuitChange]:
    return [change_to_proto(change) for change in changes]


def _change_from_proto(change: health_pb2.CircuitChange) -> Change:
    opened = change.state == health_pb2.CIRCUIT_STATE_OPEN
    reason = _reason_from_proto(change.error_reason) if opened else None
    return Change(_seconds(change.change_time), change.model, opened, change.why, change.router, reason)


def _outage_to_proto(outage: Outage) -> health_pb2.Circuit:
    return health_pb2.Circuit(
        model=outage.model,
        state=_state_of(outage),
        since_time=_time(outage.since),
        open_time=_time(outage.opened),
        until_time=_time(outage.until),
        error_reason=_reason_to_proto(outage.reason),
        provider_status=outage.status or 0,
        why=outage.why,
        prober=outage.prober,
    )


def _outage_from_proto(provider: str, circuit: health_pb2.Circuit) -> Outage:
    return Outage(
        provider,
        circuit.model,
        since=_seconds(circuit.since_time),
        opened=_seconds(circuit.open_time),
        until=_seconds(circuit.until_time),
        reason=_reason_from_proto(circuit.error_reason),
        status=circuit.provider_status or None,
        why=circuit.why,
        prober=circuit.prober,
    )


def _target_to_proto(target: TargetReport) -> report_pb2.TargetHealth:
    figures, outage = target.figures, target.outage
    message = report_pb2.TargetHealth(
        model=target.model,
        circuit=health_pb2.CIRCUIT_STATE_CLOSED,
        calls=figures.calls,
        failures=figures.failures,
    )
    if (half := figures.percentile(0.5)) is not None:
        message.first_content_p50.CopyFrom(duration(timedelta(seconds=half)))
    if (most := figures.percentile(0.95)) is not None:
        message.first_content_p95.CopyFrom(duration(timedelta(seconds=most)))
    if outage is not None:
        message.circuit = _state_of(outage)
        message.since_time.CopyFrom(_time(outage.since))
        message.until_time.CopyFrom(_time(outage.until))
        message.error_reason = _reason_to_proto(outage.reason)
        message.why = outage.why
    return message


def _state_of(outage: Outage) -> "health_pb2.CircuitState.ValueType":
    return health_pb2.CIRCUIT_STATE_HALF_OPEN if outage.prober else health_pb2.CIRCUIT_STATE_OPEN


def _reason_to_proto(reason: Reason | None) -> "errors_pb2.ErrorReason.ValueType":
    if reason is None:
        return errors_pb2.ERROR_REASON_UNSPECIFIED
    return errors_pb2.ErrorReason.Value(f"ERROR_REASON_{reason.value}")


def _reason_from_proto(reason: "errors_pb2.ErrorReason.ValueType") -> Reason:
    try:
        return Reason(errors_pb2.ErrorReason.Name(reason).removeprefix("ERROR_REASON_"))
    except ValueError:
        return Reason.INTERNAL


def _time(seconds: float) -> Timestamp:
    return timestamp(datetime.fromtimestamp(seconds, UTC))


def _seconds(time: Timestamp) -> float:
    return time.seconds + time.nanos / 1e9
