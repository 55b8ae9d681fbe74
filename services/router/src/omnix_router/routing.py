"""From the name that a caller asked for to an ordered list of targets. Pure: chance and time are arguments."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import groupby

from omnix_kit.errors import CallerError, OmnixError, PlatformError, Reason

from omnix_router import narrowing, preferring
from omnix_router.catalogue.models import Mode, Model, price_at
from omnix_router.conditions import Conditions, Facts
from omnix_router.naming import Named, Names, checked, without_mode
from omnix_router.narrowing import NO_PREFERENCES, Preferences
from omnix_router.plugins.plugin import Named as NamedPlugin
from omnix_router.plugins.plugin import Plugins
from omnix_router.preferring import Choice, Policy
from omnix_router.reasoning import ReasoningPlan
from omnix_router.speeds import Seconds, unknown
from omnix_router.sticking import Sticky, key_of

ASSUMED_OUTPUT = 500
"""Tokens of an answer of which nothing is said, when targets are compared by price."""
_MAX_TOLD = 5
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class RouteTarget:
    """One choice of a route, as the file gives it."""

    model: str
    """``provider/model``; a ``*`` in it stands for what the ``*`` of the route's name matched."""
    weight: int = 1
    rank: int = 1
    """Lower ranks come first; targets of equal rank share by weight."""


@dataclass(frozen=True, slots=True)
class RouteLimits:
    """What a route sets for its completions; None leaves it to the settings."""

    attempts: int | None = None
    first_content_timeout: timedelta | None = None
    """Where ``first_content_timeouts`` says nothing."""
    idle_timeout: timedelta | None = None
    deadline: timedelta | None = None
    hedge_after: timedelta | None = None
    """When nothing came of the first attempt by then, a second one is made beside it."""
    strict_reasoning: bool | None = None
    """Refuse a wish for reasoning that a model can fulfil only nearly."""
    first_content_timeouts: Mapping[Mode, timedelta] = field(default_factory=dict)
    """By how much the model is told to reason."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Other targets for some requests."""

    when: Conditions
    targets: tuple[RouteTarget, ...]
    policy: Policy | None = None
    """None leaves it to the route."""


@dataclass(frozen=True, slots=True)
class Mirror:
    """Where copies of some requests go, which nobody is shown."""

    model: str
    """As in :class:`RouteTarget`; in a plan no ``*`` is left in it."""
    share: float
    """Of the requests, above 0 to 1."""

    def wants(self, chance: float) -> bool:
        """Whether a request is copied; ``chance`` is from 0 to below 1, and another one for each request."""
        return chance < self.share


@dataclass(frozen=True, slots=True)
class Route:
    """A name that callers may ask for in place of a model."""

    name: str
    targets: tuple[RouteTarget, ...]
    """For requests that no rule is for."""
    limits: RouteLimits = RouteLimits()
    shadows: bool = False
    """It comes before models of the same name."""
    policy: Policy = Policy.ORDERED
    sticky: Sticky | None = None
    rules: tuple[Rule, ...] = ()
    """The first one whose conditions hold counts."""
    mirror: Mirror | None = None
    plugins: tuple[NamedPlugin, ...] = ()
    """Called for its completions, in this order, after those that are called for all."""

    @property
    def every_target(self) -> Iterator[RouteTarget]:
        """Its own, then those of its rules."""
        yield from self.targets
        for rule in self.rules:
            yield from rule.targets

    @property
    def is_wildcard(self) -> bool:
        return "*" in self.name

    def match(self, name: str) -> str | None:
        """What the ``*`` stands for in ``name``, at least one character; None when the name does not fit."""
        before, _, after = self.name.partition("*")
        matched = name[len(before) : len(name) - len(after)]
        fits = name.startswith(before) and name.endswith(after) and len(name) > len(before) + len(after)
        return matched if fits else None


