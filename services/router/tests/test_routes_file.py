from datetime import timedelta

import pytest
from omnix_router.catalogue.models import Mode
from omnix_router.conditions import Conditions
from omnix_router.preferring import Policy
from omnix_router.routes_file import RoutesFileError, parse
from omnix_router.routing import Mirror, Route, RouteLimits, RouteTarget, Rule
from omnix_router.sticking import By, Sticky

from .words import CATALOGUE

ADAPTERS = {"openai", "local"}


def rule(when: str, target: str = "o3") -> str:
    """A file with one rule."""
    return f'[routes.a]\ntargets = ["o3"]\n\n[[routes.a.rules]]\nwhen = {{ {when} }}\ntargets = ["{target}"]\n'


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
        mirror = { target = "local/*", share = 1 }

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
        "team-a/*": Route("team-a/*", (RouteTarget("openai/*"),), mirror=Mirror("local/*", 1.0)),
        "gpt-large": Route("gpt-large", (RouteTarget("openai/o3"),), shadows=True),
    }


def test_policies_stickiness_and_rules_are_read() -> None:
    routes = parse(
        """
        [routes.smart]
        policy = "cheapest"
        sticky = "metadata.thread"
        targets = ["gpt-4o-mini", "o3", { model = "gpt-4.1", rank = 2 }, "ollama/llama3"]

        [[routes.smart.rules]]
        when = { mode = ["think", "ultra-think"], modality = "image", min_input_tokens = 0, max_input_tokens = 9 }
        targets = ["o3"]

        [[routes.smart.rules]]
        when = { tenant = "acme", metadata = { tier = ["gold", "silver"], region = "eu" } }
        policy = "ordered"
        targets = ["o3", "gpt-4.1"]

        [routes.kept]
        sticky = "conversation"
        targets = ["o3"]
        """,
        CATALOGUE,
        {"openai", "ollama"},
    )
    assert routes.by_name["smart"] == Route(
        "smart",
        (
            RouteTarget("openai/gpt-4o-mini", 1, 1),
            RouteTarget("openai/o3", 1, 1),
            RouteTarget("openai/gpt-4.1", 1, 2),
            RouteTarget("ollama/llama3", 1, 2),
        ),
        policy=Policy.CHEAPEST,
        sticky=Sticky(By.METADATA, "thread"),
        rules=(
            Rule(
                Conditions(frozenset({Mode.THINK, Mode.ULTRA_THINK}), frozenset({"image"}), 0, 9),
                (RouteTarget("openai/o3"),),
            ),
            Rule(
                Conditions(
                    tenants=frozenset({"acme"}),
                    metadata={"tier": frozenset({"gold", "silver"}), "region": frozenset({"eu"})},
                ),
                (RouteTarget("openai/o3", 1, 1), RouteTarget("openai/gpt-4.1", 1, 2)),
                Policy.ORDERED,
            ),
        ),
    )
    assert routes.by_name["kept"].sticky == Sticky(By.CONVERSATION)


