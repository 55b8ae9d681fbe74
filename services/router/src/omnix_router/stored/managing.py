"""What may be done with routes through the API.

Routes of the file are shown and not changed. A change counts from the moment in which it is stored; this router has it
in force when the call returns, the others a word later.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec
from omnix_kit.caller import Caller
from omnix_kit.errors import CallerError, Reason
from omnix_kit.ids import uuid7
from omnix_store import StoreError

from omnix_router.naming import Names
from omnix_router.routes_rules import RouteError
from omnix_router.routes_table import RouteTable, route_of
from omnix_router.routes_watch import RoutesInForce
from omnix_router.routing import Route
from omnix_router.stored.errors import absent, conflict, invalid, no_store, store_errors, wrong
from omnix_router.stored.following import StoredRoutes
from omnix_router.stored.versions import Action, Change, Version, written

MAX_ROUTES: Final = 1000
"""In the store; every router holds them in memory."""
MAX_BYTES: Final = 64 * 1024
"""Of one route as JSON."""
FORGOTTEN_AFTER: Final = timedelta(days=90)
_TRIES: Final = 5

Announce = Callable[[str, int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Shown:
    """A route as it is told."""

    route: Route
    in_force: bool = True
    version: Version | None = None
    """None for a route of the file."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for a change, and of which version: None for whichever, 0 for none."""

    author: Caller
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """What is needed to change routes."""

    stored: StoredRoutes
    announce: Announce
    """Tells the other routers."""
    clock: Callable[[], datetime]