@dataclass(frozen=True)
class Routes:
    """Every route, by name."""

    by_name: Mapping[str, Route] = field(default_factory=dict)
    providers: frozenset[str] = frozenset()
    """Those that the routes' writer declared, because nothing else knows them yet."""
    plugins: Plugins = field(default_factory=Plugins)

    @cached_property
    def wildcards(self) -> tuple[Route, ...]:
        """The most specific first: the one with most literal characters, then the one with the longer beginning."""
        found = [route for route in self.by_name.values() if route.is_wildcard]
        return tuple(sorted(found, key=lambda route: (-len(route.name), -route.name.index("*"), route.name)))

    @cached_property
    def plain(self) -> tuple[Route, ...]:
        return tuple(route for name, route in sorted(self.by_name.items()) if not route.is_wildcard)

    def wildcard(self, name: str, *, shadowing: bool) -> tuple[Route, str] | None:
        """The most specific wildcard that fits, and what its ``*`` stands for."""
        for route in self.wildcards:
            if route.shadows is shadowing and (matched := route.match(name)) is not None:
                return route, matched
        return None


@dataclass(frozen=True, slots=True)
class Target:
    """One model that may be called."""

    provider: str
    model: str
    """The vendor's name."""
    entry: Model | None = None
    weight: int = 1
    reasoning: ReasoningPlan | None = None
    """How its reasoning is controlled for this completion; None where the catalogue does not know."""
    route: str = ""
    """Name of the route that chose it; empty when the caller named the model."""

    @property
    def id(self) -> str:
        return f"{self.provider}/{self.model}"

    @property
    def context_window(self) -> int:
        return 0 if self.entry is None else self.entry.context_window


@dataclass(frozen=True, slots=True)
class Plan:
    """The targets of one completion, in the order in which they may be tried."""

    targets: tuple[Target, ...]
    route: str = ""
    """Name of the route that chose them; empty when the caller named a model, or several."""
    limits: RouteLimits = RouteLimits()
    policy: Policy | None = None
    """How they were ordered; None when the caller named one model."""
    alone: bool = False
    """Only the first that can do what is asked may be called."""
    mirror: Mirror | None = None
    """Of the route; where several names are asked for, of the first."""
    plugins: tuple[NamedPlugin, ...] = ()
    """Of the route; where several names are asked for, of all of them."""


class NoneAllowed(CallerError):
    """The caller's preferences leave no target."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What an order may depend on besides the routes."""

    facts: Callable[[], Facts] = Facts
    """Asked only where they count, because finding them takes time."""
    now: datetime = _LONG_AGO
    """For the prices that hold."""
    seconds: Seconds = unknown
    """What targets took of late."""
    preferences: Preferences = NO_PREFERENCES


def plan(name: str, names: Names, routes: Routes, chance: float, at: Circumstances = Circumstances()) -> Plan:
    """Resolve a name: a route of that name, a shadowing wildcard, a model, any other wildcard.

    :param name: without a compute mode at its end, see :func:`parted`.
    :param chance: from 0 to below 1; decides among equals.
    :raises OmnixError: ``INVALID_REQUEST``, ``MODEL_NOT_FOUND`` or ``UNAVAILABLE``.
    """
    checked(name)
    if (route := routes.by_name.get(name)) is not None and not route.is_wildcard:
        return _of_route(route, "", names, chance, at)
    if found := routes.wildcard(name, shadowing=True):
        return _of_route(*found, names, chance, at)
    if at.preferences is NO_PREFERENCES:
        if named := names.find(name):
            return Plan((Target(named.provider, named.model, named.entry),))
    elif candidates := names.candidates(name):
        return _of_models(name, candidates, chance, at)
    if found := routes.wildcard(name, shadowing=False):
        return _of_route(*found, names, chance, at)
    raise names.unknown(name, (route.name for route in routes.plain))