def test_first_content_timeout_may_differ_by_mode() -> None:
    text = """
        [routes.a]
        first_content_timeout = { flash = "5s", ultra-think = "2m", default = "30s" }
        targets = ["o3"]

        [routes.b]
        first_content_timeout = { think = "500ms" }
        targets = ["o3"]
        """
    routes = parse(text, CATALOGUE, ADAPTERS).by_name
    assert routes["a"].limits.first_content_timeout == timedelta(seconds=30)
    assert routes["a"].limits.first_content_timeouts == {
        Mode.FLASH: timedelta(seconds=5),
        Mode.ULTRA_THINK: timedelta(minutes=2),
    }
    assert routes["b"].limits == RouteLimits(first_content_timeouts={Mode.THINK: timedelta(seconds=0.5)})


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
        (
            '[routes.a]\nfirst_content_timeout = { ultra-think = "soon" }\ntargets = ["o3"]',
            "routes.'a'.first_content_timeout.ultra-think: must be a duration",
        ),
        (
            '[routes.a]\nfirst_content_timeout = {}\ntargets = ["o3"]',
            "routes.'a'.first_content_timeout: must hold at least one of default, flash, think, ultra-think",
        ),
        (
            '[routes.a]\nfirst_content_timeout = { fast = "1s" }\ntargets = ["o3"]',
            "unknown field `fast` - at `$.routes[...].first_content_timeout`",
        ),
        ('[routes.gpt-large]\ntargets = ["o3"]', "routes.'gpt-large': is the name of a model; set shadows = true"),
        ('[routes."openai/mine"]\ntargets = ["o3"]', "routes.'openai/mine': is the name of a model"),
        ('[routes."openai/*"]\ntargets = ["o3"]', "routes.'openai/*': never matches"),
        ('[routes.b]\ntargets = ["a"]\n[routes.a]\ntargets = ["b"]', "routes.'b'.targets[0].model"),
        ('[routes.a]\nmirror = { target = "o3", share = 0 }\ntargets = ["o3"]', "'a'.mirror.share: must be above 0"),
        ('[routes.a]\nmirror = { target = "o3", share = 1.1 }\ntargets = ["o3"]', "routes.'a'.mirror.share: must be"),
        ('[routes.a]\nmirror = { target = "o3", share = nan }\ntargets = ["o3"]', "routes.'a'.mirror.share: must be"),
        ('[routes.a]\nmirror = { target = "o3" }\ntargets = ["o3"]', "missing required field `share`"),
        (
            '[routes.a]\nmirror = { target = "nobody/x", share = 1 }\ntargets = ["o3"]',
            "routes.'a'.mirror.target: no provider is called nobody",
        ),
        ('[routes.a]\nmirror = { target = "openai/*", share = 1 }\ntargets = ["o3"]', "mirror.target: has a '*', but"),
        ('[routes.a]\npolicy = "best"\ntargets = ["o3"]', "routes.'a'.policy: 'best' is none of ordered, weighted"),
        ('[routes.a]\nsticky = "key"\ntargets = ["o3"]', "routes.'a'.sticky: 'key' is none of user, conversation"),
        ('[routes.a]\nsticky = "metadata."\ntargets = ["o3"]', "routes.'a'.sticky: 'metadata.' is none of"),
        (rule(""), "routes.'a'.rules[0].when: must hold at least one condition"),
        (rule('mode = "fast"'), "routes.'a'.rules[0].when.mode: 'fast' is none of flash, think, ultra-think"),
        (rule("mode = []"), "routes.'a'.rules[0].when.mode: must hold 1 to 100 values"),
        (rule('modality = ["image", "text"]'), "when.modality: 'text' is none of image, audio, video, file"),
        (rule("min_input_tokens = -1"), "when.min_input_tokens: must not be negative"),
        (rule("min_input_tokens = 2, max_input_tokens = 1"), "when.max_input_tokens: is less than min_input_tokens"),
        (rule('tenant = ""'), "when.tenant: values must have 1 to 512 characters"),
        (rule("metadata = { a = [] }"), "when.metadata.'a': must hold 1 to 100 values"),
        (rule("metadata = { a = 1 }"), "$.routes[...].rules[0].when.metadata[...]"),
        (rule('model = "o3"'), "unknown field `model` - at `$.routes[...].rules[0].when`"),
        (rule('tenant = "t"', "nobody/x"), "routes.'a'.rules[0].targets[0].model: no provider is called nobody"),
        (rule('tenant = "t"') + "\n[[routes.a.rules]]\ntargets = []", "missing required field `when`"),
        (
            rule('tenant = "t"') + '\n[[routes.a.rules]]\nwhen = { tenant = "u" }\ntargets = []',
            "rules[1].targets: must",
        ),
        (rule('tenant = "t"') + rule('tenant = ["t"]').partition("\n\n")[2], "rules[1].when: never counts"),
    ],
)
def test_bad_file_is_refused_with_its_key(text: str, told: str) -> None:
    with pytest.raises(RoutesFileError) as caught:
        parse(text, CATALOGUE, ADAPTERS)
    assert told in str(caught.value)
