from collections import Counter
from dataclasses import replace

import pytest
from omnix_kit.errors import CallerError, PlatformError, Reason
from omnix_router.catalogue.models import Mode
from omnix_router.narrowing import Preferences
from omnix_router.routing import (
    Circumstances,
    Mirror,
    Route,
    Routes,
    RouteTarget,
    Target,
    parted,
    plan,
    plan_all,
    weighted,
)

from .words import LARGE, NAMES, SMALL


def routes(*found: Route) -> Routes:
    return Routes({route.name: route for route in found})


def chosen(name: str, *found: Route, chance: float = 0.0) -> list[str]:
    return [target.id for target in plan(name, NAMES, routes(*found), chance).targets]


def route(name: str, *models: str, shadows: bool = False) -> Route:
    return Route(name, tuple(RouteTarget(model, rank=i + 1) for i, model in enumerate(models)), shadows=shadows)


def test_model_is_its_own_only_target() -> None:
    found = plan("gpt-4o-mini", NAMES, Routes(), 0.0)
    assert (found.targets, found.route) == ((Target("openai", "gpt-4o-mini", SMALL),), "")


def test_route_gives_its_targets_in_order() -> None:
    found = plan("fast", NAMES, routes(route("fast", "openai/gpt-4.1", "ollama/llama3")), 0.9)
    assert [target.id for target in found.targets] == ["openai/gpt-4.1", "ollama/llama3"]
    assert found.route == "fast"
    assert found.targets[0].entry is LARGE


def test_targets_of_unserved_providers_are_left_out() -> None:
    assert chosen("fast", route("fast", "gemini/gemini-pro", "openai/o3")) == ["openai/o3"]


def test_route_without_a_served_target_is_unavailable() -> None:
    with pytest.raises(PlatformError) as caught:
        chosen("fast", route("fast", "gemini/gemini-pro"))
    assert caught.value.reason is Reason.UNAVAILABLE


def test_star_carries_into_the_target() -> None:
    team = route("team-a/*", "openai/*", "ollama/x-*")
    assert chosen("team-a/gpt-large", team) == ["openai/gpt-4.1", "ollama/x-gpt-large"]


def test_two_choices_that_become_the_same_model_count_once() -> None:
    assert chosen("t/gpt-large", route("t/*", "openai/*", "openai/gpt-4.1")) == ["openai/gpt-4.1"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("team-a/special", "ollama/exact"),
        ("team-a/fast-x", "ollama/middle"),
        ("team-a/x", "ollama/team"),
        ("team-b", "ollama/all"),
        ("gpt-4o-mini", "openai/gpt-4o-mini"),
        ("team-a/", "ollama/all"),
    ],
)
def test_most_specific_route_wins_and_models_come_before_wildcards(name: str, expected: str) -> None:
    found = [
        route("*", "ollama/all"),
        route("team-a/*", "ollama/team"),
        route("team-a/fast-*", "ollama/middle"),
        route("team-a/special", "ollama/exact"),
    ]
    for order in (found, found[::-1]):
        assert chosen(name, *order) == [expected]


def test_shadowing_wildcard_comes_before_models() -> None:
    assert chosen("gpt-4o-mini", route("gpt-*", "ollama/llama3", shadows=True)) == ["ollama/llama3"]


def test_name_that_means_nothing_is_not_found() -> None:
    with pytest.raises(CallerError) as caught:
        chosen("nothing", route("fast", "openai/o3"))
    assert caught.value.reason is Reason.MODEL_NOT_FOUND


def test_weights_share_by_chance_and_the_rest_follows_by_weight() -> None:
    targets = [Target("p", "a", weight=1), Target("p", "b", weight=2), Target("p", "c", weight=7)]
    first = Counter(weighted(targets, i / 1000)[0].model for i in range(1000))
    assert first == {"a": 100, "b": 200, "c": 700}
    assert [target.model for target in weighted(targets, 0.0)] == ["a", "c", "b"]
    assert [target.model for target in weighted(targets, 0.999999999)] == ["c", "b", "a"]


def test_equal_ranks_share_and_lower_ranks_follow() -> None:
    shared = Route(
        "r",
        (RouteTarget("ollama/a", 1, 1), RouteTarget("ollama/b", 1, 1), RouteTarget("ollama/c", 9, 2)),
    )
    assert chosen("r", shared, chance=0.2) == ["ollama/a", "ollama/b", "ollama/c"]
    assert chosen("r", shared, chance=0.7) == ["ollama/b", "ollama/a", "ollama/c"]


def test_plan_says_where_copies_go() -> None:
    mirror = Mirror("ollama/*", 0.5)
    wildcard = Route("team/*", (RouteTarget("openai/*"),), mirror=mirror)
    fixed = Route("r", (RouteTarget("ollama/a"),), mirror=Mirror("ollama/b", 1))
    found = routes(wildcard, fixed)
    made = plan("team/o3", NAMES, found, 0.0)
    assert ([target.id for target in made.targets], made.mirror) == (["openai/o3"], Mirror("ollama/o3", 0.5))
    picky = Circumstances(preferences=Preferences(only=frozenset({"ollama"})))
    assert plan("r", NAMES, found, 0.0, picky).mirror == fixed.mirror
    assert plan("gpt-4o-mini", NAMES, found, 0.0).mirror is None
    for names, told in ((("r", "team/o3"), fixed.mirror), (("gpt-4o-mini", "r"), None)):
        assert plan_all(names, lambda name: plan(name, NAMES, found, 0.0)).mirror == told


def test_provider_that_is_away_but_known_stays_a_target() -> None:
    names = replace(NAMES, complete=False)
    assert [t.id for t in plan("azure/gpt-4o", names, Routes(), 0.0).targets] == ["azure/gpt-4o"]


@pytest.mark.parametrize(
    ("name", "base", "mode"),
    [
        ("fast:think", "fast", Mode.THINK),
        ("gpt-4o-mini:flash", "gpt-4o-mini", Mode.FLASH),
        ("team-a/gpt-4o:think", "team-a/gpt-4o", Mode.THINK),
        # A route of exactly that name comes first, a wildcard that happens to fit does not.
        ("slow:think", "slow:think", None),
        ("any:flash", "any", Mode.FLASH),
    ],
)
def test_mode_is_parted_from_a_name_unless_a_route_is_called_so(name: str, base: str, mode: Mode | None) -> None:
    found = routes(route("fast", "openai/o3"), route("slow:think", "openai/o3"), route("any*", "openai/o3"))
    assert parted(name, NAMES, found) == (base, mode)