def plan_all(asked: Sequence[str], resolve: Callable[[str], Plan]) -> Plan:
    """The targets of the first name, then those of the next; limits are those of the first.

    A name is left out while nobody serves it, or when the caller's preferences leave none of its targets.

    :param resolve: one name, as :func:`plan` does.
    :raises OmnixError: as :func:`plan`; of names after the first, the parameter is ``models``.
    """
    plans: list[Plan] = []
    missing: OmnixError | None = None
    for index, name in enumerate(asked):
        try:
            plans.append(resolve(name))
        except (PlatformError, NoneAllowed) as exc:
            missing = missing or exc
        except CallerError as exc:
            if index == 0:
                raise
            raise CallerError(exc.message, reason=exc.reason, param="models") from exc
    if not plans:
        raise missing or CallerError("No model is named.", reason=Reason.INVALID_REQUEST, param="model")
    targets = _once(target for each in plans for target in each.targets)
    plugins: dict[str, NamedPlugin] = {}
    for each in plans:
        for plugin in each.plugins:
            plugins.setdefault(plugin.name, plugin)
    first = plans[0]
    return Plan(targets, "", first.limits, Policy.ORDERED, first.alone, first.mirror, tuple(plugins.values()))


def preferred(plan: Plan, chance: float, at: Circumstances) -> Plan:
    """A plan that something else than a route made, as far as the caller's preferences leave it.

    :raises NoneAllowed: when they leave nothing.
    """
    preferences = at.preferences
    if preferences is NO_PREFERENCES:
        return plan
    left = narrowing.allowed(plan.targets, preferences)
    if not left:
        raise _none_allowed(plan.route, (target.id for target in plan.targets))
    ordered = left if preferences.sort is None else _by(preferences.sort, left, "", chance, at)
    ordered = narrowing.preferred(ordered, preferences)
    return Plan(tuple(ordered), plan.route, plan.limits, preferences.sort or plan.policy, preferences.alone)


def parted(name: str, names: Names, routes: Routes) -> tuple[str, Mode | None]:
    """The name, and the compute mode at its end unless a route or a model is called exactly so."""
    base, mode = without_mode(name)
    if mode is None or (name in routes.by_name and "*" not in name) or names.knows(name):
        return name, None
    return base, mode


def targets_of(route: Route, matched: str, names: Names) -> Iterator[Target]:
    """Every target that an adapter serves, in the file's order, once."""
    return iter(_once(target for _, target in _served(route.every_target, route, matched, names)))


def _served(
    choices: Iterable[RouteTarget], route: Route, matched: str, names: Names
) -> Iterator[tuple[RouteTarget, Target]]:
    for choice in choices:
        if named := names.find(choice.model.replace("*", matched)):
            yield choice, Target(named.provider, named.model, named.entry, choice.weight, None, route.name)


def _of_models(name: str, candidates: Sequence[Named], chance: float, at: Circumstances) -> Plan:
    """A name that means several models is no question to a caller who says which providers it would rather have."""
    preferences = at.preferences
    targets = narrowing.allowed([Target(named.provider, named.model, named.entry) for named in candidates], preferences)
    if not targets:
        raise _none_allowed(name, (named.id for named in candidates))
    policy = preferences.sort or Policy.ORDERED
    ordered = narrowing.preferred(_by(policy, targets, "", chance, at), preferences)
    return Plan(tuple(ordered), policy=policy if len(candidates) > 1 else None, alone=preferences.alone)


