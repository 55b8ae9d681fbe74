"""Which models fit requirements, and in which order. Pure: prices, health and time are values.

A model that lacks something required is left out, for the first thing in the order of :class:`Lack`. What is required
and not known of a model counts as lacking, except its latency, which is known only of models that were called lately.

The others are ordered by score, from 0 to 100::

    score = 100 * (1 - error rate) * (w_cost * cost + w_quality * quality + w_speed * speed)

    cost     what the cheapest model that fits would cost for the request, divided by what this one would, at most 1;
             0 where the price is unknown. The cheapest is one that is real, if any is. What is free counts as half of
             the cheapest that is not, or nothing else would have a chance
    quality  the catalogue's figure, divided by 100; 0 where it is unknown
    speed    1 / (1 + recent seconds to the first content); 0.5 where it is unknown

The weights follow from the compute mode, see ``WEIGHTS``. Models of providers for which the sandbox stands in come
after all others, whatever their score.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from omnix_kit.money import Price

from omnix_router.catalogue.models import Mode, Model
from omnix_router.reasoning import modes_of

CURRENCY = "USD"
"""Costs are compared in it; a price in another currency counts as unknown."""
_MILLION = 1_000_000


class Kind(StrEnum):
    """What a model is for."""

    CHAT = "chat"
    EMBEDDINGS = "embeddings"


class Lack(StrEnum):
    """Why a model is left out, in the order in which it is asked."""

    TYPE = "type"
    PROVIDER = "provider"
    RETIRED = "retired"
    UNAVAILABLE = "unavailable"
    CAPABILITIES = "capabilities"
    CONTEXT = "context"
    OUTPUT = "output"
    MODE = "mode"
    QUALITY = "quality"
    COST = "cost"
    LATENCY = "latency"


@dataclass(frozen=True, slots=True)
class Requirements:
    """What is asked of a model; None and empty ask for nothing."""

    kind: Kind = Kind.CHAT
    capabilities: frozenset[str] = frozenset()
    context_tokens: int = 0
    """Tokens that must fit into the window, the answer's included."""
    input_tokens: int = 1_000
    """Of the request whose cost is compared."""
    output_tokens: int = 500
    """Of its answer, reasoning included."""
    max_output_tokens: int = 0
    """The longest answer that must be possible."""
    max_cost_micros: int | None = None
    """For that request, in millionths of a US dollar."""
    max_micros_per_million: int | None = None
    """For a million tokens in that request's proportion of input to output."""
    quality_floor: float | None = None
    mode: Mode | None = None
    max_first_content: timedelta | None = None
    """Refuses models that were slower lately; those that were not called lately are let through."""
    providers: frozenset[str] = frozenset()
    """No others are allowed."""
    refused_providers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Health:
    """How a target fares now."""

    available: bool = True
    first_content: timedelta | None = None
    """Recent median time to the first content."""
    error_rate: float = 0.0
    """Of recent attempts, from 0 to 1."""


UNKNOWN_HEALTH = Health()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that might be chosen."""

    model: Model
    price: Price | None
    """What holds now."""
    sandbox: bool = False
    health: Health = UNKNOWN_HEALTH


@dataclass(frozen=True, slots=True)
class Weights:
    """What counts how much; together 1."""

    cost: float
    quality: float
    speed: float


WEIGHTS: Mapping[Mode | None, Weights] = MappingProxyType(
    {
        None: Weights(cost=0.70, quality=0.20, speed=0.10),
        Mode.FLASH: Weights(cost=0.60, quality=0.10, speed=0.30),
        Mode.THINK: Weights(cost=0.65, quality=0.25, speed=0.10),
        Mode.ULTRA_THINK: Weights(cost=0.50, quality=0.45, speed=0.05),
    }
)


@dataclass(frozen=True, slots=True)
class Choice:
    """A model that fits."""

    candidate: Candidate
    score: float
    cost_micros: int | None
    """What the request would cost; None where the price is unknown."""

    @property
    def model(self) -> Model:
        return self.candidate.model


@dataclass(frozen=True, slots=True)
class Selection:
    """What fits, best first, and how many models do not."""

    order: tuple[Choice, ...]
    rejected: Mapping[Lack, int] = field(default_factory=dict)


def select(requirements: Requirements, candidates: Iterable[Candidate], now: datetime) -> Selection:
    """Order the models that fit, and count the others by what they lack first."""
    fits: list[tuple[Candidate, int | None]] = []
    rejected: Counter[Lack] = Counter()
    for candidate in candidates:
        lack = _lack(requirements, candidate, now)
        # Most models lack something, and costs take longer to find.
        cost = _cost(requirements, candidate.price) if lack is None else None
        if lack is None:
            lack = _lack_of_thrift(requirements, candidate, cost)
        if lack is None:
            fits.append((candidate, cost))
        else:
            rejected[lack] += 1
    weights = WEIGHTS[requirements.mode]
    cheapest = _cheapest(fits)
    order = [
        Choice(candidate, _score(candidate, cost, cheapest, weights), None if cost is None else _micros(cost))
        for candidate, cost in fits
    ]
    order.sort(key=lambda choice: (choice.candidate.sandbox, -choice.score, choice.model.id))
    return Selection(tuple(order), {lack: rejected[lack] for lack in Lack if rejected[lack]})


def targets(order: Sequence[Choice], count: int) -> list[Choice]:
    """The first choices of an order as the targets of a completion.

    The best comes first, then the best of every other provider, so that a provider that fails as a whole is left at
    once; then the others.
    """
    first: dict[str, Choice] = {}
    for choice in order:
        first.setdefault(choice.model.provider, choice)
    heads = list(first.values())
    chosen = heads[:count]
    for choice in order:
        if len(chosen) >= count:
            break
        if choice not in heads:
            chosen.append(choice)
    return chosen


def distinct(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Without further names of what is one model to callers: snapshots and profiles that cost the same.

    The first of each stays.
    """
    found: dict[object, Candidate] = {}
    for candidate in candidates:
        model = candidate.model
        data = (model.provider, model.context_window, model.max_output_tokens, model.capabilities, model.reasoning)
        more = (model.quality, model.dimensions, model.released, model.retires, candidate.price, candidate.health)
        found.setdefault((*data, *more), candidate)
    return list(found.values())


