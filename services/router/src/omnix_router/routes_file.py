"""The routes file: what may stand in it besides routes, and what is wrong with one. Pure: it reads text, not files."""

import tomllib
from collections.abc import Set as AbstractSet

import msgspec

from omnix_router.catalogue.models import Catalogue
from omnix_router.naming import Names
from omnix_router.plugins.table import PluginTable, check, plugins_of
from omnix_router.routes_rules import RouteError
from omnix_router.routes_table import RouteTable, route_of
from omnix_router.routing import Routes


class RoutesFileError(Exception):
    """The file is wrong; the message names the key and what is wrong with it."""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    routes: dict[str, RouteTable] = {}
    providers: list[str] = []
    plugins: dict[str, PluginTable] = {}
    plugins_always: list[str] = []


def parse(text: str, catalogue: Catalogue, providers: AbstractSet[str]) -> Routes:
    """Read the whole file.

    What is known must not depend on which adapter was reached, so that a file is good or bad at every start alike:
    providers are those of the catalogue, those of ``providers`` (the adapters' names), and those that the file itself
    declares under ``providers``.

    :raises RoutesFileError: for the first thing that is wrong.
    """
    try:
        file = msgspec.convert(tomllib.loads(text), _File)
    except msgspec.ValidationError as exc:
        raise RoutesFileError(str(exc)) from exc
    except ValueError as exc:
        raise RoutesFileError(f"not valid TOML: {exc}") from exc
    except RecursionError as exc:
        raise RoutesFileError("nested too deeply") from exc
    declared = frozenset(file.providers)
    names = Names(catalogue, providers=catalogue.providers | providers | declared)
    try:
        plugins = plugins_of(file.plugins, file.plugins_always)
        routes = {name: route_of(f"routes.{name!r}", name, table, names) for name, table in file.routes.items()}
        for name, route in routes.items():
            check(f"routes.{name!r}", route, plugins)
    except RouteError as exc:
        raise RoutesFileError(str(exc)) from exc
    return Routes(routes, declared, plugins)
