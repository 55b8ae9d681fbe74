"""What tenants pay: rules when an attempt is recorded, and rating again, on both stores, through the gRPC door."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.message import Message
from omnix.common.v1.caller_pb2 import Caller
from omnix.usage.v1 import pricing_pb2 as pb
from omnix.usage.v1 import pricing_service_pb2 as service
from omnix.usage.v1 import pricing_service_pb2_grpc, usage_service_pb2_grpc
from omnix.usage.v1.usage_pb2 import ATTEMPT_OUTCOME_INTERRUPTED, Price, UsageEntry, UsageRecorded
from omnix.usage.v1.usage_service_pb2 import (
    ListUsageEntriesRequest,
    SummarizeUsageRequest,
    SummarizeUsageResponse,
    UsageFilter,
)
from omnix_kit.convert import timestamp
from omnix_kit.errors import OmnixError, Reason
from omnix_kit.health import Readiness
from omnix_kit.money import Price as Priced
from omnix_kit.money import Rates, Tokens
from omnix_kit.rpc import Remote, grpc_server
from omnix_kit.settings import ServiceSettings
from omnix_store import Store
from omnix_usage_metering.ledger import Ledger
from omnix_usage_metering.pricing.pricing import Pricing
from omnix_usage_metering.pricing.repository import Repository as PricingRepository
from omnix_usage_metering.pricing.rerating import Rerating
from omnix_usage_metering.pricing.rules import Book, Markup, Rating, Rule, rate
from omnix_usage_metering.pricing.servicer import register as register_pricing
from omnix_usage_metering.repository import Repository
from omnix_usage_metering.servicer import register

from .conftest import START, entry_from_wire, event  # type: ignore[import-not-found] # mypy names no module with a hyphen

SUBJECT = "omnix.v1.usage.recorded.default"
TENANT = UsageFilter(tenant_id="default", start_time=timestamp(START - timedelta(days=1)))
LONG_AGO = timestamp(START - timedelta(days=60))
USUAL = 3500
"""Cost of ``event()``."""


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


class Door:
    """The services, over a socket, with the ledger behind them."""

    def __init__(self, remote: Remote, ledger: Ledger, repository: Repository) -> None:
        self._remote = remote
        self._usage = usage_service_pb2_grpc.UsageServiceStub(remote.channel)
        self._pricing = pricing_service_pb2_grpc.PricingServiceStub(remote.channel)
        self.ledger = ledger
        self.repository = repository

    async def call(self, request: Message) -> Any:
        name = type(request).__name__.removesuffix("Request")
        method = getattr(self._usage, name, None) or getattr(self._pricing, name)
        return await self._remote.call(method, request, timeout=timedelta(seconds=20))

    async def rule(self, rule_id: str, **more: Any) -> pb.PriceRule:
        rule = pb.PriceRule(rule_id=rule_id, tenant_id="default", effective_time=LONG_AGO)
        rule.MergeFrom(pb.PriceRule(**more))
        answer: service.PutPriceRuleResponse = await self.call(service.PutPriceRuleRequest(rule=rule))
        return answer.rule

    async def record(self, *events: UsageRecorded) -> None:
        now = datetime(2026, 11, 22, 13, tzinfo=UTC)
        await self.ledger.record([entry_from_wire(each.SerializeToString(), SUBJECT, now) for each in events])

    async def entries(self) -> dict[str, UsageEntry]:
        answer = await self.call(ListUsageEntriesRequest(filter=TENANT, page_size=1000))
        return {entry.event.attempt_id: entry for entry in answer.entries}

    async def rerate(self, size: int = 0, dry: bool = False, prices: Any = (), **wanted: Any) -> dict[str, Any]:
        told: dict[str, Any] = {"looked_at": 0, "changed": 0, "billed": 0, "former_billed": 0, "pages": 0}
        asked = service.RerateUsageRequest(
            filter=TENANT, prices=prices, caller=Caller(key_id="admin"), validate_only=dry, page_size=size
        )
        asked.filter.MergeFrom(UsageFilter(**wanted))
        while True:
            answer: service.RerateUsageResponse = await self.call(asked)
            told["looked_at"] += answer.looked_at
            told["changed"] += answer.changed
            told["billed"] += sum(total.billed_micros for total in answer.totals)
            told["former_billed"] += sum(total.former_billed_micros for total in answer.totals)
            told["pages"] += 1
            if not answer.next_page_token:
                return told
            asked.page_token = answer.next_page_token


@pytest.fixture
async def door(store: Store) -> AsyncIterator[Door]:
    clock = Clock()
    pricing = Pricing(PricingRepository(store), clock)
    repository = Repository(store)
    ledger = Ledger(repository, pricing.book)

    def services(server: Any) -> None:
        register(ledger)(server)
        register_pricing(pricing, Rerating(repository, pricing, clock), clock)(server)

    settings = ServiceSettings(grace=timedelta(0))
    async with (
        grpc_server(settings, Readiness(), [], services) as port,
        Remote("usage-metering", f"127.0.0.1:{port}") as remote,
    ):
        yield Door(remote, ledger, repository)


def fixed(**rates: int) -> Price:
    return Price(currency="USD", input_micros_per_million=rates["input"], output_micros_per_million=rates["output"])


def unpriced() -> UsageRecorded:
    made: UsageRecorded = event(model="local", provider="vllm")
    made.ClearField("price")
    return made


def rule_of(amount: Markup | Priced, pattern: str = "", **more: Any) -> Rule:
    given: dict[str, Any] = {"rule_id": "r", "effective_time": START, "end_time": None, **more}
    return Rule(
        tenant_id="t", model_pattern=pattern, amount=amount, version=1, create_time=START, update_time=START, **given
    )


@pytest.mark.parametrize(
    ("tokens", "basis_points", "billed"),
    [
        (1000, 0, 1000),
        (1000, 1250, 1125),
        (4, 1250, 5),  # 4.5
        (3, 1250, 3),  # 3.375
        (1000, -10_000, 0),
        (5, -1000, 5),  # 4.5
        (10**9, 1_000_000, 101 * 10**9),
    ],
)
def test_markup_is_taken_of_the_cost_and_rounded_half_up(tokens: int, basis_points: int, billed: int) -> None:
    price = Priced("USD", START, Rates(1_000_000, 0))
    told = rate(Tokens(input=tokens), price, rule_of(Markup(basis_points)))
    assert told == Rating(tokens, "USD", billed, "USD", "r")


def test_what_has_no_price_is_billed_by_a_fixed_price_alone() -> None:
    tokens = Tokens(input=10, output=1)
    assert rate(tokens, None, None) == Rating(None, "", None, "", "")
    assert rate(tokens, None, rule_of(Markup(500))) == Rating(None, "", None, "", "")
    euros = Priced("EUR", START, Rates(1_000_000, 2_000_000))
    assert rate(tokens, None, rule_of(euros)) == Rating(None, "", 12, "EUR", "r")
    dollars = Priced("USD", START, Rates(3_000_000, 3_000_000))
    assert rate(tokens, dollars, rule_of(euros)) == Rating(33, "USD", 12, "EUR", "r")


def test_longest_pattern_holds_and_of_equals_the_latest_that_is_in_force() -> None:
    day = timedelta(days=1)
    everything = rule_of(Markup(1), "*", rule_id="everything")
    family = rule_of(Markup(1), "gpt-4*", rule_id="family")
    one = rule_of(Markup(1), "openai/gpt-4o", rule_id="one", effective_time=START + 2 * day, end_time=START + 4 * day)
    later = rule_of(Markup(1), "openai/gpt-4o", rule_id="later", effective_time=START + 3 * day)
    book = Book([everything, one, later, family])
    found = [book.rule_for("openai", "gpt-4o", START + at * day) for at in (-1, 0, 2, 3, 9)]
    assert [None if rule is None else rule.rule_id for rule in found] == [None, "family", "one", "later", "later"]
    assert book.rule_for("gemini", "x", START) == everything


async def test_entry_keeps_the_cost_and_what_is_billed_by_its_rule(door: Door) -> None:
    await door.rule("all", markup_basis_points=1000)
    await door.rule("local", model_pattern="vllm/*", fixed_price=fixed(input=1_000_000, output=10_000_000))
    usual, local, foreign = event(), unpriced(), event(caller={"tenant_id": "other"})
    await door.record(usual, local)
    await door.ledger.record(
        [
            entry_from_wire(
                foreign.SerializeToString(), "omnix.v1.usage.recorded.other", datetime(2026, 11, 22, tzinfo=UTC)
            )
        ]
    )
    entries = await door.entries()
    told = [
        (entry.cost_micros if entry.HasField("cost_micros") else None, entry.billed_micros, entry.rule_id)
        for entry in (entries[usual.attempt_id], entries[local.attempt_id])
    ]
    assert told == [(USUAL, 3850, "all"), (None, 2000, "local")]
    assert entries[usual.attempt_id].event == usual
    summary: SummarizeUsageResponse = await door.call(SummarizeUsageRequest(filter=TENANT))
    sums = {
        total.model: (total.cost_micros, total.currency, total.billed_micros, total.billed_currency)
        for total in summary.totals
    }
    assert sums == {"gpt-4o": (USUAL, "USD", 3850, "USD"), "local": (0, "", 2000, "USD")}
    other = await door.call(ListUsageEntriesRequest(filter=UsageFilter(tenant_id="other")))
    assert [(entry.billed_micros, entry.rule_id) for entry in other.entries] == [(USUAL, "")]


async def test_rules_are_made_changed_told_and_deleted_by_their_tenant(door: Door) -> None:
    made = await door.rule("r", model_pattern="gpt-*", markup_basis_points=5)
    assert (made.version, made.markup_basis_points) == (1, 5)
    changed = await door.rule("r", fixed_price=fixed(input=1, output=2))
    assert (changed.version, changed.WhichOneof("amount"), changed.model_pattern) == (2, "fixed_price", "")
    assert changed.create_time == made.create_time
    assert (await door.call(service.GetPriceRuleRequest(tenant_id="default", rule_id="r"))).rule == changed
    assert list((await door.call(service.ListPriceRulesRequest(tenant_id="default"))).rules) == [changed]
    assert list((await door.call(service.ListPriceRulesRequest(tenant_id="other"))).rules) == []
    for tenant in ("other", "default"):
        asked = service.DeletePriceRuleRequest(tenant_id=tenant, rule_id="r")
        if tenant == "default":
            await door.call(asked)
        with pytest.raises(OmnixError) as missing:
            await door.call(asked)
        assert missing.value.reason is Reason.NOT_FOUND


async def test_credit_is_given_once(door: Door) -> None:
    credit = pb.Credit(credit_id="c", tenant_id="default", amount_micros=5, currency="USD", effective_time=LONG_AGO)
    first = await door.call(service.CreateCreditRequest(credit=credit))
    again = await door.call(service.CreateCreditRequest(credit=credit))
    assert (first.created, again.created, again.credit) == (True, False, first.credit)
    credit.amount_micros = 6
    with pytest.raises(OmnixError) as refused:
        await door.call(service.CreateCreditRequest(credit=credit))
    assert (refused.value.reason, refused.value.param) == (Reason.CONFLICT, "credit.credit_id")
    assert [
        each.amount_micros for each in (await door.call(service.ListCreditsRequest(tenant_id="default"))).credits
    ] == [5]


@pytest.mark.parametrize(
    ("rule", "param"),
    [
        ({"rule_id": "a b", "markup_basis_points": 1}, "rule.rule_id"),
        ({"rule_id": "a"}, "rule.amount"),
        ({"rule_id": "a", "markup_basis_points": -10_001}, "rule.markup_basis_points"),
        ({"rule_id": "a", "markup_basis_points": 1, "end_time": LONG_AGO}, "rule.end_time"),
        ({"rule_id": "a", "fixed_price": Price(currency="usd")}, "rule.fixed_price.currency"),
        ({"rule_id": "a", "fixed_price": Price(currency="USD", input_micros_per_million=-1)}, "rule.fixed_price"),
    ],
)
async def test_rule_that_cannot_be_is_refused_by_its_field(door: Door, rule: dict[str, Any], param: str) -> None:
    with pytest.raises(OmnixError) as refused:
        await door.rule(**rule)
    assert (refused.value.reason, refused.value.param) == (Reason.INVALID_REQUEST, param)


async def test_rating_again_takes_the_price_that_is_given_and_keeps_what_was(door: Door) -> None:
    usual, local, former = event(), unpriced(), event()
    former.start_time.CopyFrom(timestamp(START - timedelta(hours=5)))
    await door.record(usual, local, former)
    new = Price(currency="USD", effective_time=timestamp(START - timedelta(hours=1)))
    new.input_micros_per_million, new.output_micros_per_million = 5_000_000, 20_000_000
    prices = [
        pb.ModelPrice(provider="openai", model="gpt-4o", price=new),
        pb.ModelPrice(provider="vllm", model="local", price=new),
    ]
    dry = await door.rerate(prices=prices, dry=True)
    assert (dry["changed"], dry["former_billed"], dry["billed"]) == (2, USUAL, 14_000)
    assert [entry.billed_micros for entry in (await door.entries()).values()].count(USUAL) == 2
    assert await door.rerate(prices=prices) == dry
    again = await door.rerate(prices=prices)
    assert (again["looked_at"], again["changed"]) == (3, 0)
    entries = await door.entries()
    assert entries[former.attempt_id].billed_micros == USUAL  # it began before the price took effect
    assert not entries[former.attempt_id].former_ratings
    rated = entries[usual.attempt_id]
    assert (rated.event, rated.cost_micros, rated.billed_micros) == (usual, 7000, 7000)
    assert rated.rated_price.input_micros_per_million == 5_000_000
    [was] = rated.former_ratings
    assert (was.cost_micros, was.billed_micros, was.replacer.key_id) == (USUAL, USUAL, "admin")
    assert was.rate_time.seconds < was.replace_time.seconds
    [was] = entries[local.attempt_id].former_ratings
    assert (was.HasField("cost_micros"), entries[local.attempt_id].cost_micros) == (False, 7000)


async def test_rating_again_follows_the_rules_of_now_page_by_page(door: Door) -> None:
    events = [event(caller={"team_id": "a" if number % 2 else "b"}) for number in range(25)]
    await door.record(*events)
    await door.rule("all", markup_basis_points=10_000)
    told = await door.rerate(size=10, team_id="a")
    assert (told["changed"], told["billed"], told["former_billed"]) == (12, 12 * 7000, 12 * USUAL)
    told = await door.rerate(size=10)
    assert (told["looked_at"], told["changed"], told["pages"]) == (25, 13, 3)
    await door.call(service.DeletePriceRuleRequest(tenant_id="default", rule_id="all"))
    assert (await door.rerate())["changed"] == 25
    for entry in (await door.entries()).values():
        assert (entry.billed_micros, entry.rule_id) == (USUAL, "")
        assert [was.billed_micros for was in entry.former_ratings] == [USUAL, 7000]
        assert not entry.HasField("rated_price")


async def test_several_who_rate_again_at_once_change_each_entry_once(door: Door, is_ferretdb: bool) -> None:
    if is_ferretdb:
        pytest.skip("FerretDB 1.24 does findAndModify as a read and then a write, not as one step: two callers win")
    await door.record(*[event() for _ in range(30)])
    await door.rule("all", markup_basis_points=10_000)
    told = await asyncio.gather(*(door.rerate() for _ in range(3)))
    assert sum(each["changed"] for each in told) == 30
    assert {len(entry.former_ratings) for entry in (await door.entries()).values()} == {1}


async def test_more_certain_event_is_rated_by_itself(door: Door) -> None:
    orphan = event(outcome=ATTEMPT_OUTCOME_INTERRUPTED, usage={"estimated": True})
    exact = event(attempt_id=orphan.attempt_id, usage={"output_tokens": 100})
    await door.record(orphan)
    await door.rule("all", markup_basis_points=10_000)
    await door.rerate()
    await door.record(exact)
    [entry] = (await door.entries()).values()
    assert (entry.event, entry.billed_micros) == (exact, 2 * entry.cost_micros)
    assert [was.billed_micros for was in entry.former_ratings] == [USUAL]


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (service.RerateUsageRequest(filter=UsageFilter(tenant_id="default")), "filter.start_time"),
        (service.RerateUsageRequest(filter=UsageFilter(start_time=LONG_AGO)), "filter.tenant_id"),
        (service.RerateUsageRequest(filter=TENANT, page_size=1001), "page_size"),
        (service.RerateUsageRequest(filter=TENANT, page_token="forged"), "page_token"),
        (service.RerateUsageRequest(filter=TENANT, prices=[pb.ModelPrice()]), "prices.0"),
    ],
)
async def test_rating_again_that_cannot_be_is_refused(door: Door, asked: Message, param: str) -> None:
    with pytest.raises(OmnixError) as refused:
        await door.call(asked)
    assert (refused.value.reason, refused.value.param) == (Reason.INVALID_REQUEST, param)
