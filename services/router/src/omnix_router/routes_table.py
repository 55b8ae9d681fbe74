"""A route as it is written in the file and through the API: what may stand in it, and what is wrong with one. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

import msgspec
from omnix_kit.errors import CallerError
from omnix_kit.settings import duration_text, parse_duration

from omnix_router.catalogue.models import Mode
from omnix_router.naming import MAX_NAME, Names
from omnix_router.plugins.table import named_of
from omnix_router.preferring import Policy
from omnix_router.routes_rules import RouteError, When, conditions_of, policy_of, sticky_of, sticky_text, when_of
from omnix_router.routing import Mirror, Route, RouteLimits, RouteTarget, Rule

SANDBOX_PREFIX = "sandbox-"
"""Models of this prefix exist in the sandbox only and stand in no catalogue."""
_MAX_WEIGHT = 1_000_000
_MAX_ATTEMPTS = 10
_MAX_RULES = 100


class _Table(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    pass


class TargetTable(_Table):
    model: str
    weight: int = 1
    rank: int | None = None


class RuleTable(_Table):
    when: When
    targets: list[TargetTable | str]
    policy: str | None = None


class MirrorTable(_Table):
    target: str
    share: float


class FirstContentTable(_Table, rename={"ultra_think": "ultra-think"}):
    """``default`` is for what the others say nothing of."""

    default: str | None = None
    flash: str | None = None
    think: str | None = None
    ultra_think: str | None = None


class RouteTable(_Table):
    targets: list[TargetTable | str]
    policy: str = Policy.ORDERED.value
    sticky: str | None = None
    rules: list[RuleTable] = []
    attempts: int | None = None
    first_content_timeout: str | FirstContentTable | None = None
    idle_timeout: str | None = None
    deadline: str | None = None
    hedge_after: str | None = None
    shadows: bool = False
    strict_reasoning: bool | None = None
    mirror: MirrorTable | None = None
    plugins: list[str] = []
    plugin_settings: dict[str, dict[str, str]] = {}


def route_of(key: str, name: str, table: RouteTable, names: Names | None) -> Route:
    """Read one route.

    :param key: where it stands, for errors.
    :param names: what models are looked up in; None for a route that was read before and written by
        :func:`table_of`, whose models are taken as they are.
    :raises RouteError: for the first thing that is wrong.
    """
    if not name or len(name) > MAX_NAME or not name.isprintable() or " " in name:
        raise RouteError(key, f"a name has 1 to {MAX_NAME} printable characters without spaces")
    if name.count("*") > 1:
        raise RouteError(key, "a name may hold one '*'")
    if names is not None and not table.shadows:
        _refuse_shadow(key, name, names)
    policy, sticky = policy_of(f"{key}.policy", table.policy), sticky_of(f"{key}.sticky", table.sticky)
    targets = _targets(key, name, table.targets, policy, names)
    rules = _rules(f"{key}.rules", name, table.rules, policy, names)
    if table.attempts is not None and not 1 <= table.attempts <= _MAX_ATTEMPTS:
        raise RouteError(f"{key}.attempts", f"must be from 1 to {_MAX_ATTEMPTS}")
    first, by_mode = _first_content(f"{key}.first_content_timeout", table.first_content_timeout)
    limits = RouteLimits(
        attempts=table.attempts,
        first_content_timeout=first,
        idle_timeout=_duration(f"{key}.idle_timeout", table.idle_timeout),
        deadline=_duration(f"{key}.deadline", table.deadline),
        hedge_after=_duration(f"{key}.hedge_after", table.hedge_after),
        strict_reasoning=table.strict_reasoning,
        first_content_timeouts=by_mode,
    )
    mirror = None if table.mirror is None else _mirror(f"{key}.mirror", name, table.mirror, names)
    plugins = named_of(key, table.plugins, table.plugin_settings)
    return Route(name, targets, limits, table.shadows, policy, sticky, rules, mirror, plugins)


def table_of(route: Route) -> RouteTable:
    """Write a route so that :func:`route_of` reads the same one, with nothing left to be looked up."""
    limits = route.limits
    return RouteTable(
        targets=_tables(route.targets),
        policy=route.policy.value,
        sticky=sticky_text(route.sticky),
        rules=[
            RuleTable(when_of(rule.when), _tables(rule.targets), None if rule.policy is None else rule.policy.value)
            for rule in route.rules
        ],
        attempts=limits.attempts,
        first_content_timeout=_first_content_table(limits.first_content_timeout, limits.first_content_timeouts),
        idle_timeout=_optional(limits.idle_timeout),
        deadline=_optional(limits.deadline),
        hedge_after=_optional(limits.hedge_after),
        shadows=route.shadows,
        strict_reasoning=limits.strict_reasoning,
        mirror=None if route.mirror is None else MirrorTable(route.mirror.model, route.mirror.share),
        plugins=[plugin.name for plugin in route.plugins],
        plugin_settings={plugin.name: dict(plugin.settings) for plugin in route.plugins if plugin.settings},
    )


def _optional(value: timedelta | None) -> str | None:
    """A duration as routes write it; None stays None."""
    return None if value is None else duration_text(value)


def _rules(key: str, route: str, raw: Sequence[RuleTable], policy: Policy, names: Names | None) -> tuple[Rule, ...]:
    if len(raw) > _MAX_RULES:
        raise RouteError(key, f"may hold at most {_MAX_RULES} rules")
    rules: list[Rule] = []
    for index, rule in enumerate(raw):
        at = f"{key}[{index}]"
        own = None if rule.policy is None else policy_of(f"{at}.policy", rule.policy)
        when = conditions_of(f"{at}.when", rule.when)
        if when in [earlier.when for earlier in rules]:
            raise RouteError(f"{at}.when", "never counts, because an earlier rule asks the same")
        rules.append(Rule(when, _targets(at, route, rule.targets, own or policy, names), own))
    return tuple(rules)


def _targets(
    key: str, route: str, raw: Sequence[TargetTable | str], policy: Policy, names: Names | None
) -> tuple[RouteTarget, ...]:
    if not raw:
        raise RouteError(f"{key}.targets", "must hold at least one target")
    # In an order of the route's own, a target without a rank follows the one before it; else they are equals.
    step = 1 if policy is Policy.ORDERED else 0
    targets: list[RouteTarget] = []
    for index, choice in enumerate(raw):
        target = choice if isinstance(choice, TargetTable) else TargetTable(choice)
        rank = target.rank if target.rank is not None else (targets[-1].rank + step if targets else 1)
        targets.append(_target(f"{key}.targets[{index}]", route, target, rank, names))
        if targets[-1].model in {other.model for other in targets[:-1]}:
            raise RouteError(f"{key}.targets[{index}].model", f"{targets[-1].model} is there twice")
    return tuple(targets)


def _target(key: str, route: str, raw: TargetTable, rank: int, names: Names | None) -> RouteTarget:
    if not 1 <= raw.weight <= _MAX_WEIGHT:
        raise RouteError(f"{key}.weight", f"must be from 1 to {_MAX_WEIGHT}")
    if rank < 1:
        raise RouteError(f"{key}.rank", "must be at least 1")
    model = raw.model if names is None else _model(f"{key}.model", route, raw.model, names)
    return RouteTarget(model, raw.weight, rank)


def _mirror(key: str, route: str, raw: MirrorTable, names: Names | None) -> Mirror:
    if not 0 < raw.share <= 1:
        raise RouteError(f"{key}.share", "must be above 0 and at most 1")
    return Mirror(raw.target if names is None else _model(f"{key}.target", route, raw.target, names), raw.share)


def _model(key: str, route: str, model: str, names: Names) -> str:
    if "*" in model:
        if "*" not in route:
            raise RouteError(key, "has a '*', but the route's name has none")
        if not names.is_explicit(model) or "*" in model.partition("/")[0]:
            raise RouteError(key, f"{model} does not begin with a known provider and a slash")
        return model
    try:
        named = names.find(model)
    except CallerError as exc:
        raise RouteError(key, exc.message) from exc
    if named is None:
        raise RouteError(key, _unknown(model, names))
    strange = named.entry is None and not named.model.startswith(SANDBOX_PREFIX)
    if strange and named.provider in names.catalogue.providers:
        raise RouteError(
            key,
            f"the catalogue knows no {named.id}; OMNIX_CATALOGUE_FILE can add it. " + names.unknown(model).message,
        )
    return named.id


def _unknown(model: str, names: Names) -> str:
    provider, _, rest = model.partition("/")
    if rest and not names.is_explicit(model):
        return f"no provider is called {provider}; known are {', '.join(sorted(names.providers)) or 'none'}"
    return names.unknown(model).message


def _refuse_shadow(key: str, name: str, names: Names) -> None:
    if "*" in name:
        prefix = name.partition("*")[0]
        if names.is_explicit(f"{prefix}x"):
            provider = name.partition("/")[0]
            raise RouteError(
                key,
                f"never matches, because {provider}/… means a model of {provider}; "
                "set shadows = true to come before its models",
            )
    elif names.is_explicit(name) or name in names.catalogue.short_names:
        raise RouteError(key, "is the name of a model; set shadows = true to come before it")


def _first_content(
    key: str, given: str | FirstContentTable | None
) -> tuple[timedelta | None, Mapping[Mode, timedelta]]:
    if given is None or isinstance(given, str):
        return _duration(key, given), {}
    texts = {Mode.FLASH: given.flash, Mode.THINK: given.think, Mode.ULTRA_THINK: given.ultra_think}
    by_mode = {mode: _duration(f"{key}.{mode}", text) for mode, text in texts.items()}
    default = _duration(f"{key}.default", given.default)
    found = {mode: value for mode, value in by_mode.items() if value is not None}
    if default is None and not found:
        raise RouteError(key, "must hold at least one of default, flash, think, ultra-think")
    return default, found


def _first_content_table(
    default: timedelta | None, by_mode: Mapping[Mode, timedelta]
) -> str | FirstContentTable | None:
    if not by_mode:
        return _optional(default)
    return FirstContentTable(
        _optional(default),
        _optional(by_mode.get(Mode.FLASH)),
        _optional(by_mode.get(Mode.THINK)),
        _optional(by_mode.get(Mode.ULTRA_THINK)),
    )


def _tables(targets: Iterable[RouteTarget]) -> list[TargetTable | str]:
    return [TargetTable(target.model, target.weight, target.rank) for target in targets]


def _duration(key: str, text: str | None) -> timedelta | None:
    if text is None:
        return None
    try:
        value = parse_duration(text)
    except (ValueError, OverflowError) as exc:
        raise RouteError(key, str(exc)) from exc
    if not isinstance(value, timedelta) or not timedelta(0) < value <= timedelta(days=1):
        raise RouteError(key, "must be more than 0 and at most 24h")
    return value
