"""The ledger: every attempt once, and answers about it."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from enum import StrEnum

from omnix_kit.usage.events import Certainty

from omnix_usage_metering.entries import Entry, Filter, Line, ModelTotal
from omnix_usage_metering.errors import invalid, store_errors
from omnix_usage_metering.pricing.rules import Book
from omnix_usage_metering.repository import Repository

_PAGE = 100
_MAX_PAGE = 1000
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


class Recorded(StrEnum):
    """What became of an event."""

    WRITTEN = "written"
    IMPROVED = "improved"
    """It took the place of a less certain entry of the same attempt."""
    DUPLICATE = "duplicate"


Books = Callable[[str], Awaitable[Book]]
"""The price rules of a tenant."""


class Ledger:
    """Without ``books`` everything is billed at its cost."""

    def __init__(self, repository: Repository, books: Books | None = None) -> None:
        self._repository = repository
        self._books = books

    async def record(self, entries: Sequence[Entry]) -> list[Recorded]:
        """Write the entries; when this returns they are durable. Doing it again changes nothing.

        :raises StoreError: when some may not have been written.
        """
        if self._books is not None:
            entries = await _billed(entries, self._books)
        added = await self._repository.add(entries)
        recorded = [Recorded.WRITTEN] * len(entries)
        known = [at for at, new in enumerate(added) if not new]
        for at, result in zip(known, await asyncio.gather(*(self._known(entries[at]) for at in known)), strict=True):
            recorded[at] = result
        return recorded

    async def _known(self, entry: Entry) -> Recorded:
        if entry.certainty > Certainty.ORPHANED and await self._repository.improve(entry):
            return Recorded.IMPROVED
        return Recorded.DUPLICATE

    async def page(self, wanted: Filter, size: int, token: str) -> tuple[list[Line], str | None]:
        """Entries of a tenant, newest first, and the token of the next page."""
        _check(wanted)
        if not 0 <= size <= _MAX_PAGE:
            raise invalid("page_size", f"page_size must be 1 to {_MAX_PAGE}, or 0 for {_PAGE}.")
        with store_errors():
            return await self._repository.page(wanted, size or _PAGE, token)

    async def totals(self, wanted: Filter) -> list[ModelTotal]:
        """Totals of a tenant, one for each provider, model, currency and purpose."""
        _check(wanted)
        if wanted.label is not None and not _PLAIN.fullmatch(wanted.label.name):
            raise invalid("filter.label", "Only labels whose names are of A-Za-z0-9_ and no digit first are added up.")
        with store_errors():
            return await self._repository.totals(wanted)


def _check(wanted: Filter) -> None:
    if not wanted.tenant_id:
        raise invalid("filter.tenant_id", "filter.tenant_id is missing.")


async def _billed(entries: Sequence[Entry], books: Books) -> list[Entry]:
    known = {tenant_id: await books(tenant_id) for tenant_id in {entry.tenant_id for entry in entries}}
    rules = [known[entry.tenant_id].rule_for(entry.provider, entry.model, entry.start_time) for entry in entries]
    return [entry if rule is None else replace(entry, rule=rule) for entry, rule in zip(entries, rules, strict=True)]
