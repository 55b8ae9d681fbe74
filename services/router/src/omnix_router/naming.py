"""Which model a name means. Pure.

A name is ``provider/model``, or a short name: the vendor's name of a model, or an alias of it, where that is
unambiguous. The catalogue's short names come before those that only an adapter announced, so that a provider added
later does not make old names ambiguous.

For clients that cannot add fields, a name may end in a compute mode, ``gpt-4o:think``.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from functools import cached_property

from omnix_kit.errors import CallerError, OmnixError, PlatformError, Reason

from omnix_router.catalogue.models import Catalogue, Mode, Model

MAX_NAME = 256
_MAX_TO_COMPARE = 64
"""Longer names are no slip of a finger, and comparing them takes time."""
_CLOSE = 0.75
_MODES = {mode.value: mode for mode in Mode}


@dataclass(frozen=True, slots=True)
class Named:
    """What a name means."""

    provider: str
    model: str
    """The vendor's name."""
    entry: Model | None
    """None for a model that the catalogue does not know: it is passed on and has no price."""

    @property
    def id(self) -> str:
        return f"{self.provider}/{self.model}"


@dataclass(frozen=True)
class Names:
    """What names can mean now."""

    catalogue: Catalogue
    providers: frozenset[str] = frozenset()
    """Providers that an adapter serves, or served when it was last heard."""
    announced: frozenset[tuple[str, str]] = frozenset()
    """Provider and vendor's name of every model that an adapter announced."""
    registered: frozenset[str] = frozenset()
    """Of ``providers``, those of adapters that registered themselves. They make no short name mean anything else."""
    complete: bool = True
    """Every configured adapter was heard, so that what is not known here is known nowhere."""

    @cached_property
    def announced_short(self) -> Mapping[str, tuple[str, ...]]:
        """Announced models that the catalogue does not know, and the providers that offer each."""
        found: dict[str, list[str]] = defaultdict(list)
        for provider, model in sorted(self.announced):
            if provider not in self.registered:
                found[model].append(provider)
        return {model: tuple(providers) for model, providers in found.items()}

    def is_explicit(self, name: str) -> bool:
        """Whether the name is ``provider/model`` with a provider that is known at all."""
        provider, _, rest = name.partition("/")
        return bool(rest) and (provider in self.providers or provider in self.catalogue.providers)

    def knows(self, name: str) -> bool:
        """Whether the catalogue or an adapter has a model that is called exactly so."""
        if self.is_explicit(name):
            provider, _, rest = name.partition("/")
            return self.catalogue.find(provider, rest) is not None or (provider, rest) in self.announced
        return name in self.catalogue.short_names or name in self.announced_short

    def find(self, name: str) -> Named | None:
        """The model that is meant, of a provider that is served; None when there is none.

        :raises CallerError: ``INVALID_REQUEST`` when several are meant, naming them.
        """
        found = self.candidates(name)
        if len(found) > 1:
            candidates = ", ".join(sorted(named.id for named in found))
            raise CallerError(
                f"The model name '{name}' is ambiguous; say which one: {candidates}.",
                reason=Reason.INVALID_REQUEST,
                param="model",
            )
        return found[0] if found else None

    def candidates(self, name: str) -> list[Named]:
        """Every model that may be meant, of providers that are served."""
        if self.is_explicit(name):
            provider, _, rest = name.partition("/")
            if provider not in self.providers:
                return []
            entry = self.catalogue.find(provider, rest)
            return [Named(provider, rest if entry is None else entry.name, entry)]
        return (
            self._catalogued(name, self.providers - self.registered)
            or [Named(provider, name, None) for provider in self.announced_short.get(name, ())]
            or self._catalogued(name, self.registered)
        )

    def _catalogued(self, name: str, providers: frozenset[str]) -> list[Named]:
        """What a short name means among models of these providers that the catalogue knows."""
        return [
            Named(model.provider, model.name, model)
            for model in self.catalogue.short_names.get(name, ())
            if model.provider in providers
        ]

    def unknown(self, name: str, routes: Iterable[str] = ()) -> OmnixError:
        """The error for a name that means nothing."""
        if not self.complete:
            return PlatformError(
                f"The model '{name}' is not known yet: not every adapter was reached since the start.",
                reason=Reason.UNAVAILABLE,
                param="model",
                retry_after=timedelta(seconds=2),
            )
        known = self.catalogue.short_names.get(name, ())
        lonely = {name.partition("/")[0]} if self.is_explicit(name) else {model.provider for model in known}
        if lonely:
            message = f"The model '{name}' cannot be called: no adapter serves {', '.join(sorted(lonely))}."
        else:
            message = f"The model '{name}' does not exist."
            if close := self._close(name, routes):
                message += f" Did you mean {' or '.join(close)}?"
        return CallerError(message, reason=Reason.MODEL_NOT_FOUND, param="model")

    @cached_property
    def _spellings(self) -> tuple[str, ...]:
        listed = [model for model in self.catalogue.models.values() if model.provider in self.providers]
        short = {name for model in listed for name in (model.name, *model.aliases)} | set(self.announced_short)
        return tuple(sorted(short | {model.id for model in listed}))

    def _close(self, name: str, routes: Iterable[str]) -> list[str]:
        if len(name) > _MAX_TO_COMPARE:
            return []
        return [f"'{match}'" for match in get_close_matches(name, [*routes, *self._spellings], n=2, cutoff=_CLOSE)]


def without_mode(name: str) -> tuple[str, Mode | None]:
    """What stands before a compute mode at the end of a name, and the mode.

    Colons occur in names for other reasons too (``…-v1:0``, ``llama3:8b``, ``org/model:provider``).
    """
    base, colon, last = name.rpartition(":")
    mode = _MODES.get(last) if colon else None
    return (name, None) if mode is None else (base, mode)


def checked(name: str) -> str:
    """The name, when it can be one.

    :raises CallerError: ``INVALID_REQUEST`` otherwise.
    """
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise CallerError(
            f"model must have 1 to {MAX_NAME} printable characters.", reason=Reason.INVALID_REQUEST, param="model"
        )
    return name
