"""Making figures anew from the ledger, day by day, from the last one back.

Of each day everything that was counted is cleared, and the ledger's entries are counted in its place, by the same
journal as events: what comes meanwhile is counted once, whichever of the two brings it. What was counted and
acknowledged before the clearing has to be in the ledger by the time it is read, so the reading waits until the ledger
has acknowledged all that was in the stream then. A process that dies leaves its rebuild to the next one that looks,
which begins the day again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from omnix_kit.errors import CallerError, PlatformError, Reason
from omnix_kit.ids import uuid7
from omnix_store import Change, Document, Range, Store, StoreConfigurationError, StoreError, index

from omnix_analytics import metrics
from omnix_analytics.errors import invalid, store_errors
from omnix_analytics.facts import Fact
from omnix_analytics.journal import Journal
from omnix_analytics.rebuilds import Rebuild, State
from omnix_analytics.spans import DAY, Span, time_of

_log = logging.getLogger(__name__)

_LEASE = timedelta(seconds=10)
_LOOK_EVERY = 5.0
_AGAIN_AFTER = timedelta(seconds=2)
_LONGEST_ATTEMPT = DAY
"""Entries are listed by when they began, and counted when they ended."""


@dataclass(frozen=True, slots=True)
class LedgerPage:
    facts: Sequence[Fact]
    read: int
    """Entries on the page."""
    next_token: str


class Ledger(Protocol):
    """The ledger, as far as a rebuild needs it."""

    async def page(self, tenant_id: str, began: Span, token: str) -> LedgerPage: ...


class Rebuilds:
    """What is known of each rebuild; any process may carry it on."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._documents = store.collection(
            "rebuilds", indexes=[index("tenant_id", "create_time"), index("state", "lease_time")]
        )
        self._clock = clock

    async def start(self, tenant_id: str, days: Span) -> Rebuild:
        """Ask for a rebuild; the one of the same days that runs already is as good."""
        with store_errors():
            latest = await self.latest(tenant_id)
            if latest is not None and latest.state is State.RUNNING:
                if (latest.start_time, latest.end_time) == (days.start, days.end):
                    return latest
                raise CallerError("A rebuild of other days is running.", reason=Reason.CONFLICT)
            now = self._clock()
            document = {
                "id": uuid7(),
                "tenant_id": tenant_id,
                "start_time": days.start,
                "end_time": days.end,
                "reached_time": days.end,
                "state": State.RUNNING.value,
                "entries_read": 0,
                "error": "",
                "create_time": now,
                "update_time": now,
                "owner": "",
                "lease_time": now,
            }
            await self._documents.insert(document)
            return _rebuild(document)

    async def latest(self, tenant_id: str) -> Rebuild | None:
        page = await self._documents.find({"tenant_id": tenant_id}, sort=("-create_time",), limit=1)
        return _rebuild(page.documents[0]) if page.documents else None

    async def one(self, tenant_id: str, rebuild_id: str) -> Rebuild:
        """The rebuild with this id, or with none the latest."""
        with store_errors():
            if not rebuild_id:
                found = await self.latest(tenant_id)
            else:
                page = await self._documents.find({"id": rebuild_id, "tenant_id": tenant_id}, limit=1)
                found = _rebuild(page.documents[0]) if page.documents else None
        if found is None:
            raise CallerError("There is no such rebuild.", reason=Reason.NOT_FOUND, param="rebuild_id")
        return found

    async def claim(self, owner: str) -> Rebuild | None:
        """Take one that nobody works on."""
        now = self._clock()
        found = await self._documents.update(
            {"state": State.RUNNING.value, "lease_time": Range(lte=now)},
            Change(set={"owner": owner, "lease_time": now + _LEASE}),
            sort=("lease_time",),
        )
        return None if found is None else _rebuild(found)

    async def hold(self, owner: str, rebuild: Rebuild, read: int = 0, lease: timedelta = _LEASE, **told: Any) -> None:
        """Go on for another while, and tell how far it is.

        :raises LostRebuild: when it is somebody else's by now.
        """
        now = self._clock()
        change = Change(set={"lease_time": now + lease, "update_time": now, **told}, increment={"entries_read": read})
        if await self._documents.update({"id": rebuild.id, "owner": owner}, change) is None:
            raise LostRebuild(rebuild.id)


