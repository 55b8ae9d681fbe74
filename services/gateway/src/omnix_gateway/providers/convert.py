"""Providers' health: protobuf to what the API tells."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from msgspec import UNSET
from omnix.common.v1 import errors_pb2
from omnix.provider.v1 import health_pb2
from omnix.router.v1 import health_pb2 as report_pb2
from omnix.router.v1 import router_service_pb2
from omnix_kit.convert import datetime_from

from omnix_gateway.providers import schema

_STATES: Final[Mapping[int, schema.State]] = MappingProxyType(
    {
        report_pb2.ProviderHealth.STATE_HEALTHY: "healthy",
        report_pb2.ProviderHealth.STATE_DEGRADED: "degraded",
        report_pb2.ProviderHealth.STATE_DOWN: "down",
    }
)
_CIRCUITS: Final[Mapping[int, schema.Circuit]] = MappingProxyType(
    {
        health_pb2.CIRCUIT_STATE_OPEN: "open",
        health_pb2.CIRCUIT_STATE_HALF_OPEN: "half_open",
    }
)


def health_from_proto(
    answer: router_service_pb2.ListProviderHealthResponse, *, history: bool
) -> schema.ProviderHealthList:
    return schema.ProviderHealthList(
        window_seconds=answer.window.ToTimedelta().total_seconds(),
        data=[_provider(provider, history=history) for provider in answer.providers],
    )


def _provider(provider: report_pb2.ProviderHealth, *, history: bool) -> schema.ProviderHealth:
    return schema.ProviderHealth(
        provider=provider.provider,
        state=_STATES.get(provider.state, "unknown"),
        since_time=_time(provider.since_time, provider.HasField("since_time")),
        why=provider.why or None,
        sandbox=provider.sandbox,
        targets=[_target(target) for target in provider.targets],
        history=[_change(change) for change in provider.history] if history else UNSET,
    )


def _target(target: report_pb2.TargetHealth) -> schema.TargetHealth:
    first_content = None
    if target.HasField("first_content_p50"):
        first_content = schema.FirstContent(
            p50=target.first_content_p50.ToTimedelta().total_seconds(),
            p95=target.first_content_p95.ToTimedelta().total_seconds(),
        )
    return schema.TargetHealth(
        model=target.model,
        circuit=_CIRCUITS.get(target.circuit, "closed"),
        since_time=_time(target.since_time, target.HasField("since_time")),
        until_time=_time(target.until_time, target.HasField("until_time")),
        reason=_reason(target.error_reason),
        why=target.why or None,
        calls=target.calls,
        failures=target.failures,
        error_rate=round(target.failures / target.calls, 4) if target.calls else None,
        first_content_seconds=first_content,
    )


def _change(change: health_pb2.CircuitChange) -> schema.HealthChange:
    return schema.HealthChange(
        time=datetime_from(change.change_time),
        model=change.model,
        circuit=_CIRCUITS.get(change.state, "closed"),
        reason=_reason(change.error_reason),
        why=change.why,
    )


def _time(time: Timestamp, is_set: bool) -> datetime | None:
    return datetime_from(time) if is_set else None


def _reason(reason: "errors_pb2.ErrorReason.ValueType") -> str | None:
    """As codes of errors are written; what this version does not know is left out."""
    if reason == errors_pb2.ERROR_REASON_UNSPECIFIED or reason not in errors_pb2.ErrorReason.values():
        return None
    return errors_pb2.ErrorReason.Name(reason).removeprefix("ERROR_REASON_").lower()
