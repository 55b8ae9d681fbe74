"""Which entries a page and a total have, by every dimension, on both stores."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from omnix.completion.v1 import completion_pb2
from omnix.usage.v1 import usage_pb2
from omnix.usage.v1.usage_pb2 import UsageRecorded
from omnix_kit.convert import timestamp
from omnix_kit.errors import CallerError
from omnix_kit.usage.events import Outcome
from omnix_store import Store
from omnix_usage_metering import repository
from omnix_usage_metering.entries import Filter, Label, Mode, Operation
from omnix_usage_metering.ledger import Ledger
from omnix_usage_metering.repository import Repository

from .conftest import START, entry_from_wire, event  # type: ignore[import-not-found] # mypy names no module with a hyphen

NOW = datetime(2026, 11, 22, 13, tzinfo=UTC)
SUBJECT = "omnix.v1.usage.recorded.default"


@pytest.fixture
def ledger(store: Store) -> Ledger:
    return Ledger(Repository(store))


async def record(ledger: Ledger, *events: UsageRecorded) -> None:
    await ledger.record([entry_from_wire(each.SerializeToString(), SUBJECT, NOW) for each in events])


async def found(ledger: Ledger, wanted: Filter, size: int = 100) -> list[str]:
    ids, token = [], ""
    while True:
        lines, following = await ledger.page(wanted, size, token)
        ids += [UsageRecorded.FromString(line.event).attempt_id for line in lines]
        if following is None:
            return ids
        token = following


async def test_every_dimension_finds_its_entries_and_adds_them_up(ledger: Ledger) -> None:
    other = event(
        caller={"team_id": "t1", "user_id": "u1"},
        route="fast",
        outcome=usage_pb2.ATTEMPT_OUTCOME_CANCELLED,
        operation=usage_pb2.OPERATION_EMBEDDINGS,
        compute_mode=completion_pb2.COMPUTE_MODE_ULTRA_THINK,
        usage={"estimated": True},
        metadata={"cost-centre": "4711", "stage": "prod"},
        model="e",
    )
    other.ClearField("price")
    usual = event()
    usual.streamed = False
    await record(ledger, other, usual)
    # What the one has, and what the other has.
    for one, another in (
        ({"team_id": "t1"}, None),
        ({"user_id": "u1"}, None),
        ({"route": "fast"}, None),
        ({"model": "e"}, {"model": "gpt-4o"}),
        ({"outcome": Outcome.CANCELLED}, {"outcome": Outcome.SUCCEEDED}),
        ({"operation": Operation.EMBEDDINGS}, {"operation": Operation.CHAT}),
        ({"streamed": True}, {"streamed": False}),
        ({"mode": Mode.ULTRA_THINK}, None),
        ({"estimated": True}, {"estimated": False}),
        ({"unpriced": True}, {"unpriced": False}),
        ({"label": Label("stage", "prod")}, None),
        ({"outcome": Outcome.CANCELLED, "model": "e", "streamed": True, "team_id": "t1"}, {"model": "gpt-4o"}),
    ):
        for wanted, entry in ((one, other), (another, usual)):
            if wanted is None:
                continue
            asked: dict[str, Any] = dict(wanted)
            assert await found(ledger, Filter("default", **asked)) == [entry.attempt_id], asked
            [total] = await ledger.totals(Filter("default", **asked))
            assert (total.model, total.attempts) == (entry.model, 1), asked
    assert await found(ledger, Filter("default", outcome=Outcome.CANCELLED, model="gpt-4o")) == []
    assert await found(ledger, Filter("default", label=Label("cost-centre", "4711"))) == [other.attempt_id]
    assert await found(ledger, Filter("default", label=Label("stage", "test"))) == []
    with pytest.raises(CallerError, match="are added up"):
        await ledger.totals(Filter("default", label=Label("cost-centre", "4711")))


async def test_pages_of_what_seldom_fits_are_bounded_and_miss_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "_AT_ONCE", 10)
    monkeypatch.setattr(repository, "_MOST_LOOKED_AT", 20)
    events = []
    for number in range(60):
        made = event()
        made.start_time.CopyFrom(timestamp(START + timedelta(seconds=number // 3)))
        made.metadata["rare"] = "yes" if number % 25 == 5 else "no"
        made.streamed = number % 2 == 0
        events.append(made)
    await record(ledger, *events)
    newest = sorted(events, key=lambda each: (each.start_time.seconds, each.attempt_id), reverse=True)
    for size in (1, 100):
        rare = [each.attempt_id for each in newest if each.metadata["rare"] == "yes"]
        assert await found(ledger, Filter("default", label=Label("rare", "yes")), size) == rare
    streamed = [each.attempt_id for each in newest if each.streamed]
    for size in (7, 33):
        assert await found(ledger, Filter("default", streamed=True), size) == streamed
    lines, token = await ledger.page(Filter("default", label=Label("rare", "never")), 10, "")
    assert (lines, token is not None) == ([], True)
