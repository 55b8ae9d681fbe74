"""A stored route and how it came about. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
from omnix_kit.caller import Caller

from omnix_router.routes_rules import RouteError
from omnix_router.routes_table import RouteTable, route_of, table_of
from omnix_router.routing import Route

Written = Mapping[str, Any]
"""A route as it lies in the store; :func:`written` makes one."""


class Action(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    ROLLED_BACK = "rolled_back"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Change:
    """Who did what, and when."""

    action: Action
    author: Caller
    time: datetime
    restored_version: int = 0
    """The one that was taken again, for ``ROLLED_BACK``."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a route."""

    route_id: str
    """Of all versions of a route; a name that was forgotten and comes again gets another."""
    name: str
    number: int
    change: Change
    written: Written | None
    """None where it was deleted."""

    @property
    def route(self) -> Route | None:
        """:raises RouteError: when a later version of OmniX wrote what this one cannot read."""
        if self.written is None:
            return None
        try:
            table = msgspec.convert(self.written, RouteTable)
        except msgspec.ValidationError as exc:
            raise RouteError("route", str(exc)) from exc
        return route_of("route", self.name, table, None)


def written(route: Route) -> Written:
    found: dict[str, Any] = msgspec.to_builtins(table_of(route))
    return found