class LostRebuild(Exception):
    """Somebody else works on it."""


class Rebuilder:
    """Works on one rebuild at a time. ``ledger_has_all`` returns when the ledger has what is in the stream now."""

    def __init__(
        self,
        rebuilds: Rebuilds,
        journal: Journal,
        ledger: Ledger,
        ledger_has_all: Callable[[], Awaitable[None]],
        owner: str,
    ) -> None:
        self._rebuilds = rebuilds
        self._journal = journal
        self._ledger = ledger
        self._ledger_has_all = ledger_has_all
        self._owner = owner
        self._nudged = asyncio.Event()

    async def start(self, tenant_id: str, start: datetime, end: datetime) -> Rebuild:
        if not tenant_id:
            raise invalid("tenant_id", "tenant_id is missing.")
        if end <= start:
            raise invalid("end_time", "end_time must not be before start_time.")
        rebuild = await self._rebuilds.start(tenant_id, Span(start, end).widened(DAY))
        self._nudged.set()
        return rebuild

    async def run(self) -> None:
        while True:
            self._nudged.clear()
            try:
                rebuild = await self._rebuilds.claim(self._owner)
                if rebuild is not None:
                    await self._work(rebuild)
                    continue
            except StoreError as exc:
                _log.warning("rebuilds cannot be looked at", extra={"error": str(exc)})
            except Exception:  # whatever it is, nobody else would look again
                _log.exception("a rebuild could not be looked at")
            try:
                async with asyncio.timeout(_LOOK_EVERY):
                    await self._nudged.wait()
            except TimeoutError:
                continue

    async def _work(self, rebuild: Rebuild) -> None:
        told: Mapping[str, Any]
        try:
            await self._all_days(rebuild)
            told = {"state": State.DONE.value, "error": ""}
        except LostRebuild:
            return
        except (PlatformError, StoreError) as exc:
            if isinstance(exc, StoreConfigurationError):
                raise
            _log.warning("a rebuild waits", extra={"rebuild_id": rebuild.id, "error": str(exc)})
            told = {"error": str(exc)}
            await asyncio.sleep(_AGAIN_AFTER.total_seconds())
        except Exception as exc:
            _log.exception("a rebuild failed", extra={"rebuild_id": rebuild.id})
            told = {"state": State.FAILED.value, "error": repr(exc)}
        try:
            await self._rebuilds.hold(self._owner, rebuild, lease=timedelta(0), **told)
        except LostRebuild:
            return

    async def _all_days(self, rebuild: Rebuild) -> None:
        day = rebuild.reached_time - DAY
        while day >= rebuild.start_time:
            await self._day(rebuild, day)
            await self._rebuilds.hold(self._owner, rebuild, reached_time=day, error="")
            day -= DAY

    async def _day(self, rebuild: Rebuild, day: datetime) -> None:
        began = Span(day - _LONGEST_ATTEMPT, day + DAY)
        # Nothing is cleared for a ledger that is away.
        await self._ledger.page(rebuild.tenant_id, Span(day, day + DAY), "")
        await self._rebuilds.hold(self._owner, rebuild)
        await self._journal.clear(rebuild.tenant_id, day, day + DAY)
        await self._ledger_has_all()
        token: str | None = ""
        while token is not None:
            page = await self._ledger.page(rebuild.tenant_id, began, token)
            of_day = [fact for fact in page.facts if day <= time_of(fact.end_ms) < day + DAY]
            if of_day:
                await self._journal.count(of_day, authoritative=True)
            metrics.REBUILT.inc(page.read)
            await self._rebuilds.hold(self._owner, rebuild, page.read)
            token = page.next_token or None


def _rebuild(document: Document) -> Rebuild:
    return Rebuild(
        id=document["id"],
        tenant_id=document["tenant_id"],
        start_time=document["start_time"],
        end_time=document["end_time"],
        state=State(document["state"]),
        entries_read=document["entries_read"],
        reached_time=document["reached_time"],
        error=document["error"],
        create_time=document["create_time"],
        update_time=document["update_time"],
    )
