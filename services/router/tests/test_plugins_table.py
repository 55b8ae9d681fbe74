"""Plugins in the routes file."""

from datetime import timedelta

import pytest
from omnix_router.plugins.plugin import Hook, Named, Plugin
from omnix_router.routes_file import RoutesFileError, parse
from omnix_router.routes_table import route_of, table_of

from .words import CATALOGUE

ADAPTERS = {"openai", "local"}
PLUGIN = '[plugins.a]\naddress = "127.0.0.1:1"\n'


def plugin(more: str) -> str:
    return f"{PLUGIN}{more}\n"


def route(more: str) -> str:
    return f'{PLUGIN}[routes.r]\ntargets = ["o3"]\n{more}\n'


def test_whole_format_is_read() -> None:
    routes = parse(
        """
        plugins_always = ["a"]

        [plugins.a]
        address = "127.0.0.1:6001"
        timeout = "250ms"
        on_failure = "open"
        hooks = ["request", "attempt", "answer", "end"]
        settings = { mode = "answers" }

        [plugins.b]
        address = "[::1]:6001"

        [routes.r]
        targets = ["o3"]
        plugins = ["b", "a"]
        plugin_settings = { b = { kinds = "email" } }
        """,
        CATALOGUE,
        ADAPTERS,
    )
    assert routes.plugins.always == ("a",)
    assert routes.plugins.by_name == {
        "a": Plugin("a", "127.0.0.1:6001", timedelta(seconds=0.25), False, frozenset(Hook), {"mode": "answers"}),
        "b": Plugin("b", "[::1]:6001", timedelta(seconds=1), True),
    }
    found = routes.by_name["r"]
    assert found.plugins == (Named("b", {"kinds": "email"}), Named("a"))
    assert route_of("r", "r", table_of(found), None) == found


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (plugin('timeout = "2m"'), "plugins.'a'.timeout: must be from 1ms to 60s"),
        (plugin('timeout = "soon"'), "plugins.'a'.timeout: must be a duration"),
        (plugin('on_failure = "maybe"'), "plugins.'a'.on_failure: 'maybe' is none of open, closed"),
        (plugin("hooks = []"), "plugins.'a'.hooks: must hold at least one"),
        (plugin('hooks = ["never"]'), "plugins.'a'.hooks: 'never' is none of request, attempt, answer, end"),
        (plugin("settings = { n = 1 }"), "Expected `str`, got `int`"),
        (plugin("speed = 1"), "Object contains unknown field `speed`"),
        ('[plugins.a]\naddress = "nowhere"\n', "plugins.'a'.address: must be host:port"),
        ('[plugins.a]\naddress = "a:70000"\n', "plugins.'a'.address: must be host:port"),
        ("[plugins.a]\n", "missing required field `address`"),
        ('[plugins."A b"]\naddress = "a:1"\n', "plugins.'A b': a name has 1 to 63"),
        (f'plugins_always = ["b"]\n{PLUGIN}', "plugins_always[0]: no plugin is called 'b'"),
        (f'plugins_always = ["a", "a"]\n{PLUGIN}', "plugins_always: names a plugin twice"),
        (route('plugins = ["b"]'), "routes.'r'.plugins[0]: no plugin is called 'b'"),
        (route('plugins = ["a", "a"]'), "routes.'r'.plugins: names a plugin twice"),
        (route('plugin_settings = { a = { x = "1" } }'), "routes.'r'.plugin_settings: 'a' is none of the route's"),
    ],
)
def test_what_is_wrong_is_named(text: str, problem: str) -> None:
    with pytest.raises(RoutesFileError) as caught:
        parse(text, CATALOGUE, ADAPTERS)
    assert problem in str(caught.value)


def test_plugins_of_one_completion_are_bounded() -> None:
    tables = "".join(f'[plugins.p{number}]\naddress = "a:1"\n' for number in range(17))
    names = ", ".join(f'"p{number}"' for number in range(1, 17))
    text = f'plugins_always = ["p0"]\n{tables}[routes.r]\ntargets = ["o3"]\nplugins = [{names}]\n'
    with pytest.raises(RoutesFileError, match="at most 16 together with plugins_always"):
        parse(text, CATALOGUE, ADAPTERS)