def _lack(requirements: Requirements, candidate: Candidate, now: datetime) -> Lack | None:
    model = candidate.model
    if not model.capabilities or model.embeds is not (requirements.kind is Kind.EMBEDDINGS):
        return Lack.TYPE
    allowed = not requirements.providers or model.provider in requirements.providers
    if not allowed or model.provider in requirements.refused_providers:
        return Lack.PROVIDER
    if model.retires is not None and model.retires <= now:
        return Lack.RETIRED
    if not candidate.health.available:
        return Lack.UNAVAILABLE
    if not requirements.capabilities.issubset(model.capabilities):
        return Lack.CAPABILITIES
    if requirements.context_tokens > model.context_window:
        return Lack.CONTEXT
    if requirements.max_output_tokens > model.max_output_tokens:
        return Lack.OUTPUT
    if requirements.mode is not None and (
        model.reasoning is None or requirements.mode not in modes_of(model.reasoning)
    ):
        return Lack.MODE
    if requirements.quality_floor is not None and (
        model.quality is None or model.quality.score < requirements.quality_floor
    ):
        return Lack.QUALITY
    return None


def _lack_of_thrift(requirements: Requirements, candidate: Candidate, cost: int | None) -> Lack | None:
    if _is_too_dear(requirements, cost):
        return Lack.COST
    latency = candidate.health.first_content
    if requirements.max_first_content is not None and latency is not None and latency > requirements.max_first_content:
        return Lack.LATENCY
    return None


def _is_too_dear(requirements: Requirements, cost: int | None) -> bool:
    for_request, for_million = requirements.max_cost_micros, requirements.max_micros_per_million
    if for_request is None and for_million is None:
        return False
    if cost is None or (for_request is not None and cost > for_request * _MILLION):
        return True
    tokens = requirements.input_tokens + requirements.output_tokens
    return for_million is not None and cost > for_million * tokens


def _cheapest(fits: Iterable[tuple[Candidate, int | None]]) -> float:
    known = [(candidate.sandbox, cost) for candidate, cost in fits if cost is not None]
    costs = [cost for sandbox, cost in known if not sandbox] or [cost for _, cost in known]
    paid = [cost for cost in costs if cost]
    if not paid:
        return 0
    return min(paid) if len(paid) == len(costs) else min(paid) / 2


def _score(candidate: Candidate, cost: int | None, cheapest: float, weights: Weights) -> float:
    thrift = 0.0 if cost is None else 1.0 if cost <= cheapest else cheapest / cost
    quality = 0.0 if candidate.model.quality is None else candidate.model.quality.score / 100
    latency = candidate.health.first_content
    speed = 0.5 if latency is None else 1 / (1 + latency.total_seconds())
    worth = weights.cost * thrift + weights.quality * quality + weights.speed * speed
    return 100 * (1 - candidate.health.error_rate) * worth


def _cost(requirements: Requirements, price: Price | None) -> int | None:
    """In millionths of a millionth of a dollar, so that nothing is rounded before it is compared."""
    if price is None or price.currency != CURRENCY:
        return None
    rates = price.rates_for(requirements.input_tokens)
    return requirements.input_tokens * rates.input + requirements.output_tokens * rates.output


def _micros(cost: int) -> int:
    return (cost + _MILLION // 2) // _MILLION
