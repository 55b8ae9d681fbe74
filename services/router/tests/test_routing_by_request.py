"""What of a request decides which targets there are, and in which order."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnix_kit.errors import CallerError, PlatformError, Reason
from omnix_kit.money import Price, Rates, Tier
from omnix_router.catalogue.models import Catalogue, Mode, Model
from omnix_router.conditions import Conditions, Facts
from omnix_router.naming import Names
from omnix_router.narrowing import NO_PREFERENCES, Preferences
from omnix_router.preferring import Policy
from omnix_router.routing import (
    Circumstances,
    NoneAllowed,
    Plan,
    Route,
    Routes,
    RouteTarget,
    Rule,
    plan,
    plan_all,
    preferred,
)
from omnix_router.sticking import By, Sticky

START = datetime(2026, 1, 1, tzinfo=UTC)
LATER = datetime(2026, 6, 1, tzinfo=UTC)
NOW = datetime(2026, 7, 1, tzinfo=UTC)


def price(input_: int, output: int, since: datetime = START, currency: str = "USD", *tiers: Tier) -> Price:
    return Price(currency, since, Rates(input_, output), tiers)


# Cheap to read, cheap to write; one that became cheaper; one that is dear for long prompts; one that has no price.
READER = Model("a", "reader", prices=(price(1_000_000, 9_000_000),))
WRITER = Model("b", "writer", prices=(price(3_000_000, 3_000_000),))
FALLEN = Model("c", "fallen", prices=(price(99_000_000, 99_000_000), price(2_000_000, 8_000_000, LATER)))
TIERED = Model("a", "tiered", prices=(price(1, 1, START, "USD", Tier(1000, Rates(50_000_000, 50_000_000))),))
EUROS = Model("b", "euros", prices=(price(1, 1, START, "EUR"),))
TWIN_A, TWIN_B = Model("a", "twin", prices=(price(2, 2),)), Model("b", "twin", prices=(price(1, 1),))
MODELS = (READER, WRITER, FALLEN, TIERED, EUROS, TWIN_A, TWIN_B)
NAMES = Names(Catalogue({model.id: model for model in MODELS}), frozenset("abcd"), frozenset({("d", "free")}))

THREE = tuple(RouteTarget(name) for name in ("a/reader", "b/writer", "c/fallen"))
ROUTE = Route("r", THREE)


def told(plan: Plan) -> str:
    return " ".join(target.model for target in plan.targets)


def planned(route: Route, chance: float = 0.5, **circumstances: Any) -> Plan:
    return plan("r", NAMES, Routes({"r": route}), chance, Circumstances(now=NOW, **circumstances))


def asking(**facts: Any) -> Any:
    return lambda: Facts(**facts)


def never() -> Facts:
    raise AssertionError("nothing needs to be known of this request")


@pytest.mark.parametrize(
    ("input_tokens", "output_tokens", "expected"),
    [(10_000, 1, "reader fallen writer"), (1, 10_000, "writer fallen reader"), (0, None, "writer fallen reader")],
)
def test_cheapest_counts_what_is_read_and_what_may_be_written(
    input_tokens: int, output_tokens: int | None, expected: str
) -> None:
    facts = asking(input_tokens=input_tokens, output_tokens=output_tokens)
    assert told(planned(replace(ROUTE, policy=Policy.CHEAPEST), facts=facts)) == expected


@pytest.mark.parametrize(("now", "expected"), [(START, "writer reader fallen"), (NOW, "writer fallen reader")])
def test_prices_are_those_of_now(now: datetime, expected: str) -> None:
    route = Route("r", THREE, policy=Policy.CHEAPEST)
    at = Circumstances(asking(input_tokens=100, output_tokens=1000), now)
    assert told(plan("r", NAMES, Routes({"r": route}), 0.5, at)) == expected


@pytest.mark.parametrize(("tokens", "expected"), [(1000, "tiered reader"), (1001, "reader tiered")])
def test_price_of_long_prompts_counts(tokens: int, expected: str) -> None:
    route = Route("r", (RouteTarget("a/reader"), RouteTarget("a/tiered")), policy=Policy.CHEAPEST)
    assert told(planned(route, facts=asking(input_tokens=tokens))) == expected


def test_without_a_price_or_in_other_money_is_last() -> None:
    route = Route("r", (RouteTarget("d/free"), RouteTarget("b/writer"), RouteTarget("b/euros")), policy=Policy.CHEAPEST)
    assert told(planned(route)).split()[0] == "writer"


def test_fastest_goes_by_what_was_heard_and_balanced_by_both() -> None:
    seconds: Mapping[str, float] = {"a/reader": 1.0, "b/writer": 2.0, "c/fallen": 0.1}
    fastest = planned(replace(ROUTE, policy=Policy.FASTEST), seconds=seconds.get, facts=never)
    assert (told(fastest), fastest.policy) == ("fallen reader writer", Policy.FASTEST)
    facts = asking(input_tokens=10_000, output_tokens=0)
    # 1 x 1, 3 x 2 and 2 x 0.1.
    assert told(planned(replace(ROUTE, policy=Policy.BALANCED), seconds=seconds.get, facts=facts)) == (
        "fallen reader writer"
    )


@pytest.mark.parametrize("policy", Policy)
def test_ranks_come_before_any_policy(policy: Policy) -> None:
    route = Route("r", (RouteTarget("a/reader", rank=2), RouteTarget("b/writer", rank=1)), policy=policy)
    assert told(planned(route, 0.01)) == "writer reader"


def test_rule_that_holds_first_counts() -> None:
    rules = (
        Rule(Conditions(modes=frozenset({Mode.THINK})), (RouteTarget("b/writer"),)),
        Rule(Conditions(min_input_tokens=100), (RouteTarget("c/fallen"), RouteTarget("b/writer")), Policy.CHEAPEST),
    )
    route = Route("r", (RouteTarget("a/reader"),), rules=rules)
    assert told(planned(route, facts=asking(mode=Mode.THINK, input_tokens=100))) == "writer"
    cheapest = planned(route, facts=asking(input_tokens=100))
    assert (told(cheapest), cheapest.policy) == ("writer fallen", Policy.CHEAPEST)
    assert told(planned(route, facts=asking(input_tokens=99))) == "reader"


def test_rule_without_a_served_target_does_not_give_way() -> None:
    rules = (Rule(Conditions(tenants=frozenset({"t"})), (RouteTarget("gone/x"),)),)
    with pytest.raises(PlatformError) as caught:
        planned(Route("r", THREE, rules=rules), facts=asking(tenant="t"))
    assert caught.value.reason is Reason.UNAVAILABLE


@given(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True), st.text(min_size=1, max_size=9))
def test_conversation_stays_where_it_is(one: float, other: float, key: str) -> None:
    route = Route("r", THREE, policy=Policy.WEIGHTED, sticky=Sticky(By.CONVERSATION))
    facts = asking(tenant="t", cache_key=key)
    assert told(planned(route, one, facts=facts)) == told(planned(route, other, facts=facts))


def test_equal_ranks_of_an_order_are_shared_by_key_too() -> None:
    route = Route("r", (*THREE, RouteTarget("a/tiered", rank=2)), sticky=Sticky(By.USER))
    orders = {told(planned(route, facts=asking(tenant="t", user=f"u{number}"))) for number in range(50)}
    assert {order.split()[3] for order in orders} == {"tiered"}
    assert {order.split()[0] for order in orders} == {"reader", "writer", "fallen"}


def test_nothing_is_asked_of_a_request_that_nothing_depends_on() -> None:
    assert told(planned(ROUTE, 0.0, facts=never)) == "reader writer fallen"
    assert told(plan("a/reader", NAMES, Routes(), 0.0, Circumstances(never))) == "reader"


@pytest.mark.parametrize(
    ("preferences", "expected"),
    [
        (Preferences(order=("c",)), "fallen reader writer"),
        (Preferences(order=("c", "b"), fallbacks=False), "fallen writer"),
        (Preferences(only=frozenset("bc")), "writer fallen"),
        (Preferences(ignore=frozenset("a")), "writer fallen"),
        (Preferences(sort=Policy.CHEAPEST), "writer fallen reader"),
        (Preferences(order=("a",), sort=Policy.CHEAPEST), "reader writer fallen"),
    ],
)
def test_preferences_win_over_the_order_of_the_route(preferences: Preferences, expected: str) -> None:
    route = Route("r", tuple(replace(target, rank=rank) for rank, target in enumerate(THREE, 1)))
    facts = asking(input_tokens=1, output_tokens=100)
    assert told(planned(route, preferences=preferences, facts=facts)) == expected


def test_preferences_that_leave_nothing_are_told() -> None:
    with pytest.raises(NoneAllowed) as caught:
        planned(ROUTE, preferences=Preferences(only=frozenset("d")))
    assert (caught.value.reason, caught.value.param) == (Reason.INVALID_REQUEST, "provider")
    assert "'r'" in caught.value.message
    assert "a/reader, b/writer, c/fallen" in caught.value.message


def test_first_choice_alone_is_said_of_the_plan() -> None:
    assert planned(ROUTE, preferences=Preferences(fallbacks=False)).alone
    assert not planned(ROUTE, preferences=Preferences(fallbacks=False, order=("a",))).alone


def test_name_of_several_models_is_no_question_where_providers_are_preferred() -> None:
    with pytest.raises(CallerError, match="ambiguous"):
        plan("twin", NAMES, Routes(), 0.0, Circumstances())
    for preferences, expected in [
        (Preferences(only=frozenset("b")), ["b/twin"]),
        (Preferences(order=("b",)), ["b/twin", "a/twin"]),
        (Preferences(sort=Policy.CHEAPEST), ["b/twin", "a/twin"]),
    ]:
        found = plan("twin", NAMES, Routes(), 0.0, Circumstances(now=NOW, preferences=preferences))
        assert [target.id for target in found.targets] == expected


@pytest.mark.parametrize(
    ("preferences", "expected"),
    [
        (NO_PREFERENCES, "reader writer fallen"),
        (Preferences(order=("c",)), "fallen reader writer"),
        (Preferences(ignore=frozenset("a")), "writer fallen"),
        (Preferences(sort=Policy.CHEAPEST), "writer fallen reader"),
    ],
)
def test_preferences_hold_for_plans_that_no_route_made(preferences: Preferences, expected: str) -> None:
    made = planned(ROUTE, 0.0)
    at = Circumstances(asking(input_tokens=1, output_tokens=100), NOW, preferences=preferences)
    assert told(preferred(made, 0.0, at)) == expected
    with pytest.raises(NoneAllowed):
        preferred(made, 0.0, Circumstances(preferences=Preferences(only=frozenset("d"))))


def all_of(*asked: str, preferences: Preferences = NO_PREFERENCES) -> Plan:
    routes = Routes({"r": ROUTE, "away": Route("away", (RouteTarget("gone/x"),))})
    return plan_all(asked, lambda name: plan(name, NAMES, routes, 0.0, Circumstances(preferences=preferences)))


def test_fallbacks_follow_in_order_and_none_comes_twice() -> None:
    found = all_of("b/writer", "r", "a/tiered")
    assert told(found) == "writer reader fallen tiered"
    assert [target.route for target in found.targets] == ["", "r", "r", ""]


def test_name_that_nobody_serves_now_is_left_out() -> None:
    assert told(all_of("away", "a/tiered")) == "tiered"
    with pytest.raises(PlatformError):
        all_of("away", "away")


def test_name_that_preferences_leave_nothing_of_is_left_out() -> None:
    assert told(all_of("a/reader", "r", preferences=Preferences(only=frozenset("b")))) == "writer"
    with pytest.raises(NoneAllowed):
        all_of("a/reader", "a/tiered", preferences=Preferences(only=frozenset("b")))


@pytest.mark.parametrize(("asked", "param"), [(("nothing", "r"), "model"), (("r", "nothing"), "models")])
def test_name_that_means_nothing_is_told(asked: tuple[str, ...], param: str) -> None:
    with pytest.raises(CallerError) as caught:
        all_of(*asked)
    assert (caught.value.reason, caught.value.param) == (Reason.MODEL_NOT_FOUND, param)
