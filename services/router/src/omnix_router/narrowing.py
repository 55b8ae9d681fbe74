"""What a caller prefers among the providers that could answer. Pure. The words are OpenRouter's."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol, TypeVar

from omnix_kit.errors import CallerError, Reason

from omnix_router.preferring import Policy


class _OfProvider(Protocol):
    @property
    def provider(self) -> str: ...


T = TypeVar("T", bound=_OfProvider)


@dataclass(frozen=True, slots=True)
class Preferences:
    """Of one request; what is empty or None leaves it to the route."""

    order: tuple[str, ...] = ()
    """To be tried first, in this order."""
    only: frozenset[str] = frozenset()
    ignore: frozenset[str] = frozenset()
    sort: Policy | None = None
    fallbacks: bool = True
    """Without them, only those of ``order`` may be called, or else the first choice."""

    @property
    def alone(self) -> bool:
        """Only the first choice may be called."""
        return not self.fallbacks and not self.order

    @property
    def providers(self) -> frozenset[str]:
        """All that are named."""
        return self.only | self.ignore | frozenset(self.order)


NO_PREFERENCES = Preferences()


def refuse_unknown(preferences: Preferences, known: AbstractSet[str]) -> None:
    """Nobody is to be called because the name of the one to be avoided has a slip in it.

    :raises CallerError: ``INVALID_REQUEST``, naming the provider.
    """
    if unknown := sorted(preferences.providers - known):
        raise CallerError(
            f"No provider is called {unknown[0]!r}; known are {', '.join(sorted(known))}.",
            reason=Reason.INVALID_REQUEST,
            param="provider",
        )


def allowed(targets: Sequence[T], preferences: Preferences) -> list[T]:
    """Those that may be called at all, before they are ordered."""
    only, ignore = preferences.only, preferences.ignore
    alone = frozenset(preferences.order) if preferences.order and not preferences.fallbacks else only
    return [
        target
        for target in targets
        if (not only or target.provider in only)
        and (not alone or target.provider in alone)
        and target.provider not in ignore
    ]


def preferred(targets: Sequence[T], preferences: Preferences) -> list[T]:
    """The preferred ones first, the others after them in the order that they have."""
    if preferences.order:
        places = {provider: place for place, provider in reversed(list(enumerate(preferences.order)))}
        return sorted(targets, key=lambda target: places.get(target.provider, len(places)))
    return list(targets)
