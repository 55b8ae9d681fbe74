"""Plugins as the routes file writes them: what may stand there, and what is wrong with it. Pure."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta

import msgspec
from omnix_kit.settings import parse_duration

from omnix_router.plugins.plugin import Hook, Named, Plugin, Plugins
from omnix_router.routes_rules import RouteError
from omnix_router.routing import Route

ALWAYS = "plugins_always"
"""The key of the file for plugins that are called for every completion: ``plugins`` is the table that sets them up."""
MOST = 16
"""For one completion, as adapters take them."""
_MOST_PLUGINS = 64
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_ADDRESS = re.compile(r"([^\s:/=,]+|\[[0-9a-fA-F:]+\]):([1-9]\d{0,4})")
_LAST_PORT = 65_535
_LONGEST = timedelta(seconds=60)
_HOOKS = tuple(hook.value for hook in Hook)
_CLOSES = {"open": False, "closed": True}


class PluginTable(msgspec.Struct, forbid_unknown_fields=True):
    address: str
    timeout: str = "1s"
    on_failure: str = "closed"
    hooks: list[str] | None = None
    settings: dict[str, str] = {}


def plugins_of(tables: Mapping[str, PluginTable], always: Sequence[str]) -> Plugins:
    """:raises RouteError: naming the key and what is wrong."""
    if len(tables) > _MOST_PLUGINS:
        raise RouteError("plugins", f"may hold at most {_MOST_PLUGINS} plugins")
    by_name = {name: _plugin(f"plugins.{name!r}", name, table) for name, table in tables.items()}
    _known(ALWAYS, always, by_name)
    return Plugins(by_name, tuple(always))


def named_of(key: str, names: Sequence[str], settings: Mapping[str, Mapping[str, str]]) -> tuple[Named, ...]:
    """The plugins that a route names; whether they are set up, :func:`check` says.

    :raises RouteError: naming the key and what is wrong.
    """
    if len(set(names)) < len(names):
        raise RouteError(f"{key}.plugins", "names a plugin twice")
    if stray := sorted(settings.keys() - set(names)):
        raise RouteError(f"{key}.plugin_settings", f"{stray[0]!r} is none of the route's plugins")
    return tuple(Named(name, dict(settings.get(name, {}))) for name in names)


def check(key: str, route: Route, plugins: Plugins) -> None:
    """:raises RouteError: when a plugin of the route is not set up, or there are too many."""
    names = [each.name for each in route.plugins]
    _known(f"{key}.plugins", names, plugins.by_name)
    if len({*names, *plugins.always}) > MOST:
        raise RouteError(f"{key}.plugins", f"may be at most {MOST} together with {ALWAYS}")


def _known(key: str, names: Sequence[str], by_name: Mapping[str, Plugin]) -> None:
    if len(names) > MOST:
        raise RouteError(key, f"may hold at most {MOST} plugins")
    if len(set(names)) < len(names):
        raise RouteError(key, "names a plugin twice")
    for index, name in enumerate(names):
        if name not in by_name:
            raise RouteError(f"{key}[{index}]", f"no plugin is called {name!r}; a table [plugins.{name}] sets one up")


def _plugin(key: str, name: str, table: PluginTable) -> Plugin:
    if not _NAME.fullmatch(name):
        raise RouteError(key, "a name has 1 to 63 lower-case letters, digits, '-' and '_'")
    found = _ADDRESS.fullmatch(table.address)
    if found is None or int(found[2]) > _LAST_PORT:
        raise RouteError(f"{key}.address", "must be host:port")
    try:
        timeout = parse_duration(table.timeout)
    except ValueError as exc:
        raise RouteError(f"{key}.timeout", str(exc)) from exc
    if not isinstance(timeout, timedelta) or not timedelta(milliseconds=1) <= timeout <= _LONGEST:
        raise RouteError(f"{key}.timeout", "must be from 1ms to 60s")
    if table.on_failure not in _CLOSES:
        raise RouteError(f"{key}.on_failure", f"{table.on_failure!r} is none of open, closed")
    hooks = None if table.hooks is None else _hooks(f"{key}.hooks", table.hooks)
    return Plugin(name, table.address, timeout, _CLOSES[table.on_failure], hooks, dict(table.settings))


def _hooks(key: str, names: Sequence[str]) -> frozenset[Hook]:
    if not names:
        raise RouteError(key, "must hold at least one; leave it out to ask the plugin")
    for name in names:
        if name not in _HOOKS:
            raise RouteError(key, f"{name!r} is none of {', '.join(_HOOKS)}")
    return frozenset(map(Hook, names))
