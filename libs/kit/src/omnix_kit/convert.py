"""Errors, prices and times between protobuf, gRPC status and the domain."""

from datetime import UTC, datetime, timedelta

import grpc
from google.protobuf import any_pb2, duration_pb2, timestamp_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from omnix.common.v1 import errors_pb2
from omnix.usage.v1 import usage_pb2

from omnix_kit.errors import OmnixError, Reason, error_for
from omnix_kit.money import Price, Rates, Tier

_DOMAIN = "omnix"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DETAILS_KEY = "grpc-status-details-bin"

# A status without our details comes from gRPC itself: the peer is away, the deadline passed, the message was too large.
_BARE = {
    grpc.StatusCode.UNAVAILABLE: Reason.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: Reason.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED: Reason.CANCELLED,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Reason.OVERLOADED,
}


def error_to_status(error: OmnixError) -> status_pb2.Status:
    """Tell an error as a gRPC status with ``ErrorInfo`` and, where a delay is known, ``RetryInfo``."""
    info = error_details_pb2.ErrorInfo(reason=error.reason.value, domain=_DOMAIN)
    if error.param:
        info.metadata["param"] = error.param
    if error.provider:
        info.metadata["provider"] = error.provider
    if error.provider_status:
        info.metadata["provider_status"] = str(error.provider_status)
    details = [_packed(info)]
    if error.retry_after is not None:
        details.append(_packed(error_details_pb2.RetryInfo(retry_delay=duration(error.retry_after))))
    code = code_pb2.Code.Value(error.meaning.grpc.name)
    return status_pb2.Status(code=code, message=error.message, details=details)


def error_from_rpc(exc: grpc.aio.AioRpcError, peer: str) -> OmnixError:
    """Read the error that a call of ``peer`` ended with."""
    for key, value in exc.trailing_metadata() or ():
        if key == _DETAILS_KEY:
            return _error_from_status(status_pb2.Status.FromString(value))
    reason = _BARE.get(exc.code(), Reason.INTERNAL)
    match reason:
        case Reason.UNAVAILABLE:
            return error_for(reason, f"The {peer} service is away.", retry_after=timedelta(seconds=1))
        case Reason.OVERLOADED:
            return error_for(reason, f"The {peer} service has too much to do.", retry_after=timedelta(seconds=1))
        case Reason.DEADLINE_EXCEEDED:
            return error_for(reason, f"The {peer} service did not answer before the deadline.")
        case Reason.CANCELLED:
            return error_for(reason, f"The call of the {peer} service was cancelled.")
        case _:
            return error_for(reason, f"The {peer} service failed.")


def _error_from_status(status: status_pb2.Status) -> OmnixError:
    info = error_details_pb2.ErrorInfo()
    retry: timedelta | None = None
    for detail in status.details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            detail.Unpack(info)
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            unpacked = error_details_pb2.RetryInfo()
            detail.Unpack(unpacked)
            retry = unpacked.retry_delay.ToTimedelta()
    reason = Reason(info.reason) if info.reason in Reason.__members__ else Reason.INTERNAL
    return error_for(
        reason,
        status.message,
        param=info.metadata.get("param") or None,
        provider=info.metadata.get("provider") or None,
        provider_status=int(info.metadata.get("provider_status") or 0) or None,
        retry_after=retry,
    )


def _packed(message: error_details_pb2.ErrorInfo | error_details_pb2.RetryInfo) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


def error_to_proto(error: OmnixError) -> errors_pb2.Error:
    """Tell an error inside a message, where no gRPC status can carry it."""
    return errors_pb2.Error(
        reason=errors_pb2.ErrorReason.Value(f"ERROR_REASON_{error.reason.value}"),
        message=error.message,
        param=error.param or "",
        provider=error.provider or "",
        provider_status=error.provider_status or 0,
        retry_delay=None if error.retry_after is None else duration(error.retry_after),
    )


def error_from_proto(error: errors_pb2.Error) -> OmnixError:
    """Read an error inside a message. A reason that this version does not know becomes ``INTERNAL``."""
    try:
        reason = Reason(errors_pb2.ErrorReason.Name(error.reason).removeprefix("ERROR_REASON_"))
    except ValueError:
        reason = Reason.INTERNAL
    return error_for(
        reason,
        error.message,
        param=error.param or None,
        provider=error.provider or None,
        provider_status=error.provider_status or None,
        retry_after=error.retry_delay.ToTimedelta() if error.HasField("retry_delay") else None,
    )


