"""Keeps the catalogue of the files on disk in force: whole or not at all."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from omnix_kit.errors import ConfigurationError

from omnix_router import metrics
from omnix_router.catalogue.models import Catalogue
from omnix_router.catalogue.reading import load
from omnix_router.versions import Version, version_of

_log = logging.getLogger(__name__)

_Versions = tuple[Version | None, Version | None]


class CatalogueInForce:
    """The catalogue, as of the last good version of the operator's file and of the one that imports write."""

    def __init__(self, operator: Path | None, imported: Path) -> None:
        """Read the files for the first time.

        A file of imports that cannot be read must not keep the router from starting: the package's data are there.

        :raises ConfigurationError: naming the operator's file, key and what is wrong.
        """
        self._operator = operator
        self._imported = imported
        self._seen = self._versions()
        metrics.CATALOGUE_RELOAD_FAILED.set(0)
        try:
            self.current = load(operator, imported)
        except ConfigurationError as exc:
            self.current = load(operator)
            metrics.CATALOGUE_RELOAD_FAILED.set(1)
            _log.error("what was imported into the catalogue cannot be read", extra={"error": str(exc)})
        metrics.CATALOGUE_MODELS.set(len(self.current.models))

    @asynccontextmanager
    async def watched(self, every: timedelta, *users: Callable[[Catalogue], None]) -> AsyncIterator[None]:
        """Look again and again while inside, and give each user what is new."""
        task = asyncio.create_task(self._watch(every, users))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _watch(self, every: timedelta, users: tuple[Callable[[Catalogue], None], ...]) -> None:
        while True:
            await asyncio.sleep(every.total_seconds())
            versions = await asyncio.to_thread(self._versions)
            if versions == self._seen:
                continue
            # The versions were taken first: a change during the reading is seen as one at the next look.
            self._seen = versions
            try:
                catalogue = await asyncio.to_thread(load, self._operator, self._imported)
                for use in users:
                    use(catalogue)
            except Exception as exc:
                # Also what nobody thought of: the watch must outlive every content of the files.
                metrics.CATALOGUE_RELOADED.labels("failed").inc()
                metrics.CATALOGUE_RELOAD_FAILED.set(1)
                defect = not isinstance(exc, ConfigurationError)
                _log.error("the catalogue is refused, the older one stays", extra={"error": str(exc)}, exc_info=defect)
            else:
                self.current = catalogue
                metrics.CATALOGUE_RELOADED.labels("succeeded").inc()
                metrics.CATALOGUE_RELOAD_FAILED.set(0)
                metrics.CATALOGUE_MODELS.set(len(catalogue.models))
                _log.info("the catalogue was read again", extra={"models": len(catalogue.models)})

    def _versions(self) -> _Versions:
        return None if self._operator is None else version_of(self._operator), version_of(self._imported)
