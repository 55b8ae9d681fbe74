"""Models and their prices, as the catalogue knows them. Pure: time is an argument."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from omnix_kit.money import Price


@dataclass(frozen=True, slots=True)
class Model:
    """One model of one vendor. Zero and None mean unknown."""

    provider: str
    name: str
    """The vendor's name, which may hold slashes."""
    title: str = ""
    aliases: tuple[str, ...] = ()
    """Other names for exactly this model: the vendor is called by ``name`` all the same."""
    context_window: int = 0
    max_output_tokens: int = 0
    capabilities: tuple[str, ...] = ()
    prices: tuple[Price, ...] = ()
    """By the time from which each holds, oldest first."""
    released: datetime | None = None
    retires: datetime | None = None

    @property
    def id(self) -> str:
        return f"{self.provider}/{self.name}"

    @property
    def reasons(self) -> bool:
        return "reasoning" in self.capabilities


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