def price_to_proto(price: Price) -> usage_pb2.Price:
    rates = price.rates
    return usage_pb2.Price(
        currency=price.currency,
        effective_time=timestamp(price.effective_time),
        input_micros_per_million=rates.input,
        output_micros_per_million=rates.output,
        cached_input_micros_per_million=rates.cached_input,
        cache_write_micros_per_million=rates.cache_write,
        reasoning_micros_per_million=rates.reasoning,
        long_cache_write_micros_per_million=rates.long_cache_write,
        audio_input_micros_per_million=rates.audio_input,
        audio_output_micros_per_million=rates.audio_output,
        tiers=[_tier_to_proto(tier) for tier in price.tiers],
        batch_input_micros_per_million=price.batch_input,
        batch_output_micros_per_million=price.batch_output,
    )


def _tier_to_proto(tier: Tier) -> usage_pb2.PriceTier:
    rates = tier.rates
    return usage_pb2.PriceTier(
        above_input_tokens=tier.above_input,
        input_micros_per_million=rates.input,
        output_micros_per_million=rates.output,
        cached_input_micros_per_million=rates.cached_input,
        cache_write_micros_per_million=rates.cache_write,
        reasoning_micros_per_million=rates.reasoning,
        long_cache_write_micros_per_million=rates.long_cache_write,
    )


def price_from_proto(price: usage_pb2.Price) -> Price:
    return Price(
        currency=price.currency,
        effective_time=datetime_from(price.effective_time),
        rates=Rates(
            input=price.input_micros_per_million,
            output=price.output_micros_per_million,
            cached_input=_given(price, "cached_input_micros_per_million"),
            cache_write=_given(price, "cache_write_micros_per_million"),
            reasoning=_given(price, "reasoning_micros_per_million"),
            long_cache_write=_given(price, "long_cache_write_micros_per_million"),
            audio_input=_given(price, "audio_input_micros_per_million"),
            audio_output=_given(price, "audio_output_micros_per_million"),
        ),
        tiers=tuple(_tier_from_proto(tier) for tier in price.tiers),
        batch_input=_given(price, "batch_input_micros_per_million"),
        batch_output=_given(price, "batch_output_micros_per_million"),
    )


def _tier_from_proto(tier: usage_pb2.PriceTier) -> Tier:
    return Tier(
        above_input=tier.above_input_tokens,
        rates=Rates(
            input=tier.input_micros_per_million,
            output=tier.output_micros_per_million,
            cached_input=_given(tier, "cached_input_micros_per_million"),
            cache_write=_given(tier, "cache_write_micros_per_million"),
            reasoning=_given(tier, "reasoning_micros_per_million"),
            long_cache_write=_given(tier, "long_cache_write_micros_per_million"),
        ),
    )


def _given(message: usage_pb2.Price | usage_pb2.PriceTier, field: str) -> int | None:
    return getattr(message, field) if message.HasField(field) else None  # type: ignore[arg-type]


def duration(value: timedelta) -> duration_pb2.Duration:
    message = duration_pb2.Duration()
    message.FromTimedelta(value)
    return message


def timestamp(value: datetime) -> timestamp_pb2.Timestamp:
    """A time without a zone is taken for UTC."""
    # protobuf's own FromDatetime takes the calendar apart, which costs several times as much.
    since = (value if value.tzinfo is not None else value.replace(tzinfo=UTC)) - _EPOCH
    return timestamp_pb2.Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1000)


def datetime_from(value: timestamp_pb2.Timestamp) -> datetime:
    """To the microsecond.

    :raises ValueError: when it is no time.
    :raises OverflowError: when it lies outside of the years 1 to 9999.
    """
    nanos = value.nanos
    if not 0 <= nanos < 1_000_000_000:
        raise ValueError(f"{nanos} nanoseconds are no part of a second")
    return _EPOCH + timedelta(seconds=value.seconds, microseconds=nanos // 1000)
