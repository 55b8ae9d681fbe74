"""Keeps the routes in force: those of the file on disk, whole or not at all, before those of the store."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Set
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from omnix_kit.errors import ConfigurationError

from omnix_router import metrics
from omnix_router.catalogue.models import Catalogue
from omnix_router.routes_file import RoutesFileError, parse
from omnix_router.routing import Route, Routes
from omnix_router.versions import Version, version_of

_log = logging.getLogger(__name__)

_MAX_BYTES = 4 * 1024 * 1024


class RoutesInForce:
    """The routes, as of the last good version of the file, and those of the store whose names it leaves free."""

    def __init__(self, path: Path | None, catalogue: Catalogue, providers: Set[str]) -> None:
        """Read the file for the first time; without one there are no routes.

        :raises ConfigurationError: naming file, key and what is wrong.
        """
        self._path = path
        self._catalogue = catalogue
        self._providers = providers
        self._seen: Version | None = None
        self.file = Routes()
        """Those of the file alone."""
        self._stored: Mapping[str, Route] = {}
        metrics.ROUTES_RELOAD_FAILED.set(0)
        if path is not None:
            try:
                self._seen, self.file = self._read(path)
            except RoutesFileError as exc:
                raise ConfigurationError(f"OMNIX_ROUTES_FILE: {path}: {exc}") from exc
        self._combine()

    @property
    def providers(self) -> frozenset[str]:
        """Providers that the operator names: those of the adapters, and those that the file declares."""
        return frozenset(self._providers) | self.file.providers

    def put_stored(self, routes: Mapping[str, Route]) -> None:
        """Put these in force in place of the stored ones so far."""
        self._stored = routes
        self._combine()

    def _combine(self) -> None:
        # The file wins: what an operator deploys with the process cannot be changed over the network.
        self.current = Routes({**self._stored, **self.file.by_name}, plugins=self.file.plugins)
        metrics.ROUTES.set(len(self.current.by_name))

    def by(self, catalogue: Catalogue) -> None:
        """Judge the file by another catalogue, at the next look: one that was refused may be good now."""
        self._catalogue = catalogue
        self._seen = None

    @asynccontextmanager
    async def watched(self, every: timedelta) -> AsyncIterator[None]:
        """Look again and again while inside, in a thread: a file may be on a slow disk."""
        if self._path is None:
            yield
            return
        task = asyncio.create_task(self._watch(self._path, every))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _watch(self, path: Path, every: timedelta) -> None:
        while True:
            await asyncio.sleep(every.total_seconds())
            version = await asyncio.to_thread(version_of, path)
            if version == self._seen:
                continue
            try:
                read_version, routes = await asyncio.to_thread(self._read, path)
            except Exception as exc:
                # Also what nobody thought of: the watch must outlive every content of the file.
                self._seen = version
                metrics.ROUTES_RELOADED.labels("failed").inc()
                metrics.ROUTES_RELOAD_FAILED.set(1)
                told = {"file": str(path), "error": str(exc)}
                defect = not isinstance(exc, RoutesFileError)
                _log.error("the routes file is refused, older routes stay", extra=told, exc_info=defect)
            else:
                self._seen, self.file = read_version, routes
                self._combine()
                metrics.ROUTES_RELOADED.labels("succeeded").inc()
                metrics.ROUTES_RELOAD_FAILED.set(0)
                _log.info("routes were read again", extra={"file": str(path), "routes": len(routes.by_name)})

    def _read(self, path: Path) -> tuple[Version | None, Routes]:
        # The version is taken first: a change during the reading is seen as one at the next look.
        version = version_of(path)
        try:
            if path.stat().st_size > _MAX_BYTES:
                raise RoutesFileError(f"has more than {_MAX_BYTES} bytes")
            text = path.read_text("utf-8")
        except OSError as exc:
            raise RoutesFileError(f"cannot be read: {exc.strerror}") from exc
        except UnicodeDecodeError as exc:
            raise RoutesFileError("is not UTF-8") from exc
        return version, parse(text, self._catalogue, self._providers)