def _of_route(route: Route, matched: str, names: Names, chance: float, at: Circumstances) -> Plan:
    choices, policy, key = route.targets, route.policy, ""
    if route.rules or route.sticky is not None:
        facts = at.facts()
        key = key_of(route.sticky, facts)
        for rule in route.rules:
            if rule.when.hold(facts):
                choices, policy = rule.targets, rule.policy or policy
                break
    served = list(_served(choices, route, matched, names))
    if not served:
        raise PlatformError(
            f"No adapter serves a target of the route '{route.name}'.",
            reason=Reason.UNAVAILABLE,
            param="model",
            retry_after=timedelta(seconds=2),
        )
    served.sort(key=lambda pair: pair[0].rank)
    mirror = _mirror(route, matched)
    preferences = at.preferences
    if preferences is NO_PREFERENCES:
        ordered = _by_rank(served, policy, key, chance, at)
        return Plan(_once(ordered), route.name, route.limits, policy, mirror=mirror, plugins=route.plugins)
    left = narrowing.allowed([target for _, target in served], preferences)
    if not left:
        raise _none_allowed(route.name, (target.id for _, target in served))
    if preferences.sort is not None:
        policy = preferences.sort
        ordered = _by(policy, left, key, chance, at)
    else:
        ids = {target.id for target in left}
        ordered = _by_rank([pair for pair in served if pair[1].id in ids], policy, key, chance, at)
    ordered = narrowing.preferred(ordered, preferences)
    return Plan(_once(ordered), route.name, route.limits, policy, preferences.alone, mirror, route.plugins)


def _mirror(route: Route, matched: str) -> Mirror | None:
    mirror = route.mirror
    if mirror is None or "*" not in mirror.model:
        return mirror
    return Mirror(mirror.model.replace("*", matched), mirror.share)


def _by_rank(
    served: Sequence[tuple[RouteTarget, Target]], policy: Policy, key: str, chance: float, at: Circumstances
) -> list[Target]:
    ordered: list[Target] = []
    for _, equals in groupby(served, key=lambda pair: pair[0].rank):
        ordered += _by(policy, [target for _, target in equals], key, chance, at)
    return ordered


def _by(policy: Policy, targets: Sequence[Target], key: str, chance: float, at: Circumstances) -> list[Target]:
    if policy is Policy.ORDERED and not key:
        return weighted(targets, chance)
    costs: Sequence[int | None] = [None] * len(targets)
    if policy in (Policy.CHEAPEST, Policy.BALANCED):
        costs = _costs(targets, at.facts(), at.now)
    timed = policy in (Policy.FASTEST, Policy.BALANCED)
    choices = [
        Choice(target.id, target.weight, cost, at.seconds(target.id) if timed else None)
        for target, cost in zip(targets, costs, strict=True)
    ]
    return [targets[index] for index in preferring.order(choices, policy, chance, key)]


def _costs(targets: Sequence[Target], facts: Facts, now: datetime) -> list[int | None]:
    """What the request would cost at each, in millionths of micro-units: small requests would all cost the same.

    Amounts of another currency than the first one's cannot be compared, and count as unknown.
    """
    prices = [None if target.entry is None else price_at(target.entry.prices, now) for target in targets]
    currency = next((price.currency for price in prices if price is not None), "")
    output = ASSUMED_OUTPUT if facts.output_tokens is None else facts.output_tokens
    costs: list[int | None] = []
    for price in prices:
        if price is None or price.currency != currency:
            costs.append(None)
        else:
            rates = price.rates_for(facts.input_tokens)
            costs.append(facts.input_tokens * rates.input + output * rates.output)
    return costs


def _once(targets: Iterable[Target]) -> tuple[Target, ...]:
    """A wildcard may lead to the same model twice, and so may several names."""
    found: dict[str, Target] = {}
    for target in targets:
        found.setdefault(target.id, target)
    return tuple(found.values())


def _none_allowed(name: str, targets: Iterable[str]) -> NoneAllowed:
    told = ", ".join(sorted(set(targets))[:_MAX_TOLD])
    return NoneAllowed(
        f"'provider' leaves none of what '{name}' may mean: {told}.", reason=Reason.INVALID_REQUEST, param="provider"
    )


def weighted(targets: Sequence[Target], chance: float) -> list[Target]:
    """The target that ``chance`` falls on, then the others by weight: they are where its failures go."""
    total = sum(target.weight for target in targets)
    point = chance * total
    for chosen in targets:
        point -= chosen.weight
        if point < 0:
            break
    others = [target for target in targets if target is not chosen]
    return [chosen, *sorted(others, key=lambda target: -target.weight)]
