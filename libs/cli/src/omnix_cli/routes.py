"""Routes: as files hold them, as the gateway tells them, as they are shown."""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import msgspec
from rich.table import Table

from omnix_cli.api import ApiError, Gateway
from omnix_cli.errors import CommandError, UsageError
from omnix_cli.listings import pages, table_of

_ALL = 100_000
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_LIMITS = ("attempts", "first_content_timeout", "idle_timeout", "deadline", "hedge_after", "strict_reasoning")


class Target(msgspec.Struct):
    model: str
    weight: int = 1
    rank: int = 1


class Rule(msgspec.Struct):
    when: dict[str, Any]
    targets: list[Target]
    policy: str | None = None


class Mirror(msgspec.Struct):
    target: str
    share: float


class Author(msgspec.Struct):
    user_id: str | None = None
    key_id: str | None = None


class Change(msgspec.Struct):
    action: str
    author: Author
    time: datetime
    restored_version: int | None = None


class Route(msgspec.Struct):
    name: str
    source: str
    targets: list[Target]
    policy: str
    in_force: bool = True
    version: int | None = None
    change: Change | None = None
    sticky: str | None = None
    rules: list[Rule] = []
    attempts: int | None = None
    first_content_timeout: str | dict[str, str] | None = None
    idle_timeout: str | None = None
    hedge_after: str | None = None
    deadline: str | None = None
    shadows: bool = False
    strict_reasoning: bool | None = None
    mirror: Mirror | None = None


class Version(msgspec.Struct):
    version: int
    change: Change
    route: Route | None = None


class Versions(msgspec.Struct):
    data: list[Version]


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of one route of a file."""

    route: Route
    before: int | None
    """The version that was there; None when there was none."""

    @property
    def done(self) -> str:
        if self.before is None:
            return "created"
        return "unchanged" if self.route.version == self.before else "updated"


def path_of(name: str, more: str = "") -> str:
    return f"/v1/routes/{quote(name, safe='')}{more}"


def read(text: str) -> Mapping[str, Mapping[str, Any]]:
    """The routes of a file, by name, as they stand there.

    :raises UsageError: when it is no routes file, or holds no routes.
    """
    try:
        file = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as exc:
        raise UsageError(f"not a routes file: {exc}") from exc
    routes = file.get("routes")
    # Providers are declared for the router's own file, which is read before any adapter speaks.
    unknown = sorted(file.keys() - {"routes", "providers"})
    if unknown:
        raise UsageError(f"not a routes file: {unknown[0]!r} has no meaning there; routes are tables [routes.NAME]")
    if not isinstance(routes, dict) or not routes:
        raise UsageError("there is no route in the file; routes are tables [routes.NAME]")
    for name, route in routes.items():
        if not isinstance(route, dict):
            raise UsageError(f"routes.{name} is not a table")
    return routes


def apply(gateway: Gateway, routes: Mapping[str, Mapping[str, Any]], *, dry: bool) -> Iterator[Applied]:
    """Write every route, or none when one of them is refused; those that others change meanwhile are not overwritten.

    :raises CommandError: naming every route that is refused.
    """
    there = stored_versions(gateway)
    judged, refusals = [], []
    for name, route in routes.items():
        try:
            judged.append(_put(gateway, name, route, there.get(name), dry=True))
        except ApiError as exc:
            refusals.append(f"{name}: {exc}")
    if refusals:
        raise CommandError("nothing was changed\n  " + "\n  ".join(refusals))
    if dry:
        yield from judged
        return
    for name, route in routes.items():
        yield _put(gateway, name, route, there.get(name), dry=False)


def stored_versions(gateway: Gateway) -> dict[str, int]:
    """Of every route of the store, its version now."""
    found = (gateway.decode(raw, Route) for raw in pages(gateway, "/v1/routes", _ALL))
    return {route.name: route.version for route in found if route.version is not None}


def _put(gateway: Gateway, name: str, route: Mapping[str, Any], before: int | None, *, dry: bool) -> Applied:
    # The version that was seen is expected: 0 is that there is none.
    body = {**route, "version": before or 0}
    params: dict[str, str | int] = {"validate_only": "true"} if dry else {}
    return Applied(gateway.call("PUT", path_of(name), Route, body=body, params=params), before)


def listed(routes: Iterable[Route]) -> Table:
    table = table_of("route", "policy", "targets", "from", ">version", "changed", "by", "")
    for route in routes:
        change = route.change
        table.add_row(
            route.name,
            route.policy,
            _targets(route.targets) + _rules(route.rules) + _mirror(route.mirror),
            route.source,
            "" if route.version is None else str(route.version),
            "" if change is None else _time(change.time),
            "" if change is None else _who(change.author),
            "" if route.in_force else "not in force: the file has this name, too",
        )
    return table


def history(versions: Iterable[Version]) -> Table:
    table = table_of(">version", "when", "what", "by", "targets")
    for version in versions:
        change = version.change
        back = "" if change.restored_version is None else f" to {change.restored_version}"
        table.add_row(
            str(version.version),
            _time(change.time),
            change.action.replace("_", " ") + back,
            _who(change.author),
            "" if version.route is None else _targets(version.route.targets),
        )
    return table


def toml(route: Route) -> str:
    """A route as a routes file holds it."""
    at = f"routes.{_key(route.name)}"
    lines = [f"[{at}]"]
    if route.shadows:
        lines.append("shadows = true")
    lines.append(f"policy = {_value(route.policy)}")
    if route.sticky is not None:
        lines.append(f"sticky = {_value(route.sticky)}")
    lines += [f"{name} = {_value(found)}" for name in _LIMITS if (found := getattr(route, name)) is not None]
    if route.mirror is not None:
        lines.append(f"mirror = {_value(msgspec.to_builtins(route.mirror))}")
    lines += _target_lines(route.targets)
    for rule in route.rules:
        lines += ["", f"[[{at}.rules]]", f"when = {_value(rule.when)}"]
        if rule.policy is not None:
            lines.append(f"policy = {_value(rule.policy)}")
        lines += _target_lines(rule.targets)
    return "\n".join(lines)


def _target_lines(targets: Sequence[Target]) -> list[str]:
    lines = []
    for target in targets:
        weight = "" if target.weight == 1 else f", weight = {target.weight}"
        lines.append(f"  {{ model = {_value(target.model)}, rank = {target.rank}{weight} }},")
    return ["targets = [", *lines, "]"]


def _value(value: object) -> str:
    match value:
        case dict():
            inside = ", ".join(f"{_key(str(key))} = {_value(each)}" for key, each in value.items())
            return f"{{ {inside} }}"
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case _:
            # What JSON writes of texts, numbers and truth is TOML; but TOML wants one character more to be escaped.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _value(name)


def _targets(targets: Sequence[Target]) -> str:
    return ", ".join(target.model + (f" x{target.weight}" if target.weight != 1 else "") for target in targets)


def _rules(rules: Sequence[Rule]) -> str:
    return f"; {len(rules)} rule{'s' if len(rules) > 1 else ''}" if rules else ""


def _mirror(mirror: Mirror | None) -> str:
    return "" if mirror is None else f"; copies to {mirror.target}: {mirror.share:.3g}"


def _time(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC")


def _who(author: Author) -> str:
    return author.user_id or author.key_id or ""
