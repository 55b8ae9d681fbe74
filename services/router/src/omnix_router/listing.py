"""What callers are shown of models and routes. Pure: time is an argument."""

from collections.abc import Iterator, Set
from dataclasses import dataclass
from datetime import datetime

from omnix_kit.errors import CallerError, OmnixError
from omnix_kit.money import Price

from omnix_router.catalogue.models import Model, ReasoningControl, price_at
from omnix_router.choosing.auto import AUTO, is_auto
from omnix_router.naming import Named, Names, checked
from omnix_router.routing import Route, Routes, Target, parted, targets_of


@dataclass(frozen=True, slots=True)
class Listed:
    """A model or a route that can be asked for."""

    id: str
    provider: str = ""
    model: str = ""
    aliases: tuple[str, ...] = ()
    title: str = ""
    context_window: int = 0
    max_output_tokens: int = 0
    capabilities: tuple[str, ...] = ()
    price: Price | None = None
    released: datetime | None = None
    retires: datetime | None = None
    sandbox: bool = False
    targets: tuple[Target, ...] = ()
    reasoning: ReasoningControl | None = None


def everything(names: Names, routes: Routes, sandboxes: Set[str], now: datetime) -> list[Listed]:
    """Models of served providers that are not retired, and routes, by id.

    What only an adapter announced is listed where the catalogue does not know the provider, or where the provider is
    the sandbox: vendors announce much that is no chat model.
    """
    listed = [_model(model, names, routes, sandboxes, now) for model in _offered(names, now)]
    listed += [
        Listed(f"{provider}/{model}", provider, model, title=model, sandbox=provider in sandboxes)
        for provider, model in names.announced
        if (provider not in names.catalogue.providers or provider in sandboxes)
        and names.catalogue.find(provider, model) is None
    ]
    listed += [_route(route, "", names, sandboxes) for route in routes.plain]
    if is_auto(AUTO, names, routes):
        listed.append(_auto(names, sandboxes))
    return sorted(listed, key=lambda one: one.id)


def one(name: str, names: Names, routes: Routes, sandboxes: Set[str], now: datetime) -> Listed:
    """The model or route that a name means, with or without a compute mode at its end.

    :raises OmnixError: when it means none, or several. A model that neither the catalogue nor an adapter knows may well
        be callable, but there is nothing to show of it.
    """
    name, _ = parted(checked(name), names, routes)
    checked(name)
    if (route := routes.by_name.get(name)) is not None and not route.is_wildcard:
        return _route(route, "", names, sandboxes)
    if found := routes.wildcard(name, shadowing=True):
        return _route(*found, names, sandboxes, shown=name)
    if is_auto(name, names, routes):
        return _auto(names, sandboxes)
    if named := names.find(name):
        return _named(named, name, names, routes, sandboxes, now)
    if found := routes.wildcard(name, shadowing=False):
        return _route(*found, names, sandboxes, shown=name)
    raise _unknown(name, names, routes)


def _auto(names: Names, sandboxes: Set[str]) -> Listed:
    return Listed(AUTO, title=AUTO, sandbox=bool(names.providers) and names.providers <= sandboxes)


def _unknown(name: str, names: Names, routes: Routes) -> OmnixError:
    return names.unknown(name, (route.name for route in routes.plain))


def _named(named: Named, name: str, names: Names, routes: Routes, sandboxes: Set[str], now: datetime) -> Listed:
    if named.entry is not None:
        return _model(named.entry, names, routes, sandboxes, now)
    if (named.provider, named.model) not in names.announced:
        raise _unknown(name, names, routes)
    return Listed(named.id, named.provider, named.model, title=named.model, sandbox=named.provider in sandboxes)


def _offered(names: Names, now: datetime) -> Iterator[Model]:
    for model in names.catalogue.models.values():
        if model.provider in names.providers and (model.retires is None or model.retires > now):
            yield model


def _model(model: Model, names: Names, routes: Routes, sandboxes: Set[str], now: datetime) -> Listed:
    return Listed(
        id=model.id,
        provider=model.provider,
        model=model.name,
        aliases=tuple(name for name in (model.name, *model.aliases) if _means(name, model, names, routes)),
        title=model.title,
        context_window=model.context_window,
        max_output_tokens=model.max_output_tokens,
        capabilities=model.capabilities,
        price=price_at(model.prices, now),
        released=model.released,
        retires=model.retires,
        sandbox=model.provider in sandboxes,
        # To "none" belongs a mode, which embeddings do not take.
        reasoning=None if model.embeds else model.reasoning,
    )


def _means(name: str, model: Model, names: Names, routes: Routes) -> bool:
    if name in routes.by_name or routes.wildcard(name, shadowing=True):
        return False
    try:
        named = names.find(name)
    except CallerError:
        return False
    return named is not None and named.entry is model


def _route(route: Route, matched: str, names: Names, sandboxes: Set[str], *, shown: str = "") -> Listed:
    targets = tuple(targets_of(route, matched, names))
    return Listed(
        id=shown or route.name,
        title=shown or route.name,
        targets=targets,
        sandbox=bool(targets) and all(target.provider in sandboxes for target in targets),
    )
