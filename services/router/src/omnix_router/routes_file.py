"""The routes file: what may stand in it, and what is wrong with one. Pure: it reads text, not files."""

import tomllib
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta

import msgspec
from omnix_kit.errors import CallerError
from omnix_kit.settings import parse_duration

from omnix_router.catalogue.models import Catalogue
from omnix_router.naming import MAX_NAME, Names
from omnix_router.preferring import Policy
from omnix_router.routes_rules import When, conditions_of, policy_of, sticky_of
from omnix_router.routing import Route, RouteLimits, Routes, RouteTarget, Rule

SANDBOX_PREFIX = "sandbox-"
"""Models of this prefix exist in the sandbox only and stand in no catalogue."""
_MAX_WEIGHT = 1_000_000
_MAX_ATTEMPTS = 10
_MAX_RULES = 100


class RoutesFileError(Exception):
    """The file is wrong; the message names the key and what is wrong with it."""


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    pass


class _Target(_Table):
    model: str
    weight: int = 1
    rank: int | None = None


class _Rule(_Table):
    when: When
    targets: list[_Target | str]
    policy: str | None = None


class _Route(_Table):
    targets: list[_Target | str]
    policy: str = Policy.ORDERED.value
    sticky: str | None = None
    rules: list[_Rule] = []
    attempts: int | None = None
    first_content_timeout: str | None = None
    idle_timeout: str | None = None
    deadline: str | None = None
    shadows: bool = False
    strict_reasoning: bool | None = None


class _File(_Table):
    routes: dict[str, _Route] = {}
    providers: list[str] = []


def parse(text: str, catalogue: Catalogue, providers: AbstractSet[str]) -> Routes:
    """Read the whole file.

    What is known must not depend on which adapter was reached, so that a file is good or bad at every start alike:
    providers are those of the catalogue, those of ``providers`` (the adapters' names), and those that the file itself
    declares under ``providers``.

    :raises RoutesFileError: for the first thing that is wrong.
    """
    try:
        file = msgspec.convert(tomllib.loads(text), _File)
    except msgspec.ValidationError as exc:
        raise RoutesFileError(str(exc)) from exc
    except ValueError as exc:
        raise RoutesFileError(f"not valid TOML: {exc}") from exc
    except RecursionError as exc:
        raise RoutesFileError("nested too deeply") from exc
    names = Names(catalogue, providers=catalogue.providers | providers | set(file.providers))
    return Routes({name: _route(name, route, names) for name, route in file.routes.items()})


def _route(name: str, raw: _Route, names: Names) -> Route:
    key = f"routes.{name!r}"
    if not name or len(name) > MAX_NAME or not name.isprintable() or " " in name:
        raise RoutesFileError(f"{key}: a name has 1 to {MAX_NAME} printable characters without spaces")
    if name.count("*") > 1:
        raise RoutesFileError(f"{key}: a name may hold one '*'")
    if not raw.shadows:
        _refuse_shadow(key, name, names)
    try:
        policy, sticky = policy_of(f"{key}.policy", raw.policy), sticky_of(f"{key}.sticky", raw.sticky)
        targets = _targets(key, name, raw.targets, policy, names)
        rules = _rules(f"{key}.rules", name, raw.rules, policy, names)
    except ValueError as exc:
        raise RoutesFileError(str(exc)) from exc
    if raw.attempts is not None and not 1 <= raw.attempts <= _MAX_ATTEMPTS:
        raise RoutesFileError(f"{key}.attempts: must be from 1 to {_MAX_ATTEMPTS}")
    limits = RouteLimits(
        attempts=raw.attempts,
        first_content_timeout=_duration(f"{key}.first_content_timeout", raw.first_content_timeout),
        idle_timeout=_duration(f"{key}.idle_timeout", raw.idle_timeout),
        deadline=_duration(f"{key}.deadline", raw.deadline),
        strict_reasoning=raw.strict_reasoning,
    )
    return Route(name, targets, limits, raw.shadows, policy, sticky, rules)


