"""Keeps the routes of the store in force, whichever router changed them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

from omnix_store import StoreError
from prometheus_client import Counter, Gauge

from omnix_router.routes_rules import RouteError
from omnix_router.routes_watch import RoutesInForce
from omnix_router.routing import Route
from omnix_router.stored.repository import Repository, State
from omnix_router.stored.versions import Version

_log = logging.getLogger(__name__)

_AGAIN_AFTER = 1.0

READ = Counter("omnix_router_stored_routes_read_total", "Looks at the store of routes.", ["result"])
UNREADABLE = Gauge("omnix_router_stored_routes_unreadable", "Routes of the store that this version cannot read.")


class StoredRoutes:
    """The newest versions, as of the last look at the store."""

    def __init__(self, repository: Repository, routes: RoutesInForce) -> None:
        self.repository = repository
        self._routes = routes
        self._seen: State | None = None
        self._looking = asyncio.Lock()
        self._wake = asyncio.Event()
        self.newest: Mapping[str, Version] = {}
        self.routes: Mapping[str, Route] = {}

    def lacking(self) -> str | None:
        """For readiness: a router that never read its routes would say that they do not exist."""
        return "the store of routes was not read yet" if self._seen is None else None

    def look(self) -> None:
        """Look at the store soon."""
        self._wake.set()

    async def refresh(self) -> None:
        """Look at the store now.

        :raises StoreError: and what was in force stays so.
        """
        async with self._looking:
            # Taken first: a change during the reading is seen at the next look.
            state = await self.repository.state()
            if state == self._seen:
                READ.labels("unchanged").inc()
                return
            newest = {version.name: version for version in await self.repository.all()}
            routes = {name: route for name, version in newest.items() if (route := self._read(version)) is not None}
            UNREADABLE.set(len(newest) - len(routes))
            self._seen, self.newest, self.routes = state, newest, routes
            self._routes.put_stored(routes)
            READ.labels("changed").inc()
            _log.info("stored routes were read", extra={"routes": len(routes)})

    def _read(self, version: Version) -> Route | None:
        former = self.newest.get(version.name)
        if former is not None and (former.route_id, former.number) == (version.route_id, version.number):
            return self.routes.get(version.name)
        try:
            return version.route
        except RouteError as exc:
            # A later version of OmniX wrote it; the former one serves better than none.
            told = {"route": version.name, "version": version.number, "error": str(exc)}
            _log.error("a stored route cannot be read, what was in force of it stays", extra=told)
            return self.routes.get(version.name)

    @asynccontextmanager
    async def followed(self, every: timedelta) -> AsyncIterator[None]:
        """Look whenever asked to while inside, and again and again because words may be lost."""
        task = asyncio.create_task(self._follow(every.total_seconds()))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _follow(self, every: float) -> None:
        was_well = True
        while True:
            self._wake.clear()
            try:
                await self.refresh()
            except StoreError as exc:
                READ.labels("failed").inc()
                if was_well:
                    _log.warning("the store of routes is away, routes stay as they are", extra={"error": str(exc)})
                was_well = False
                await asyncio.sleep(_AGAIN_AFTER)
            except Exception:  # whatever it is, the routes must be followed on
                READ.labels("failed").inc()
                _log.exception("the store of routes cannot be read by a defect")
                await asyncio.sleep(every)
            else:
                was_well = True
                await self._rest(every)

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
