"""What a registered adapter may serve of what it announces. Pure.

Who was configured comes first, whatever others say. Among those who registered, the one that was there first says what
a provider is; others that say the same of it take turns with it.
"""

import re
from collections.abc import Hashable, Mapping, Set
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, TypeVar

from omnix_router.naming import MAX_NAME
from omnix_router.providers import Announcement, Provider

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_MAX_PROVIDERS: Final = 32
_MAX_MODELS: Final = 5000

AdapterT = TypeVar("AdapterT", bound=Hashable)


class Why(StrEnum):
    """Why a provider is not called at a registered adapter."""

    CONFIGURED = "configured"
    """A configured adapter serves it."""
    OTHER = "other"
    """An adapter that registered before says something else of it."""
    NAME = "name"
    """It cannot be called so."""
    SIZE = "size"
    """The announcement is too large to be kept."""


@dataclass(frozen=True, slots=True)
class Refusal(Generic[AdapterT]):
    """A provider that is not called there."""

    adapter: AdapterT
    provider: str
    why: Why


@dataclass(frozen=True, slots=True)
class Granted(Generic[AdapterT]):
    announcements: Mapping[AdapterT, Announcement]
    """What is left of each."""
    refusals: frozenset[Refusal[AdapterT]]


def granted(taken: Set[str], announcements: Mapping[AdapterT, Announcement]) -> Granted[AdapterT]:
    """
    :param taken: providers of the configured adapters.
    :param announcements: of those who registered, in the order in which they did.
    """
    found: dict[AdapterT, Announcement] = {}
    refusals: set[Refusal[AdapterT]] = set()
    first: dict[str, Provider] = {}
    for adapter, said in announcements.items():
        if len(said.providers) > _MAX_PROVIDERS or len(said.models) > _MAX_MODELS:
            refusals.add(Refusal(adapter, "", Why.SIZE))
            continue
        providers = []
        for provider in said.providers:
            why = _refused(provider, taken, first)
            if why is None:
                first.setdefault(provider.name, provider)
                providers.append(provider)
            else:
                # A name that is none may be anything, of any length.
                refusals.add(Refusal(adapter, "" if why is Why.NAME else provider.name, why))
        names = {provider.name for provider in providers}
        models = frozenset((name, model) for name, model in said.models if name in names and _is_model(model))
        found[adapter] = Announcement(tuple(providers), models)
    return Granted(found, frozenset(refusals))


def _refused(provider: Provider, taken: Set[str], first: Mapping[str, Provider]) -> Why | None:
    if not _NAME.fullmatch(provider.name):
        return Why.NAME
    if provider.name in taken:
        return Why.CONFIGURED
    other = first.get(provider.name, provider)
    return None if (other.kind, other.sandbox) == (provider.kind, provider.sandbox) else Why.OTHER


def _is_model(model: str) -> bool:
    return 0 < len(model) <= MAX_NAME and model.isprintable()
