"""Reading ``UsageRecorded``: the same events are processable for every consumer, so that their books agree."""

import logging
import re
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from functools import lru_cache

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from omnix.common.v1 import errors_pb2
from omnix.completion.v1 import completion_pb2
from omnix.usage.v1 import usage_pb2

from omnix_kit.convert import datetime_from, price_from_proto
from omnix_kit.durable.errors import Poison, Unreadable
from omnix_kit.ids import is_id
from omnix_kit.money import Price, Tokens
from omnix_kit.usage.events import Certainty, Outcome, certainty

_log = logging.getLogger(__name__)

_OUTCOMES = {
    usage_pb2.ATTEMPT_OUTCOME_SUCCEEDED: Outcome.SUCCEEDED,
    usage_pb2.ATTEMPT_OUTCOME_FAILED: Outcome.FAILED,
    usage_pb2.ATTEMPT_OUTCOME_CANCELLED: Outcome.CANCELLED,
    usage_pb2.ATTEMPT_OUTCOME_INTERRUPTED: Outcome.INTERRUPTED,
}
_COMPUTE_MODES = frozenset(completion_pb2.ComputeMode.values()) - {completion_pb2.COMPUTE_MODE_UNSPECIFIED}
_OPERATIONS = frozenset(usage_pb2.Operation.values()) - {usage_pb2.OPERATION_UNSPECIFIED}
_PURPOSES = frozenset(usage_pb2.Purpose.values()) - {usage_pb2.PURPOSE_UNSPECIFIED}
_REASONS = frozenset(errors_pb2.ErrorReason.values()) - {errors_pb2.ERROR_REASON_UNSPECIFIED}
_MAX_TEXT = 512
_MAX_TOKENS = 10**9
"""Far beyond any context; what is above it is a defect, and its cost still fits 64 bits."""
_MAX_MICROS_PER_MILLION = 10**12
_MAX_TIERS = 16
_CURRENCY = re.compile(r"[A-Z]{3}")
_FIRST_DAY = datetime(2020, 1, 1, tzinfo=UTC)
_LAST_DAY = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Checked:
    """An event that can be processed, with what was read in checking it."""

    message: usage_pb2.UsageRecorded
    """Without ``more``."""
    outcome: Outcome
    certainty: Certainty
    tokens: Tokens
    price: Price | None
    """None makes the attempt unpriced: its cost is unknown, not zero."""
    start_time: datetime
    end_time: datetime
    """The start where the event tells no end, or one before it."""


def events_from_wire(payload: bytes, subject: str) -> list[Checked | Unreadable]:
    """Read the events of one message.

    :raises Poison: when the message as a whole cannot be read.
    """
    try:
        message = usage_pb2.UsageRecorded.FromString(payload)
    except DecodeError as exc:
        raise Poison("it is not a UsageRecorded") from exc
    more = list(message.more)
    message.ClearField("more")
    return [_read(event, subject) for event in (message, *more)]


def _read(event: usage_pb2.UsageRecorded, subject: str) -> Checked | Unreadable:
    try:
        return checked(event, subject)
    except Poison as exc:
        reason = str(exc)
    except Exception as exc:  # a defect here is no reason to bury the neighbours
        _log.exception("an event could not be read")
        reason = f"reading it failed: {exc!r}"
    event_id = event.attempt_id if is_id(event.attempt_id) else ""
    return Unreadable(event.SerializeToString(), event_id, reason)


