"""One attempt, one entry, whatever comes in whichever order."""

import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from omnix.usage.v1 import usage_pb2
from omnix_kit.ids import uuid7
from omnix_kit.usage.events import Certainty
from omnix_store import open_store
from omnix_usage_metering.entries import Entry, Filter
from omnix_usage_metering.ledger import Ledger, Recorded
from omnix_usage_metering.repository import Repository

from .conftest import entry_from_wire, event  # type: ignore[import-not-found] # mypy names no module with a hyphen

NOW = datetime(2026, 11, 22, 13, tzinfo=UTC)
SUBJECT = "omnix.v1.usage.recorded.default"
INTERRUPTED = usage_pb2.ATTEMPT_OUTCOME_INTERRUPTED
CANCELLED = usage_pb2.ATTEMPT_OUTCOME_CANCELLED


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    async with open_store(f"sqlite://{tmp_path}/ledger.db") as store:
        yield Ledger(Repository(store))


def versions() -> dict[Certainty, Entry]:
    """The same attempt as three processes may tell it, each with other counts."""
    attempt = uuid7()
    events = {
        Certainty.ORPHANED: event(outcome=INTERRUPTED, usage={"output_tokens": 10, "estimated": True}),
        Certainty.ESTIMATED: event(outcome=CANCELLED, usage={"output_tokens": 20, "estimated": True}),
        Certainty.EXACT: event(usage={"output_tokens": 30}),
    }
    for each in events.values():
        each.attempt_id = attempt
    return {certainty: entry_from_wire(each.SerializeToString(), SUBJECT, NOW) for certainty, each in events.items()}


@pytest.mark.parametrize("order", list(itertools.permutations(Certainty)))
@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one after the other"])
async def test_most_certain_event_of_an_attempt_stands_whatever_the_order(
    ledger: Ledger, order: tuple[Certainty, ...], together: bool
) -> None:
    told = versions()
    if together:
        recorded = await ledger.record([told[certainty] for certainty in order])
    else:
        recorded = [(await ledger.record([told[certainty]]))[0] for certainty in order]
    assert recorded[0] is Recorded.WRITTEN
    assert Recorded.WRITTEN not in recorded[1:]
    exact = told[Certainty.EXACT]
    lines, _ = await ledger.page(Filter("default"), 0, "")
    assert [(line.event, line.cost_micros) for line in lines] == [(exact.event, exact.cost_micros)]
    [total] = await ledger.totals(Filter("default"))
    assert (total.attempts, total.output_tokens, total.cost_micros) == (1, 30, exact.cost_micros)


async def test_second_event_of_equal_certainty_changes_nothing(ledger: Ledger) -> None:
    first = versions()[Certainty.EXACT]
    again = entry_from_wire(
        event(attempt_id=first.attempt_id, usage={"output_tokens": 999}).SerializeToString(), SUBJECT, NOW
    )
    assert await ledger.record([first, again, again]) == [Recorded.WRITTEN, Recorded.DUPLICATE, Recorded.DUPLICATE]
    lines, _ = await ledger.page(Filter("default"), 0, "")
    assert [line.event for line in lines] == [first.event]


async def test_event_of_another_tenant_does_not_replace_an_entry(ledger: Ledger) -> None:
    told = versions()
    await ledger.record([told[Certainty.ORPHANED]])
    assert await ledger.record([replace(told[Certainty.EXACT], tenant_id="other")]) == [Recorded.DUPLICATE]
    assert (await ledger.page(Filter("other"), 0, ""))[0] == []
    assert len((await ledger.page(Filter("default"), 0, ""))[0]) == 1
