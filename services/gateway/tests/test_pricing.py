"""What tenants pay, as the API tells and takes it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from omnix.router.v1 import router_pb2
from omnix.usage.v1 import usage_pb2, usage_service_pb2
from omnix_kit.errors import CallerError, Reason

from .conftest import Gateway, Start
from .fake_pricing import FakePricing, pricing_service
from .fakes import ADMIN, MEMBER, Backends

DAY = "2026-11-01T00:00:00Z"


@pytest.fixture
async def pricing() -> AsyncIterator[FakePricing]:
    async with pricing_service() as fake:
        yield fake


@pytest.fixture
async def admin(start: Start, pricing: FakePricing) -> Gateway:
    found: Gateway = await start(ADMIN, usage_metering_address=f"127.0.0.1:{pricing.port}")
    return found


async def test_rule_is_written_told_and_deleted(admin: Gateway, pricing: FakePricing) -> None:
    url = "/v1/pricing/rules/gold"
    markup = {"model": "openai/*", "effective_time": DAY, "end_time": "2027-01-01T00:00:00Z", "markup_percent": "12.5"}
    made = await admin.http.put(url, json=markup)
    assert (made.status_code, made.json()["markup_percent"], made.json()["fixed_price"]) == (201, "12.50", None)
    assert pricing.rules["default", "gold"].markup_basis_points == 1250
    tier = {"above_input_tokens": 200_000, "input": "1", "output": "2"}
    price = {"currency": "EUR", "input": "0.15", "output": "0.6", "tiers": [tier]}
    changed = await admin.http.put(url, json={"effective_time": DAY, "fixed_price": price})
    told = changed.json()
    assert (changed.status_code, told["id"], told["model"], told["markup_percent"]) == (200, "gold", None, None)
    assert (told["fixed_price"]["input"], told["fixed_price"]["currency"]) == ("0.150000", "EUR")
    assert told["fixed_price"]["tiers"][0]["output"] == "2.000000"
    assert (await admin.http.get(url)).json() == told
    assert (await admin.http.get("/v1/pricing/rules")).json()["data"] == [told]
    assert (await admin.http.delete(url)).json() == {"id": "gold", "object": "price_rule.deleted", "deleted": True}
    assert (await admin.http.get(url)).status_code == 404


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"effective_time": DAY}, "markup_percent"),
        ({"effective_time": DAY, "markup_percent": "0.001"}, "markup_percent"),
        ({"effective_time": DAY, "markup_percent": "1e30"}, "markup_percent"),
        ({"effective_time": DAY, "markup_percent": "1e999999"}, "markup_percent"),
        ({"effective_time": DAY, "markup_percent": "NaN"}, "markup_percent"),
        ({"effective_time": DAY, "fixed_price": {"input": "-1", "output": "1"}}, "fixed_price.input"),
        ({"effective_time": DAY, "fixed_price": {"input": "0.0000001", "output": "1"}}, "fixed_price.input"),
        ({"markup_percent": 1}, "effective_time"),
    ],
)
async def test_rule_that_cannot_be_is_refused(admin: Gateway, body: dict[str, Any], param: str) -> None:
    refused = await admin.http.put("/v1/pricing/rules/r", json=body)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


async def test_refusals_are_told_in_the_callers_words(admin: Gateway, pricing: FakePricing) -> None:
    pricing.error = CallerError(
        "rule.markup_basis_points is much.", reason=Reason.INVALID_REQUEST, param="rule.markup_basis_points"
    )
    refused = await admin.http.put("/v1/pricing/rules/r", json={"effective_time": DAY, "markup_percent": 9})
    error = refused.json()["error"]
    assert (refused.status_code, error["param"], error["message"]) == (400, "markup_percent", "markup_percent is much.")


async def test_credit_is_given_and_told(admin: Gateway) -> None:
    given = {"id": "welcome", "amount": "25", "effective_time": DAY, "note": "hello"}
    made = await admin.http.post("/v1/pricing/credits", json=given)
    assert (made.status_code, made.json()["amount_micros"], made.json()["amount"]) == (201, 25_000_000, "25.000000")
    assert (await admin.http.get("/v1/pricing/credits")).json()["data"] == [made.json()]


async def test_rating_again_takes_the_prices_of_the_catalogue_or_those_given(
    admin: Gateway, pricing: FakePricing, behind: Backends
) -> None:
    for name, rate in (("a", 1), ("b", 2)):
        model = router_pb2.Model(id=f"openai/{name}", provider="openai", model=name)
        model.price.currency, model.price.input_micros_per_million = "USD", rate
        behind.router.models.append(model)
    behind.router.models.append(router_pb2.Model(id="a-route"))
    pricing.rerating.looked_at, pricing.rerating.changed, pricing.rerating.next_page_token = 10, 2, "t"
    pricing.rerating.totals.add(currency="USD", former_billed_micros=5, billed_micros=7)
    told = (await admin.http.post("/v1/usage/rerate", json={"start_time": DAY, "model": "b", "dry_run": True})).json()
    assert (told["looked_at"], told["changed"], told["next_page_token"], told["dry_run"]) == (10, 2, "t", True)
    assert (told["totals"][0]["former_billed_micros"], told["totals"][0]["billed_micros"]) == (5, 7)
    asked = pricing.rerated[-1]
    assert (asked.filter.tenant_id, asked.filter.model, asked.caller.key_id) == ("default", "b", "admin")
    assert (asked.validate_only, asked.page_size) == (True, 500)
    assert [(each.model, each.price.input_micros_per_million) for each in asked.prices] == [("b", 2)]
    given = {"provider": "p", "model": "m", "effective_time": DAY, "input": 3, "output": "4"}
    await admin.http.post("/v1/usage/rerate", json={"start_time": DAY, "prices": [given], "page_token": "t"})
    asked = pricing.rerated[-1]
    assert (asked.page_token, asked.validate_only) == ("t", False)
    [price] = asked.prices
    assert (price.price.output_micros_per_million, price.price.effective_time.seconds) == (4_000_000, 1_793_491_200)
    await admin.http.post("/v1/usage/rerate", json={"start_time": DAY, "prices": "recorded"})
    assert not pricing.rerated[-1].prices
    refused = await admin.http.post("/v1/usage/rerate", json={"prices": "recorded"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "start_time")


async def test_members_are_kept_from_prices(admin: Gateway) -> None:
    headers = {"authorization": f"Bearer {MEMBER}"}
    for method, path in (
        ("GET", "/v1/pricing/rules"),
        ("PUT", "/v1/pricing/rules/r"),
        ("DELETE", "/v1/pricing/rules/r"),
        ("GET", "/v1/pricing/credits"),
        ("POST", "/v1/pricing/credits"),
        ("POST", "/v1/usage/rerate"),
        ("GET", "/v1/statements/2026-10"),
        ("POST", "/v1/statements/2026-10/close"),
    ):
        assert (await admin.http.request(method, path, headers=headers)).status_code == 403


async def test_entry_tells_what_is_billed_and_how_it_was_rated_before(gateway: Gateway, behind: Backends) -> None:
    entry = usage_pb2.UsageEntry(
        cost_micros=10, currency="USD", billed_micros=12, billed_currency="USD", rule_id="gold"
    )
    entry.rated_price.currency = "USD"
    entry.former_ratings.add(cost_micros=5, currency="USD").replacer.key_id = "k"
    behind.usage.answer = usage_service_pb2.ListUsageEntriesResponse(entries=[entry])
    [told] = (await gateway.http.get("/v1/usage")).json()["data"]
    assert (told["cost"], told["billed"], told["billed_micros"], told["rule_id"]) == (
        "0.000010",
        "0.000012",
        12,
        "gold",
    )
    assert told["rated_pricing"]["currency"] == "USD"
    [was] = told["former_ratings"]
    assert (was["cost_micros"], was["billed_micros"], was["key_id"]) == (5, None, "k")


async def test_statement_is_told_and_closed(admin: Gateway, pricing: FakePricing) -> None:
    statement = pricing.statements.statement
    statement.month = "2026-10"
    statement.totals.add(
        currency="USD", billed_micros=10, adjustment_micros=-2_000_000, credit_micros=3, due_micros=-1_999_993
    )
    statement.models.add(name="openai/gpt-4o", currency="USD", attempts=2, billed_micros=10)
    statement.teams.add(attempts=1)
    statement.adjustments.add(month="2026-09", currency="USD", amount_micros=-2_000_000)
    told = (await admin.http.get("/v1/statements/2026-10")).json()
    assert (told["month"], told["status"], told["close_time"]) == ("2026-10", "open", None)
    [total] = told["totals"]
    assert (total["billed"], total["adjustments"], total["due"]) == ("0.000010", "-2.000000", "-1.999993")
    assert (told["models"][0]["name"], told["models"][0]["billed"]) == ("openai/gpt-4o", "0.000010")
    assert (told["teams"][0]["name"], told["teams"][0]["billed"]) == (None, None)
    assert told["adjustments"] == [
        {"month": "2026-09", "currency": "USD", "amount": "-2.000000", "amount_micros": -2_000_000}
    ]
    closed = (await admin.http.post("/v1/statements/2026-10/close")).json()
    assert (closed["status"], closed["close_time"]) == ("closed", "2026-11-01T00:00:00.000Z")
    assert [(asked.tenant_id, asked.month) for asked in pricing.statements.asked] == [("default", "2026-10")] * 2
    refused = await admin.http.post("/v1/statements/2026-10/close")
    assert (refused.status_code, refused.json()["error"]["param"]) == (409, "month")
