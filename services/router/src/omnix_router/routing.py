"""From the name that a caller asked for to an ordered list of targets. Pure: chance is an argument."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from itertools import groupby

from omnix_kit.errors import PlatformError, Reason

from omnix_router.catalogue.models import Mode, Model
from omnix_router.naming import Names, checked, without_mode
from omnix_router.reasoning import ReasoningPlan


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
    idle_timeout: timedelta | None = None
    deadline: timedelta | None = None
    strict_reasoning: bool | None = None
    """Refuse a wish for reasoning that a model can fulfil only nearly."""


@dataclass(frozen=True, slots=True)
class Route:
    """A name that callers may ask for in place of a model."""

    name: str
    targets: tuple[RouteTarget, ...]
    limits: RouteLimits = RouteLimits()
    shadows: bool = False
    """It comes before models of the same name."""

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
    """Name of the route that chose them; empty when the caller named a model."""
    limits: RouteLimits = RouteLimits()


def plan(name: str, names: Names, routes: Routes, chance: float) -> Plan:
    """Resolve a name: a route of that name, a shadowing wildcard, a model, any other wildcard.

    :param name: without a compute mode at its end, see :func:`parted`.
    :param chance: from 0 to below 1; decides among targets of equal rank.
    :raises OmnixError: ``INVALID_REQUEST``, ``MODEL_NOT_FOUND`` or ``UNAVAILABLE``.
    """
    checked(name)
    if (route := routes.by_name.get(name)) is not None and not route.is_wildcard:
        return _of_route(route, "", names, chance)
    if found := routes.wildcard(name, shadowing=True):
        return _of_route(*found, names, chance)
    if named := names.find(name):
        return Plan((Target(named.provider, named.model, named.entry),))
    if found := routes.wildcard(name, shadowing=False):
        return _of_route(*found, names, chance)
    raise names.unknown(name, (route.name for route in routes.plain))


def parted(name: str, names: Names, routes: Routes) -> tuple[str, Mode | None]:
    """The name, and the compute mode at its end unless a route or a model is called exactly so."""
    base, mode = without_mode(name)
    if mode is None or (name in routes.by_name and "*" not in name) or names.knows(name):
        return name, None
    return base, mode


def targets_of(route: Route, matched: str, names: Names) -> Iterator[tuple[RouteTarget, Target]]:
    """The route's targets that an adapter serves, in the file's order."""
    for choice in route.targets:
        if named := names.find(choice.model.replace("*", matched)):
            yield choice, Target(named.provider, named.model, named.entry, choice.weight)


def _of_route(route: Route, matched: str, names: Names, chance: float) -> Plan:
    served = sorted(targets_of(route, matched, names), key=lambda pair: pair[0].rank)
    if not served:
        raise PlatformError(
            f"No adapter serves a target of the route '{route.name}'.",
            reason=Reason.UNAVAILABLE,
            param="model",
            retry_after=timedelta(seconds=2),
        )
    ordered: dict[str, Target] = {}
    for _, equals in groupby(served, key=lambda pair: pair[0].rank):
        for target in weighted([target for _, target in equals], chance):
            # A wildcard may lead to the same model twice.
            ordered.setdefault(target.id, target)
    return Plan(tuple(ordered.values()), route.name, route.limits)


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
