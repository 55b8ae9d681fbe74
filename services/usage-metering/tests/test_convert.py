"""Which events the ledger takes, and what it reads in them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from omnix.common.v1.errors_pb2 import Error
from omnix.usage.v1 import usage_pb2
from omnix.usage.v1.usage_pb2 import UsageRecorded
from omnix_kit.durable.errors import Poison, Unreadable
from omnix_kit.ids import uuid7
from omnix_kit.money import Price, Rates, Tokens
from omnix_kit.usage.events import Certainty, Outcome
from omnix_usage_metering.convert import entries_from_wire
from omnix_usage_metering.entries import Entry, Operation, Purpose

from .conftest import START, entry_from_wire, event  # type: ignore[import-not-found] # mypy names no module with a hyphen

SUBJECT = "omnix.v1.usage.recorded.default"
NOW = datetime(2026, 11, 22, 13, tzinfo=UTC)


def test_whole_event_is_read_and_kept_as_it_came() -> None:
    came = event(sandbox=True, caller={"team_id": "t", "user_id": "u"}, usage={"reasoning_tokens": 40})
    came.purpose = usage_pb2.PURPOSE_SHADOW
    payload = came.SerializeToString()
    read = entry_from_wire(payload, SUBJECT, NOW)
    assert read == Entry(
        attempt_id=came.attempt_id,
        completion_id=came.completion_id,
        tenant_id="default",
        team_id="t",
        user_id="u",
        key_id="k1",
        provider="openai",
        model="gpt-4o",
        outcome=Outcome.SUCCEEDED,
        certainty=Certainty.EXACT,
        tokens=Tokens(input=1000, output=100, reasoning=40),
        price=Price("USD", START - timedelta(days=30), Rates(input=2_500_000, output=10_000_000)),
        start_time=START,
        purpose=Purpose.SHADOW,
        route="",
        operation=Operation.CHAT,
        streamed=True,
        mode=None,
        metadata={"job": "naïve"},
        sandbox=True,
        event=payload,
        record_time=NOW,
    )
    assert (read.cost_micros, read.currency) == (3500, "USD")


def test_event_without_price_is_unpriced_and_not_free() -> None:
    came = event()
    came.ClearField("price")
    read = entry_from_wire(came.SerializeToString(), SUBJECT, NOW)
    assert (read.cost_micros, read.currency) == (None, "")


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, Certainty.EXACT),
        ({"outcome": usage_pb2.ATTEMPT_OUTCOME_FAILED}, Certainty.EXACT),
        ({"outcome": usage_pb2.ATTEMPT_OUTCOME_CANCELLED, "usage": {"estimated": True}}, Certainty.ESTIMATED),
        ({"outcome": usage_pb2.ATTEMPT_OUTCOME_INTERRUPTED, "usage": {"estimated": True}}, Certainty.ORPHANED),
        ({"outcome": usage_pb2.ATTEMPT_OUTCOME_INTERRUPTED}, Certainty.ORPHANED),
    ],
)
def test_certainty_follows_from_who_counted(more: dict[str, Any], expected: Certainty) -> None:
    assert entry_from_wire(event(**more).SerializeToString(), SUBJECT, NOW).certainty is expected


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"attempt_id": "x"}, "attempt_id is not an id"),
        ({"completion_id": "chatcmpl-1"}, "completion_id is not an id"),
        ({"attempt": -1}, "attempt is not 1 or more"),
        ({"caller": {"tenant_id": "other"}}, "tenant_id is not that of the subject"),
        ({"caller": {"user_id": "u" * 513}}, "user_id has more than 512 characters"),
        ({"outcome": 99}, "outcome is unspecified or unknown"),
        ({"compute_mode": 0}, "compute_mode is unspecified or unknown"),
        ({"purpose": 0}, "purpose is unspecified or unknown"),
        ({"error": Error(message="no reason")}, "error.reason is unspecified or unknown"),
        ({"usage": {"input_tokens": -1}}, "usage.input_tokens is -1, which cannot be"),
        ({"usage": {"output_tokens": 2**62}}, f"usage.output_tokens is {2**62}, which cannot be"),
        ({"usage": {"reasoning_tokens": -5}}, "usage.reasoning_tokens is -5, which cannot be"),
        ({"price": {"currency": "usd"}}, "price.currency is not an ISO 4217 code"),
        ({"price": {"input_micros_per_million": -1}}, "price has -1, which cannot be"),
        ({"price": {"reasoning_micros_per_million": 2**60}}, f"price has {2**60}, which cannot be"),
        ({"start_time": {"seconds": 2**50}}, "start_time is not a time"),
        ({"start_time": {"seconds": 1}}, "start_time is missing or cannot be"),
    ],
)
def test_event_that_cannot_be_is_poison_with_its_reason(more: dict[str, Any], reason: str) -> None:
    with pytest.raises(Poison) as poison:
        entry_from_wire(event(**more).SerializeToString(), SUBJECT, NOW)
    assert str(poison.value) == reason


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("attempt_id", "attempt_id is not an id"),
        ("completion_id", "completion_id is not an id"),
        ("attempt", "attempt is not 1 or more"),
        ("caller", "tenant_id is missing"),
        ("provider", "provider is missing"),
        ("model", "model is missing"),
        ("outcome", "outcome is unspecified or unknown"),
        ("start_time", "start_time is missing or cannot be"),
    ],
)
def test_event_that_lacks_a_field_is_poison(field: Any, reason: str) -> None:
    came = event()
    came.ClearField(field)
    with pytest.raises(Poison) as poison:
        entry_from_wire(came.SerializeToString(), SUBJECT, NOW)
    assert str(poison.value) == reason


def test_bytes_that_are_no_event_are_poison() -> None:
    with pytest.raises(Poison, match="it is not a UsageRecorded"):
        entry_from_wire(b"\xff\xff", SUBJECT, NOW)
    assert UsageRecorded.FromString(b"") == UsageRecorded()
    with pytest.raises(Poison, match="attempt_id is not an id"):
        entry_from_wire(b"", SUBJECT, NOW)


def test_events_of_one_message_are_read_each_for_itself() -> None:
    first, second, bad = event(), event(attempt_id=uuid7()), event(usage={"input_tokens": -1})
    carrier = UsageRecorded()
    carrier.CopyFrom(first)
    carrier.more.extend([second, bad])
    read = entries_from_wire(carrier.SerializeToString(), SUBJECT, NOW)
    assert read == [
        entry_from_wire(first.SerializeToString(), SUBJECT, NOW),
        entry_from_wire(second.SerializeToString(), SUBJECT, NOW),
        Unreadable(bad.SerializeToString(), bad.attempt_id, "usage.input_tokens is -1, which cannot be"),
    ]
    nested = event()
    nested.more.append(carrier)
    [_, refused] = entries_from_wire(nested.SerializeToString(), SUBJECT, NOW)
    assert isinstance(refused, Unreadable)
    assert refused.reason == "an event of a message carries more events itself"
