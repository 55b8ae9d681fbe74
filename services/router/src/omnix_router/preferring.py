"""In which order equals are tried: by weight, price, speed, or both. Pure: chance is an argument.

==========  ===========================================================================================================
policy      order
==========  ===========================================================================================================
ordered     as the file says; equal ranks share by weight
weighted    drawn by weight, the first as well as each fallback
cheapest    by what the request would cost; without a price last
fastest     by the seconds that targets took of late; those within a quarter of the quickest are equals
balanced    by price times seconds: twice the price is worth it for half the time; within a quarter are equals
==========  ===========================================================================================================

Equals are drawn by weight, or ordered by the key that keeps a conversation where it is. Where time counts and is not
known, a target stands in the middle, and one request in fifty goes to such a target first, so that it becomes known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf

from omnix_router.sticking import rendezvous

NEAR = 1.25
"""Times so close are the same: they vary more than that by themselves."""
EXPLORED = 0.02
"""The share of requests that go to a target of unknown speed first."""


class Policy(StrEnum):
    """How the targets of a route are ordered."""

    ORDERED = "ordered"
    WEIGHTED = "weighted"
    CHEAPEST = "cheapest"
    FASTEST = "fastest"
    BALANCED = "balanced"


@dataclass(frozen=True, slots=True)
class Choice:
    """What is known of one target."""

    id: str
    weight: int = 1
    cost: int | None = None
    """What the request would cost there, in one unit for all; None when it has no price."""
    seconds: float | None = None
    """What it took of late, more than 0; None when that is not known."""


def order(choices: Sequence[Choice], policy: Policy, chance: float, key: str = "") -> list[int]:
    """Every index of ``choices`` once, the first choice first.

    :param chance: from 0 to below 1.
    :param key: of what is to stay together; empty for nothing. Then chance decides among equals.
    """
    if len(choices) == 1:
        return [0]
    unknown = _unknown(choices) if policy in (Policy.FASTEST, Policy.BALANCED) else []
    if not unknown:
        return _ordered(choices, policy, chance, key)
    if chance >= EXPLORED:
        return _ordered(choices, policy, (chance - EXPLORED) / (1 - EXPLORED), key)
    chance /= EXPLORED
    first = unknown[draw([choices[index].weight for index in unknown], chance)[0]]
    return [first, *(index for index in _ordered(choices, policy, chance, key) if index != first)]


def draw(weights: Sequence[int], chance: float) -> list[int]:
    """Indices, drawn one after the other by weight.

    What is left of ``chance`` within the share that it fell on is as good as a new one.
    """
    left = list(range(len(weights)))
    total = sum(weights)
    drawn: list[int] = []
    while len(left) > 1:
        point = chance * total
        for place, index in enumerate(left):
            if point < weights[index] or place == len(left) - 1:
                break
            point -= weights[index]
        chance = min(max(point / weights[index], 0.0), _BELOW_ONE)
        total -= weights[index]
        drawn.append(left.pop(place))
    return drawn + left


_BELOW_ONE = 1 - 2**-53


def _ordered(choices: Sequence[Choice], policy: Policy, chance: float, key: str) -> list[int]:
    weights = [choice.weight for choice in choices]
    equals = rendezvous(key, [choice.id for choice in choices], weights) if key else draw(weights, chance)
    match policy:
        case Policy.ORDERED | Policy.WEIGHTED:
            return equals
        case Policy.CHEAPEST:
            return sorted(equals, key=[inf if choice.cost is None else choice.cost for choice in choices].__getitem__)
        case Policy.FASTEST:
            return _near_are_equal(equals, _seconds(choices))
        case Policy.BALANCED:
            scores = [cost * seconds for cost, seconds in zip(_costs(choices), _seconds(choices), strict=True)]
            return _near_are_equal(equals, scores)


def _near_are_equal(equals: Sequence[int], values: Sequence[float]) -> list[int]:
    """By value; those near the smallest that is left keep the order they have."""
    places = {index: place for place, index in enumerate(equals)}
    ordered: list[int] = []
    group: list[int] = []
    for index in sorted(equals, key=values.__getitem__):
        if group and values[index] > values[group[0]] * NEAR:
            ordered += sorted(group, key=places.__getitem__)
            group = []
        group.append(index)
    return ordered + sorted(group, key=places.__getitem__)


def _costs(choices: Sequence[Choice]) -> list[float]:
    """What is free is taken for a hundredth of the cheapest that is not, or it would be first however slow."""
    cheapest = min((choice.cost for choice in choices if choice.cost), default=100)
    return [inf if choice.cost is None else choice.cost or cheapest / 100 for choice in choices]


def _seconds(choices: Sequence[Choice]) -> list[float]:
    known = sorted(choice.seconds for choice in choices if choice.seconds is not None)
    middle = known[(len(known) - 1) // 2] if known else 1.0
    return [middle if choice.seconds is None else choice.seconds for choice in choices]


def _unknown(choices: Sequence[Choice]) -> list[int]:
    """Those of unknown speed, unless all are: then there is nothing to be fair to."""
    unknown = [index for index, choice in enumerate(choices) if choice.seconds is None]
    return unknown if len(unknown) < len(choices) else []