class Managing:
    def __init__(self, routes: RoutesInForce, names: Callable[[], Names], kept: Kept | None = None) -> None:
        """:param names: what is known now of models and providers.
        :param kept: None where there is no store.
        """
        self._routes = routes
        self._names = names
        self._kept = kept

    async def all(self) -> Sequence[Shown]:
        """By name; of two with the same name the one in force comes first."""
        await self._refresh()
        found = [Shown(route) for route in self._routes.file.by_name.values()]
        found += [shown for name in self._stored_names() if (shown := self._of_store(name)) is not None]
        return sorted(found, key=lambda shown: (shown.route.name, not shown.in_force))

    async def get(self, name: str) -> Shown:
        """:raises CallerError: ``NOT_FOUND``."""
        await self._refresh()
        if (route := self._routes.file.by_name.get(name)) is not None:
            return Shown(route)
        if (shown := self._of_store(name)) is None:
            raise absent(name)
        return shown

    async def put(self, name: str, table: RouteTable, asked: Asked, *, dry: bool) -> tuple[Shown, bool]:
        """Write a route; the second value is whether the name is new. ``dry`` only says what is wrong.

        :raises CallerError: ``INVALID_REQUEST``, ``CONFLICT``.
        """
        stored = self._needed().stored
        route = self._checked(name, table)
        self._refuse_of_file(name)
        newest: Version | None = None
        for _ in range(_TRIES):
            with store_errors():
                newest = await stored.repository.newest(name)
            there = newest is not None and newest.written is not None
            _expect(name, newest, asked.expected)
            if newest is not None and newest.written == written(route):
                return Shown(route, version=newest), False
            if not there and len(stored.newest) >= MAX_ROUTES:
                raise conflict(f"There are {MAX_ROUTES} routes, and no more can be stored.", "name")
            change = Change(Action.UPDATED if there else Action.CREATED, asked.author, self._now())
            version = _next(name, newest, change, route)
            if dry or await self._store(newest, version):
                return Shown(route, version=version), not there
        raise _busy(name)

    async def delete(self, name: str, asked: Asked) -> int:
        """Delete a route of the store; answers the version that says so.

        :raises CallerError: ``NOT_FOUND``, ``CONFLICT``.
        """
        stored = self._needed().stored
        for _ in range(_TRIES):
            with store_errors():
                newest = await stored.repository.newest(name)
            if newest is None or newest.written is None:
                self._refuse_of_file(name)
                raise absent(name)
            _expect(name, newest, asked.expected)
            version = _next(name, newest, Change(Action.DELETED, asked.author, self._now()), None)
            if await self._store(newest, version):
                with suppress(StoreError):  # the next deletion does it
                    await stored.repository.forget(self._now() - FORGOTTEN_AFTER)
                return version.number
        raise _busy(name)

    async def versions(self, name: str) -> Sequence[Version]:
        """Newest first.

        :raises CallerError: ``NOT_FOUND``.
        """
        stored = self._needed().stored
        await self._refresh()
        with store_errors():
            newest = await stored.repository.newest(name)
            if newest is not None:
                return [newest, *await stored.repository.earlier(newest)]
        if name in self._routes.file.by_name:
            raise CallerError(
                f"The route '{name}' stands in the routes file, which has no versions.",
                reason=Reason.NOT_FOUND,
                param="name",
            )
        raise absent(name)

    async def roll_back(self, name: str, number: int, asked: Asked) -> Shown:
        """Take an earlier version again.

        :raises CallerError: ``NOT_FOUND``, ``CONFLICT``; ``INVALID_REQUEST`` when it is no good any more.
        """
        stored = self._needed().stored
        self._refuse_of_file(name)
        for _ in range(_TRIES):
            with store_errors():
                newest = await stored.repository.newest(name)
                earlier = None if newest is None else await stored.repository.version(newest, number)
            if newest is None:
                raise absent(name)
            _expect(name, newest, asked.expected)
            route = self._again(name, number, earlier)
            if newest.written == written(route):
                return Shown(route, version=newest)
            change = Change(Action.ROLLED_BACK, asked.author, self._now(), number)
            version = _next(name, newest, change, route)
            if await self._store(newest, version):
                return Shown(route, version=version)
        raise _busy(name)

    def holds(self, version: Version) -> bool:
        """Whether requests are routed by exactly this version."""
        newest = self._needed().stored.newest.get(version.name)
        return (
            newest is not None
            and (newest.route_id, newest.number) == (version.route_id, version.number)
            and version.name not in self._routes.file.by_name
        )

    def _needed(self) -> Kept:
        if self._kept is None:
            raise no_store()
        return self._kept

    def _stored_names(self) -> Sequence[str]:
        return () if self._kept is None else tuple(self._kept.stored.newest)

    async def _refresh(self) -> None:
        """A caller who asks sees what every router did before."""
        if self._kept is not None:
            with store_errors():
                await self._kept.stored.refresh()

    def _of_store(self, name: str) -> Shown | None:
        if self._kept is None or (version := self._kept.stored.newest.get(name)) is None:
            return None
        route = self._kept.stored.routes.get(name)
        return None if route is None else Shown(route, name not in self._routes.file.by_name, version)

    def _refuse_of_file(self, name: str) -> None:
        if name in self._routes.file.by_name:
            raise conflict(f"The route '{name}' stands in the routes file, which wins; change it there.", "name")

    def _checked(self, name: str, table: RouteTable) -> Route:
        names = self._names()
        known = names.catalogue.providers | names.providers | self._routes.providers
        try:
            route = route_of("route", name, table, Names(names.catalogue, known))
        except RouteError as exc:
            raise wrong(exc) from exc
        if len(msgspec.json.encode(written(route))) > MAX_BYTES:
            raise invalid("route", f"A route may have at most {MAX_BYTES} bytes.")
        return route

    def _again(self, name: str, number: int, version: Version | None) -> Route:
        if version is None:
            raise CallerError(
                f"The route '{name}' has no version {number}, or none any more.",
                reason=Reason.NOT_FOUND,
                param="version",
            )
        if version.written is None:
            raise invalid("version", f"Version {number} is that the route was deleted; delete it instead.")
        try:
            return self._checked(name, msgspec.convert(version.written, RouteTable))
        except msgspec.ValidationError as exc:
            raise invalid("version", f"Version {number} cannot be read by this version of OmniX.") from exc

    async def _store(self, newest: Version | None, version: Version) -> bool:
        kept = self._needed()
        stored = kept.stored
        try:
            with store_errors(writing=True):
                if newest is None:
                    done = await stored.repository.add(version)
                else:
                    done = await stored.repository.replace(newest, version)
        finally:
            # It may have been stored though nobody is told so: the caller left, or the store went away.
            stored.look()
        if done:
            with suppress(StoreError):
                await stored.refresh()
            await kept.announce(version.name, version.number)
        return done

    def _now(self) -> datetime:
        """To the millisecond, as the store keeps it."""
        now = self._needed().clock()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)


def _next(name: str, newest: Version | None, change: Change, route: Route | None) -> Version:
    as_written = None if route is None else written(route)
    if newest is None:
        return Version(uuid7(), name, 1, change, as_written)
    return Version(newest.route_id, name, newest.number + 1, change, as_written)


def _expect(name: str, newest: Version | None, expected: int | None) -> None:
    if expected is None:
        return
    there = 0 if newest is None else newest.number
    if expected == there or (expected == 0 and newest is not None and newest.written is None):
        return
    if expected == 0:
        raise conflict(f"There is a route '{name}' already, at version {there}.", "expected_version")
    state = f"is at version {there}" if newest is not None and newest.written is not None else "is not there"
    raise conflict(f"The route '{name}' {state}, not at version {expected}; read it again.", "expected_version")


def _busy(name: str) -> CallerError:
    return conflict(f"Others change the route '{name}' at the same time; try again.", "name")