def _rules(key: str, route: str, raw: Sequence[_Rule], policy: Policy, names: Names) -> tuple[Rule, ...]:
    if len(raw) > _MAX_RULES:
        raise RoutesFileError(f"{key}: may hold at most {_MAX_RULES} rules")
    rules: list[Rule] = []
    for index, rule in enumerate(raw):
        at = f"{key}[{index}]"
        own = None if rule.policy is None else policy_of(f"{at}.policy", rule.policy)
        when = conditions_of(f"{at}.when", rule.when)
        if when in [earlier.when for earlier in rules]:
            raise RoutesFileError(f"{at}.when: never counts, because an earlier rule asks the same")
        rules.append(Rule(when, _targets(at, route, rule.targets, own or policy, names), own))
    return tuple(rules)


def _targets(
    key: str, route: str, raw: Sequence[_Target | str], policy: Policy, names: Names
) -> tuple[RouteTarget, ...]:
    if not raw:
        raise RoutesFileError(f"{key}.targets: must hold at least one target")
    # In an order of the file's own, a target without a rank follows the one before it; else they are equals.
    step = 1 if policy is Policy.ORDERED else 0
    targets: list[RouteTarget] = []
    for index, choice in enumerate(raw):
        target = choice if isinstance(choice, _Target) else _Target(choice)
        rank = target.rank if target.rank is not None else (targets[-1].rank + step if targets else 1)
        targets.append(_target(f"{key}.targets[{index}]", route, target, rank, names))
        if targets[-1].model in {other.model for other in targets[:-1]}:
            raise RoutesFileError(f"{key}.targets[{index}].model: {targets[-1].model} is there twice")
    return tuple(targets)


def _refuse_shadow(key: str, name: str, names: Names) -> None:
    if "*" in name:
        prefix = name.partition("*")[0]
        if names.is_explicit(f"{prefix}x"):
            provider = name.partition("/")[0]
            raise RoutesFileError(
                f"{key}: never matches, because {provider}/… means a model of {provider}; "
                "set shadows = true to come before its models"
            )
    elif names.is_explicit(name) or name in names.catalogue.short_names:
        raise RoutesFileError(f"{key}: is the name of a model; set shadows = true to come before it")


def _target(key: str, route: str, raw: _Target, rank: int, names: Names) -> RouteTarget:
    if not 1 <= raw.weight <= _MAX_WEIGHT:
        raise RoutesFileError(f"{key}.weight: must be from 1 to {_MAX_WEIGHT}")
    if rank < 1:
        raise RoutesFileError(f"{key}.rank: must be at least 1")
    if "*" in raw.model:
        if "*" not in route:
            raise RoutesFileError(f"{key}.model: has a '*', but the route's name has none")
        if not names.is_explicit(raw.model) or "*" in raw.model.partition("/")[0]:
            raise RoutesFileError(f"{key}.model: {raw.model} does not begin with a known provider and a slash")
        return RouteTarget(raw.model, raw.weight, rank)
    try:
        named = names.find(raw.model)
    except CallerError as exc:
        raise RoutesFileError(f"{key}.model: {exc.message}") from exc
    if named is None:
        raise RoutesFileError(f"{key}.model: {_unknown(raw.model, names)}")
    strange = named.entry is None and not named.model.startswith(SANDBOX_PREFIX)
    if strange and named.provider in names.catalogue.providers:
        raise RoutesFileError(
            f"{key}.model: the catalogue knows no {named.id}; OMNIX_CATALOGUE_FILE can add it. "
            + names.unknown(raw.model).message
        )
    return RouteTarget(named.id, raw.weight, rank)


def _unknown(model: str, names: Names) -> str:
    provider, _, rest = model.partition("/")
    if rest and not names.is_explicit(model):
        return f"no provider is called {provider}; known are {', '.join(sorted(names.providers)) or 'none'}"
    return names.unknown(model).message


def _duration(key: str, text: str | None) -> timedelta | None:
    if text is None:
        return None
    try:
        value = parse_duration(text)
    except ValueError as exc:
        raise RoutesFileError(f"{key}: {exc}") from exc
    if not isinstance(value, timedelta) or not timedelta(0) < value <= timedelta(days=1):
        raise RoutesFileError(f"{key}: must be more than 0 and at most 24h")
    return value
