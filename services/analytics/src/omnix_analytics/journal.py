"""How every attempt is counted exactly once, though a store changes one document at a time and processes die.

What is to be counted is written down first, as a whole, in one document: the journal, with the number of the batch.
That write is the moment at which the batch is counted; it succeeds only in the place of the batch before, so of several
processes one gets each number, and whoever failed to begins anew. Then the batch is carried out: into marks, which say
of each attempt what was counted of it, and into rollups. Each of these documents takes a batch once, because it
remembers the number of its last one. Nobody writes a batch down before the last one was carried out completely, by
whomever: after a crash the next one does what was left to do, and does it again where that is not known.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, TypeAlias

from msgspec import Struct
from omnix_store import StoreConfigurationError, StoreDamagedError, StoreUnavailableError

from omnix_analytics.facts import Fact
from omnix_analytics.rollups import Counted

_log = logging.getLogger(__name__)

MOST_AT_ONCE = 1000
"""Attempts in a batch: each is part of twelve rollups."""
_RACES = 50


class Counting(Struct, frozen=True, array_like=True, tag="count"):
    """Attempts to be counted."""

    attempts: list[Counted]


class Clearing(Struct, frozen=True, array_like=True, tag="clear"):
    """Everything that a tenant's attempts add up to between two times, to be counted anew. Both are whole days."""

    tenant_id: str
    start: datetime
    end: datetime


Batch: TypeAlias = Counting | Clearing


class Pages(Protocol):
    """Where the journal is kept, and what it is carried out on."""

    async def last(self) -> tuple[int, Batch | None]:
        """The last number and its batch; 0 and None of a new journal."""

    async def write(self, number: int, batch: Batch) -> bool:
        """Put the batch in the place of the one before; False when that is no longer the last one."""

    async def carry_out(self, number: int, batch: Batch) -> None:
        """Do what the batch says to whatever does not have it yet."""

    async def counted(self, attempt_ids: Sequence[str]) -> dict[str, Fact]:
        """What was counted of those attempts of which anything was."""


class Journal:
    """One for a process; several processes may share the pages."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._done: int | None = None
        """The last batch that is known to be carried out; None when that is to be found out."""
        self._turn = asyncio.Lock()

    async def count(self, facts: Sequence[Fact], *, authoritative: bool = False) -> list[bool]:
        """Count the attempts; when this returns they are durable. Tells of each whether it changed anything.

        Of two facts about an attempt the more certain one is counted, of equals the first. Authoritative ones stand
        before equals.

        :raises StoreError: when some may not be counted, or some in part; telling them again brings all to order.
        """
        told: list[bool] = []
        for first in range(0, len(facts), MOST_AT_ONCE):
            told += await self._count(facts[first : first + MOST_AT_ONCE], authoritative)
        return told

    async def clear(self, tenant_id: str, start: datetime, end: datetime) -> None:
        """Forget what a tenant's attempts of those days add up to, and that they were counted."""
        async with self._turn:
            for _ in range(_RACES):
                number = await self._caught_up()
                if await self._commit(number + 1, Clearing(tenant_id, start, end)):
                    return
        raise StoreUnavailableError("others write into the journal all the time")

    async def catch_up(self) -> None:
        """Carry out what a process that died has left."""
        async with self._turn:
            await self._caught_up()

    async def _count(self, facts: Sequence[Fact], authoritative: bool) -> list[bool]:
        async with self._turn:
            for _ in range(_RACES):
                number = await self._caught_up()
                before = await self._pages.counted([fact.attempt_id for fact in facts])
                told, batch = _new(facts, before, authoritative)
                if not batch or await self._commit(number + 1, Counting(batch)):
                    return told
        raise StoreUnavailableError("others write into the journal all the time")

    async def _caught_up(self) -> int:
        """The number of the last batch, which is carried out."""
        if self._done is None:
            number, batch = await self._pages.last()
            if batch is not None:
                await self._carry_out(number, batch)
            self._done = number
        return self._done

    async def _commit(self, number: int, batch: Batch) -> bool:
        # Whatever comes of it, what was known of the journal holds no longer.
        self._done = None
        if not await self._pages.write(number, batch):
            return False
        await self._carry_out(number, batch)
        self._done = number
        return True

    async def _carry_out(self, number: int, batch: Batch) -> None:
        """Whatever goes wrong here is no fault of what is to be counted next, which has to wait."""
        try:
            await self._pages.carry_out(number, batch)
        except (StoreUnavailableError, StoreConfigurationError, StoreDamagedError):
            raise
        except Exception as exc:
            _log.exception("a batch cannot be carried out", extra={"batch": number})
            raise StoreDamagedError(f"batch {number} cannot be carried out: {exc!r}") from exc


def _new(facts: Sequence[Fact], before: dict[str, Fact], authoritative: bool) -> tuple[list[bool], list[Counted]]:
    """What of the facts is news, in their order, and what is to be counted."""
    now: dict[str, Fact] = {}
    told = []
    for fact in facts:
        known = now.get(fact.attempt_id) or before.get(fact.attempt_id)
        is_news = known is None or _stands_before(fact, known, authoritative)
        if is_news:
            now[fact.attempt_id] = fact
        told.append(is_news)
    return told, [Counted(fact, before.get(attempt_id)) for attempt_id, fact in now.items()]


def _stands_before(fact: Fact, known: Fact, authoritative: bool) -> bool:
    if fact.tenant_id != known.tenant_id:
        return False
    if fact.certainty != known.certainty:
        return fact.certainty > known.certainty
    return authoritative and fact != known
