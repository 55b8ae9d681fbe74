"""Monthly statements, on both stores, through the gRPC door: they balance, and what is closed stays as it was."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from omnix.common.v1.caller_pb2 import Caller
from omnix.usage.v1 import statement_pb2 as pb
from omnix.usage.v1 import statement_service_pb2 as service
from omnix.usage.v1 import statement_service_pb2_grpc
from omnix.usage.v1.usage_pb2 import UsageRecorded
from omnix_kit import caller
from omnix_kit.convert import timestamp
from omnix_kit.errors import OmnixError, Reason
from omnix_kit.health import Readiness
from omnix_kit.rpc import Remote, grpc_server
from omnix_kit.settings import ServiceSettings
from omnix_store import Store
from omnix_usage_metering.entries import Filter
from omnix_usage_metering.ledger import Ledger
from omnix_usage_metering.pricing.credits import Credit
from omnix_usage_metering.pricing.pricing import Pricing
from omnix_usage_metering.pricing.repository import Repository as PricingRepository
from omnix_usage_metering.pricing.rerating import Rerating, Wish
from omnix_usage_metering.pricing.rules import Markup, Rule
from omnix_usage_metering.repository import Repository
from omnix_usage_metering.statements.repository import Repository as StatementRepository
from omnix_usage_metering.statements.servicer import register
from omnix_usage_metering.statements.statements import Statements

from .conftest import entry_from_wire, event  # type: ignore[import-not-found] # mypy names no module with a hyphen

SUBJECT = "omnix.v1.usage.recorded.default"
SEPTEMBER = datetime(2026, 9, 1, tzinfo=UTC)
USUAL = 3500
"""Cost of ``event()``."""


class Books:
    """A ledger with statements, and a clock that is set."""

    def __init__(self, store: Store) -> None:
        self.now = datetime(2026, 10, 5, tzinfo=UTC)
        self.pricing = Pricing(PricingRepository(store), self.clock)
        repository = Repository(store)
        self.ledger = Ledger(repository, self.pricing.book)
        self.rerating = Rerating(repository, self.pricing, self.clock)
        self.statements = Statements(StatementRepository(store), repository, self.pricing.credits, self.clock)
        self.remote: Remote

    def clock(self) -> datetime:
        return self.now

    async def record(self, *events: UsageRecorded) -> None:
        await self.ledger.record([entry_from_wire(each.SerializeToString(), SUBJECT, self.now) for each in events])

    async def double(self) -> None:
        """Put a rule in force that doubles everything, and rate all entries again."""
        amount = Markup(10_000)
        await self.pricing.put_rule(Rule("r", "default", "", SEPTEMBER, None, amount, 0, self.now, self.now))
        wanted = Filter("default", start_time=SEPTEMBER)
        await self.rerating.batch(Wish(wanted, {}, caller.Caller("default", key_id="admin"), False), 0, "")

    async def give(self, credit_id: str, amount: int, effective: datetime = SEPTEMBER) -> None:
        await self.pricing.give(Credit(credit_id, "default", amount, "USD", effective, "", self.now))

    async def get(self, month: str, tenant: str = "default") -> pb.Statement:
        stub = statement_service_pb2_grpc.StatementServiceStub(self.remote.channel)
        asked = service.GetStatementRequest(tenant_id=tenant, month=month)
        answer = await self.remote.call(stub.GetStatement, asked, timeout=timedelta(seconds=60))
        found: pb.Statement = answer.statement
        return found

    async def close(self, month: str) -> pb.Statement:
        stub = statement_service_pb2_grpc.StatementServiceStub(self.remote.channel)
        asked = service.CloseStatementRequest(tenant_id="default", month=month, caller=Caller(key_id="admin"))
        answer = await self.remote.call(stub.CloseStatement, asked, timeout=timedelta(seconds=60))
        closed: pb.Statement = answer.statement
        return closed


@pytest.fixture
async def books(store: Store) -> AsyncIterator[Books]:
    made = Books(store)
    settings = ServiceSettings(grace=timedelta(0))
    async with (
        grpc_server(settings, Readiness(), [], register(made.statements)) as port,
        Remote("usage-metering", f"127.0.0.1:{port}") as remote,
    ):
        made.remote = remote
        yield made


def at(month: int, day: int = 15, **more: Any) -> UsageRecorded:
    made: UsageRecorded = event(**more)
    made.start_time.CopyFrom(timestamp(datetime(2026, month, day, tzinfo=UTC)))
    return made


def total(statement: pb.Statement) -> tuple[int, int, int, int]:
    [found] = statement.totals
    assert found.currency == "USD"
    return found.billed_micros, found.adjustment_micros, found.credit_micros, found.due_micros


async def test_statement_adds_up_by_model_team_and_key(books: Books) -> None:
    unpriced = at(9, model="local", provider="vllm")
    unpriced.ClearField("price")
    last_moment = at(9, caller={"key_id": "k2", "team_id": "t"})
    last_moment.start_time.CopyFrom(timestamp(datetime(2026, 9, 30, 23, 59, 59, 999_000, tzinfo=UTC)))
    await books.record(at(9, 1), last_moment, unpriced, at(8, 31), at(10, 1))
    found = await books.get("2026-09")
    assert (found.tenant_id, found.month, found.HasField("close_time")) == ("default", "2026-09", False)
    assert total(found) == (2 * USUAL, 0, 0, 2 * USUAL)
    assert [(line.name, line.currency, line.attempts, line.billed_micros) for line in found.models] == [
        ("openai/gpt-4o", "USD", 2, 2 * USUAL),
        ("vllm/local", "", 1, 0),
    ]
    assert [(line.name, line.currency, line.billed_micros) for line in found.teams] == [
        ("", "", 0),
        ("", "USD", USUAL),
        ("t", "USD", USUAL),
    ]
    assert [(line.name, line.currency, line.attempts, line.input_tokens) for line in found.keys] == [
        ("k1", "", 1, 1000),
        ("k1", "USD", 1, 1000),
        ("k2", "USD", 1, 1000),
    ]
    assert list((await books.get("2026-09", "other")).totals) == []


async def test_closed_month_stays_as_it_was_and_the_next_one_has_what_changed(books: Books) -> None:
    await books.record(at(9), at(9), at(10))
    closed = await books.close("2026-09")
    assert (closed.closer.key_id, total(closed)) == ("admin", (2 * USUAL, 0, 0, 2 * USUAL))
    await books.double()
    await books.record(at(9, 20))  # late, and by the new rule
    assert await books.get("2026-09") == closed
    assert await books.close("2026-09") == closed
    books.now = datetime(2026, 11, 3, tzinfo=UTC)
    october = await books.get("2026-10")
    assert [(each.month, each.amount_micros) for each in october.adjustments] == [("2026-09", 4 * USUAL)]
    assert total(october) == (2 * USUAL, 4 * USUAL, 0, 6 * USUAL)
    frozen = await books.close("2026-10")
    assert total(frozen) == total(october)
    # What was brought up once is not brought up again.
    books.now = datetime(2026, 12, 3, tzinfo=UTC)
    await books.record(at(9, 21))
    november = await books.close("2026-11")
    assert [(each.month, each.amount_micros) for each in november.adjustments] == [("2026-09", 2 * USUAL)]
    assert total(november) == (0, 2 * USUAL, 0, 2 * USUAL)
    assert await books.get("2026-10") == frozen


async def test_credits_pay_until_they_are_used_up(books: Books) -> None:
    await books.give("welcome", 5000)
    await books.give("later", 10**6, datetime(2026, 11, 1, tzinfo=UTC))
    await books.record(at(9), at(10))
    assert total(await books.close("2026-09")) == (USUAL, 0, USUAL, 0)
    books.now = datetime(2026, 11, 3, tzinfo=UTC)
    assert total(await books.close("2026-10")) == (USUAL, 0, 1500, 2000)
    await books.record(at(11))
    assert total(await books.get("2026-11")) == (USUAL, 0, USUAL, 0)


async def test_months_are_closed_when_they_have_ended_and_in_their_order(books: Books) -> None:
    with pytest.raises(OmnixError) as early:
        await books.close("2026-10")
    assert (early.value.reason, early.value.message) == (Reason.CONFLICT, "2026-10 has not ended.")
    await books.close("2026-08")
    books.now = datetime(2027, 2, 1, tzinfo=UTC)
    with pytest.raises(OmnixError) as skipped:
        await books.close("2026-10")
    assert skipped.value.message == "Months are closed in their order: the next one is 2026-09."
    for month in ("2026-09", "2026-10", "2026-11", "2026-12", "2027-01"):
        assert (await books.close(month)).month == month


@pytest.mark.parametrize("month", ["", "2026", "2026-13", "26-01", "2026-1", "1999-01"])
async def test_what_is_no_month_is_refused(books: Books, month: str) -> None:
    with pytest.raises(OmnixError) as refused:
        await books.get(month)
    assert (refused.value.reason, refused.value.param) == (Reason.INVALID_REQUEST, "month")
