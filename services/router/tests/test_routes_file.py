from datetime import timedelta

import pytest
from omnix_router.routes_file import RoutesFileError, parse
from omnix_router.routing import Route, RouteLimits, RouteTarget

from .words import CATALOGUE

ADAPTERS = {"openai", "local"}


def test_whole_format_is_read() -> None:
    routes = parse(
        """
        providers = ["ollama"]

        [routes.fast]
        attempts = 2
        first_content_timeout = "1.5s"
        idle_timeout = "10s"
        deadline = "2m"
        targets = [
          { model = "gpt-4o-mini", rank = 1, weight = 3 },
          { model = "ollama/llama3", rank = 1 },
          "local/anything",
          "openai/sandbox-echo",
        ]

        [routes."team-a/*"]
        targets = ["openai/*"]

        [routes.gpt-large]
        shadows = true
        targets = ["openai/o3"]
        """,
        CATALOGUE,
        ADAPTERS,
    )
    assert routes.by_name == {
        "fast": Route(
            "fast",
            (
                RouteTarget("openai/gpt-4o-mini", 3, 1),
                RouteTarget("ollama/llama3", 1, 1),
                RouteTarget("local/anything", 1, 2),
                RouteTarget("openai/sandbox-echo", 1, 3),
            ),
            RouteLimits(2, timedelta(seconds=1.5), timedelta(seconds=10), timedelta(minutes=2)),
        ),
        "team-a/*": Route("team-a/*", (RouteTarget("openai/*"),)),
        "gpt-large": Route("gpt-large", (RouteTarget("openai/o3"),), shadows=True),
    }


def test_empty_file_has_no_routes() -> None:
    assert parse("", CATALOGUE, ADAPTERS).by_name == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("routes = [", "not valid TOML"),
        ("routes = " + "1" * 5000, "not valid TOML"),
        ("routes = " + "[" * 5000, ""),
        ("colour = 1", "unknown field `colour`"),
        ('[routes.a]\ntargets = ["openai/o3"]\nspeed = 1', "unknown field `speed` - at `$.routes[...]`"),
        ("[routes.a]", "missing required field `targets`"),
        ("[routes.a]\ntargets = []", "routes.'a'.targets: must hold at least one target"),
        ("[routes.a]\ntargets = [3]", "$.routes[...].targets[0]"),
        ('[routes.a]\ntargets = ["nobody/x"]', "routes.'a'.targets[0].model: no provider is called nobody"),
        ('[routes.a]\ntargets = ["gpt-4o-mino"]', "Did you mean 'gpt-4o-mini'"),
        ('[routes.a]\ntargets = ["openai/gpt-9"]', "routes.'a'.targets[0].model: the catalogue knows no openai/gpt-9"),
        ('[routes.a]\ntargets = ["gpt-4o"]', "ambiguous"),
        ('[routes.a]\ntargets = ["openai/o3", "o3"]', "routes.'a'.targets[1].model: openai/o3 is there twice"),
        ('[routes.a]\ntargets = [{ model = "o3", weight = 0 }]', "routes.'a'.targets[0].weight"),
        ('[routes.a]\ntargets = [{ model = "o3", rank = 0 }]', "routes.'a'.targets[0].rank"),
        ('[routes.a]\ntargets = ["openai/*"]', "has a '*', but the route's name has none"),
        ('[routes."a*"]\ntargets = ["*"]', "does not begin with a known provider"),
        ('[routes."a*b*"]\ntargets = ["o3"]', "may hold one '*'"),
        ('[routes."a b"]\ntargets = ["o3"]', "without spaces"),
        ('[routes.a]\nattempts = 0\ntargets = ["o3"]', "routes.'a'.attempts: must be from 1 to 10"),
        ('[routes.a]\ndeadline = "soon"\ntargets = ["o3"]', "routes.'a'.deadline: must be a duration"),
        ('[routes.a]\ndeadline = "0s"\ntargets = ["o3"]', "routes.'a'.deadline: must be more than 0"),
        ('[routes.gpt-large]\ntargets = ["o3"]', "routes.'gpt-large': is the name of a model; set shadows = true"),
        ('[routes."openai/mine"]\ntargets = ["o3"]', "routes.'openai/mine': is the name of a model"),
        ('[routes."openai/*"]\ntargets = ["o3"]', "routes.'openai/*': never matches"),
        ('[routes.b]\ntargets = ["a"]\n[routes.a]\ntargets = ["b"]', "routes.'b'.targets[0].model"),
    ],
)
def test_bad_file_is_refused_with_its_key(text: str, told: str) -> None:
    with pytest.raises(RoutesFileError) as caught:
        parse(text, CATALOGUE, ADAPTERS)
    assert told in str(caught.value)
