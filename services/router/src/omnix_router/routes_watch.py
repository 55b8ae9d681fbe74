"""Keeps the routes of the file on disk in force: whole or not at all."""

import asyncio
import logging
from collections.abc import AsyncIterator, Set
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from omnix_kit.errors import ConfigurationError

from omnix_router import metrics
from omnix_router.catalogue.models import Catalogue
from omnix_router.routes_file import RoutesFileError, parse
from omnix_router.routing import Routes
from omnix_router.versions import Version, version_of

_log = logging.getLogger(__name__)

_MAX_BYTES = 4 * 1024 * 1024


class RoutesInForce:
    """The routes, as of the last good version of the file."""

    def __init__(self, path: Path | None, catalogue: Catalogue, providers: Set[str]) -> None:
        """Read the file for the first time; without one there are no routes.

        :raises ConfigurationError: naming file, key and what is wrong.
        """
        self._path = path
        self._catalogue = catalogue
        self._providers = providers
        self._seen: Version | None = None
        self.current = Routes()
        metrics.ROUTES_RELOAD_FAILED.set(0)
        if path is not None:
            try:
                self._seen, self.current = self._read(path)
            except RoutesFileError as exc:
                raise ConfigurationError(f"OMNIX_ROUTES_FILE: {path}: {exc}") from exc
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
                self._seen, self.current = read_version, routes
                metrics.ROUTES_RELOADED.labels("succeeded").inc()
                metrics.ROUTES_RELOAD_FAILED.set(0)
                metrics.ROUTES.set(len(routes.by_name))
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
