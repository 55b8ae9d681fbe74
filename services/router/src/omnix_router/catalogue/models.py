"""Models and their prices, as the catalogue knows them. Pure: time is an argument."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from omnix_kit.money import Price


class Control(StrEnum):
    """How a vendor is told how much a model reasons."""

    NONE = "none"
    """It does not reason."""
    FIXED = "fixed"
    """It reasons as it does, and cannot be told."""
    SWITCH = "switch"
    EFFORT = "effort"
    BUDGET = "budget"


class Mode(StrEnum):
    """The compute modes."""

    FLASH = "flash"
    THINK = "think"
    ULTRA_THINK = "ultra-think"


class Effort(StrEnum):
    """Named efforts, rising; ``none`` is off."""

    NONE = "none"
    MINIMAL = "minimal"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"

    @property
    def rank(self) -> int:
        """Its place in the order; comparing the members themselves would compare their letters."""
        return _RANKS[self]


_RANKS = {effort: rank for rank, effort in enumerate(Effort)}


@dataclass(frozen=True, slots=True)
class ReasoningControl:
    """How a model's reasoning is controlled, and what each compute mode means to it.

    Every value of ``modes`` lies inside what the model takes.
    """

    control: Control
    efforts: tuple[Effort, ...] = ()
    """What it takes, rising; of ``effort`` only. ``none`` is among them when it can be switched off."""
    min_budget: int = 0
    """The smallest budget in tokens other than none; of ``budget`` only."""
    max_budget: int = 0
    can_disable: bool = False
    modes: Mapping[Mode, Effort | int] = field(default_factory=dict, hash=False)
    """An effort for ``effort``; for ``switch`` ``none`` is off and any other on; for ``budget`` tokens, 0 is off.

    A mode that is missing is one that the model cannot do. Empty for ``none``, which is always ``flash``, and for
    ``fixed``.
    """


@dataclass(frozen=True, slots=True)
class Quality:
    """How good a model's answers are, by a public index of benchmarks."""

    score: float
    """From 0 to 100; comparable only with figures of the same index."""
    as_of: datetime


@dataclass(frozen=True, slots=True)
class Model:
    """One model of one vendor. Zero, empty and None mean unknown."""

    provider: str
    name: str
    """The vendor's name, which may hold slashes."""
    title: str = ""
    aliases: tuple[str, ...] = ()
    """Other names for exactly this model: the vendor is called by ``name`` all the same."""
    context_window: int = 0
    max_output_tokens: int = 0
    capabilities: tuple[str, ...] = ()
    reasoning: ReasoningControl | None = None
    dimensions: tuple[int, ...] = ()
    """Of an embedding model: all lengths of vector that it makes, the default first; empty also when it makes any."""
    prices: tuple[Price, ...] = ()
    """By the time from which each holds, oldest first."""
    released: datetime | None = None
    retires: datetime | None = None
    quality: Quality | None = None

    @property
    def id(self) -> str:
        return f"{self.provider}/{self.name}"

    @property
    def reasons(self) -> bool:
        return "reasoning" in self.capabilities

    @property
    def embeds(self) -> bool:
        """Whether it makes vectors, and no answers."""
        return "embeddings" in self.capabilities

    @property
    def continues_prefix(self) -> bool:
        """Whether it goes on with an answer whose beginning it is given."""
        return "assistant_prefix" in self.capabilities


def price_at(prices: Iterable[Price], time: datetime) -> Price | None:
    """The price that holds at ``time``; None before the first one."""
    holds: Price | None = None
    for price in prices:
        if price.effective_time <= time and (holds is None or price.effective_time >= holds.effective_time):
            holds = price
    return holds


@dataclass(frozen=True)
class Catalogue:
    """Every known model, by ``provider/model``."""

    models: Mapping[str, Model] = field(default_factory=dict)

    @cached_property
    def providers(self) -> frozenset[str]:
        return frozenset(model.provider for model in self.models.values())

    @cached_property
    def short_names(self) -> Mapping[str, tuple[Model, ...]]:
        """Names without a provider, and the models that each may mean."""
        found: dict[str, list[Model]] = defaultdict(list)
        for model in self.models.values():
            for name in (model.name, *model.aliases):
                found[name].append(model)
        return {name: tuple(models) for name, models in found.items()}

    def find(self, provider: str, name: str) -> Model | None:
        """The model of this provider that is called ``name`` by its vendor or by an alias."""
        if model := self.models.get(f"{provider}/{name}"):
            return model
        return next((model for model in self.short_names.get(name, ()) if model.provider == provider), None)