def checked(event: usage_pb2.UsageRecorded, subject: str) -> Checked:
    """Check one event that came on the subject.

    :raises Poison: when it lacks what identifies it, or says what cannot be.
    """
    caller = event.caller
    if not is_id(event.attempt_id):
        raise Poison("attempt_id is not an id")
    if not is_id(event.completion_id):
        raise Poison("completion_id is not an id")
    if event.attempt < 1:
        raise Poison("attempt is not 1 or more")
    for name, value, required in (
        ("tenant_id", caller.tenant_id, True),
        ("provider", event.provider, True),
        ("model", event.model, True),
        ("team_id", caller.team_id, False),
        ("user_id", caller.user_id, False),
        ("key_id", caller.key_id, False),
    ):
        if required and not value:
            raise Poison(f"{name} is missing")
        if len(value) > _MAX_TEXT:
            raise Poison(f"{name} has more than {_MAX_TEXT} characters")
    if subject.rpartition(".")[2] != caller.tenant_id:
        raise Poison("tenant_id is not that of the subject")
    outcome = _OUTCOMES.get(event.outcome)
    if outcome is None:
        raise Poison("outcome is unspecified or unknown")
    if event.HasField("compute_mode") and event.compute_mode not in _COMPUTE_MODES:
        raise Poison("compute_mode is unspecified or unknown")
    if event.HasField("operation") and event.operation not in _OPERATIONS:
        raise Poison("operation is unspecified or unknown")
    if event.HasField("purpose") and event.purpose not in _PURPOSES:
        raise Poison("purpose is unspecified or unknown")
    if event.HasField("error") and event.error.reason not in _REASONS:
        raise Poison("error.reason is unspecified or unknown")
    if event.more:
        raise Poison("an event of a message carries more events itself")
    start = _time(event.start_time, "start_time")
    return Checked(
        message=event,
        outcome=outcome,
        certainty=certainty(outcome, event.usage.estimated),
        tokens=_tokens(event.usage),
        price=_price(event.price.SerializeToString()) if event.HasField("price") else None,
        start_time=start,
        end_time=_end_time(event.end_time, start),
    )


def _tokens(usage: completion_pb2.Usage) -> Tokens:
    tokens = Tokens(
        input=usage.input_tokens,
        output=usage.output_tokens,
        cached_input=usage.cached_input_tokens,
        cache_write_input=usage.cache_write_input_tokens,
        reasoning=usage.reasoning_tokens,
        long_cache_write_input=usage.long_cache_write_input_tokens,
        audio_input=usage.audio_input_tokens,
        audio_output=usage.audio_output_tokens,
    )
    for name, count in (
        ("input_tokens", tokens.input),
        ("output_tokens", tokens.output),
        ("cached_input_tokens", tokens.cached_input),
        ("cache_write_input_tokens", tokens.cache_write_input),
        ("reasoning_tokens", tokens.reasoning),
        ("long_cache_write_input_tokens", tokens.long_cache_write_input),
        ("audio_input_tokens", tokens.audio_input),
        ("audio_output_tokens", tokens.audio_output),
    ):
        if not 0 <= count <= _MAX_TOKENS:
            raise Poison(f"usage.{name} is {count}, which cannot be")
    return tokens


@lru_cache(maxsize=1024)
def _price(payload: bytes) -> Price:
    """Kept by its bytes: a model's price comes with every event, and is the same for weeks."""
    message = usage_pb2.Price.FromString(payload)
    if _CURRENCY.fullmatch(message.currency) is None:
        raise Poison("price.currency is not an ISO 4217 code")
    _time(message.effective_time, "price.effective_time")
    price = price_from_proto(message)
    thresholds = [tier.above_input for tier in price.tiers]
    if thresholds != sorted(set(thresholds)) or len(thresholds) > _MAX_TIERS or min(thresholds, default=0) < 0:
        raise Poison("price.tiers have no rising thresholds")
    for rates in (price.rates, *(tier.rates for tier in price.tiers)):
        for amount in astuple(rates):
            if amount is not None and not 0 <= amount <= _MAX_MICROS_PER_MILLION:
                raise Poison(f"price has {amount}, which cannot be")
    return price


def _end_time(message: Timestamp, start: datetime) -> datetime:
    try:
        return max(start, _time(message, "end_time"))
    except Poison:
        return start


def _time(message: Timestamp, name: str) -> datetime:
    try:
        time = datetime_from(message)
    except (ValueError, OverflowError):
        raise Poison(f"{name} is not a time") from None
    if not _FIRST_DAY <= time < _LAST_DAY:
        raise Poison(f"{name} is missing or cannot be")
    return time
