"""Tells the suite which keys changed, at least once and after however long an outage.

A change waits in the store, written together with the key itself, until the broker has it. There is at most one waiting
change for each key: a later one takes the place of the earlier, and tells the key's state of then.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import nats.errors
from omnix_kit import subjects
from omnix_kit.errors import PlatformError
from omnix_kit.messaging import Messaging
from omnix_store import StoreError
from prometheus_client import Counter

from omnix_accounts.convert import event_to_wire
from omnix_accounts.repository import Repository

_log = logging.getLogger(__name__)

_LOOK_EVERY = timedelta(seconds=30)
"""For what another replica left when it died; own changes are announced at once."""
_PAUSE = timedelta(seconds=0.5)
_MAX_PAUSE = timedelta(seconds=5)
_FLUSH_WITHIN = 2
_AT_ONCE = 100

ANNOUNCED = Counter("omnix_accounts_changes_announced_total", "Changes of keys that were announced.")


class Announcer:
    def __init__(self, repository: Repository, messaging: Messaging, clock: Callable[[], datetime]) -> None:
        self._repository = repository
        self._messaging = messaging
        self._clock = clock
        self._wake = asyncio.Event()

    def changed(self) -> None:
        """Look for changes now."""
        self._wake.set()

    async def run(self) -> None:
        pause = _PAUSE
        while True:
            self._wake.clear()
            try:
                await self._messaging.ready()
                await self._announce_all()
            except (PlatformError, StoreError, nats.errors.Error, OSError) as exc:
                _log.warning("changes of keys wait to be announced", extra={"error": str(exc)})
                await asyncio.sleep(pause.total_seconds())
                pause = min(pause * 2, _MAX_PAUSE)
            else:
                pause = _PAUSE
                await self._rest()

    async def _announce_all(self) -> None:
        while changes := await self._repository.unannounced(_AT_ONCE):
            for change in changes:
                payload = event_to_wire(change.key, change.event_id, self._clock())
                await self._messaging.publish(subjects.account_changed(change.key.tenant_id), payload)
            # Core publishing tells nothing; the answer to a ping comes after the server has read what was before it.
            await self._messaging.client.flush(_FLUSH_WITHIN)
            for change in changes:
                await self._repository.announced(change)
                ANNOUNCED.inc()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(_LOOK_EVERY.total_seconds()):
                await self._wake.wait()
        except TimeoutError:
            return


@asynccontextmanager
async def announcing(announcer: Announcer) -> AsyncIterator[None]:
    """Announce while inside."""
    task = asyncio.create_task(announcer.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
