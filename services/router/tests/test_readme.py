"""What the README shows is read by the code it is about."""

import re
from pathlib import Path

from omnix_router.catalogue.reading import load, parse
from omnix_router.conditions import MODALITIES
from omnix_router.fitting import CAPABILITIES
from omnix_router.mirroring import Skipped
from omnix_router.plugins.plugin import Hook
from omnix_router.preferring import Policy
from omnix_router.reasoning import BUDGETS
from omnix_router.routes_file import parse as parse_routes
from omnix_router.routes_rules import When
from omnix_router.settings import Settings
from omnix_router.sticking import By, Sticky

README = (Path(__file__).parents[1] / "README.md").read_text()
ROUTES, POLICIES, COPIES, PLUGINS, CATALOGUE, REASONING = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)


def test_example_routes_are_good() -> None:
    routes = parse_routes(ROUTES, load(None), {"openai"})
    assert set(routes.by_name) == {"fast", "team-a/*", "gpt-4o"}
    assert [(t.rank, t.weight) for t in routes.by_name["fast"].targets] == [(1, 3), (1, 1), (2, 1)]


def test_example_policies_are_good() -> None:
    [route] = parse_routes(POLICIES, load(None), {"openai"}).by_name.values()
    assert (route.policy, route.sticky) == (Policy.CHEAPEST, Sticky(By.CONVERSATION))
    assert [(len(rule.targets), rule.policy) for rule in route.rules] == [(2, Policy.ORDERED), (1, None)]


def test_example_copies_are_good() -> None:
    [route] = parse_routes(COPIES, load(None), {"openai"}).by_name.values()
    assert route.mirror is not None
    assert (route.mirror.model.partition("/")[0], route.mirror.share) == ("bedrock", 0.05)
    assert [cause for cause in Skipped if f"| `{cause}` |" not in README] == []


def test_example_plugins_are_good() -> None:
    routes = parse_routes(PLUGINS, load(None), {"openai"})
    assert (set(routes.plugins.by_name), routes.plugins.always) == ({"redact", "residency"}, ("redact",))
    assert [hook for hook in Hook if f"`{hook}`" not in README] == []


def test_every_policy_and_condition_is_told() -> None:
    told = [*Policy, *MODALITIES, *When.__struct_fields__, By.USER, By.CONVERSATION]
    assert [name for name in told if f"`{name}`" not in README] == []


def test_example_catalogue_is_good() -> None:
    [model] = parse("README.toml", CATALOGUE)
    assert (model.id, model.aliases, model.prices[0].rates.reasoning) == ("ollama/llama3", ("llama",), 100_000)
    counted, named, vectors = parse("README.toml", REASONING)
    assert counted.reasoning is not None
    assert named.reasoning is not None
    assert (counted.reasoning.min_budget, named.reasoning.control, vectors.dimensions[0]) == (1_024, "effort", 1_024)


def test_every_setting_is_listed() -> None:
    assert [name for name in Settings.model_fields if f"`OMNIX_{name.upper()}`" not in README] == []


def test_every_need_and_every_effort_is_told() -> None:
    assert [capability for capability in CAPABILITIES if f"`{capability}`" not in README] == []
    row = re.search(r"\| is a budget of (.*)", README)
    assert row is not None
    told = [int(cell.replace(",", "")) for cell in re.findall(r"[\d,]+", row[1])]
    assert told == [tokens for effort, tokens in BUDGETS.items() if effort != "max"]
