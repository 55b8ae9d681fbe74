"""The ledger as it is stored: one document an attempt, its id the attempt's. The tenant is part of every query."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from omnix_kit.caller import Caller
from omnix_kit.money import Price
from omnix_store import Change, Document, Range, Store, Total, Totals, Where

from omnix_usage_metering.entries import Entry, Filter, Line, ModelTotal, Purpose, Rated, Use
from omnix_usage_metering.looking import INDEXES, everything, looking
from omnix_usage_metering.prices import price_to_document
from omnix_usage_metering.pricing.rules import Rating
from omnix_usage_metering.ratings import REPRICED, former_to_document, line_of, rated_of, rating_to_document

_AT_ONCE = 1000
_MOST_LOOKED_AT = 10_000
_NEWEST_FIRST = ("-start_time",)
_BY_MODEL = Totals(
    group_by=("provider", "model", "currency", "purpose", "billed_currency"),
    sum=("input_tokens", "output_tokens", "cost_micros", "billed_micros"),
)
_BY_USE = Totals(
    group_by=("provider", "model", "team_id", "key_id", "currency", "billed_currency"),
    sum=("input_tokens", "output_tokens", "cost_micros", "billed_micros"),
)


class Repository:
    def __init__(self, store: Store) -> None:
        self._entries = store.collection("entries", indexes=INDEXES)

    async def add(self, entries: Sequence[Entry]) -> list[bool]:
        """Store the entries; False, in their order, for those whose attempt has one already."""
        added: list[bool] = []
        for first in range(0, len(entries), _AT_ONCE):
            documents = [_document(entry) for entry in entries[first : first + _AT_ONCE]]
            added += [error is None for error in await self._entries.insert_many(documents)]
        return added

    async def improve(self, entry: Entry) -> bool:
        """Put the entry in the place of a less certain one; False when the one that is there is as certain."""
        fields = _document(entry)
        del fields["id"]
        where: Where = {
            "id": entry.attempt_id,
            "tenant_id": entry.tenant_id,
            "certainty": Range(lt=entry.certainty.value),
        }
        return await self._entries.update(where, Change(set=fields, unset=(REPRICED,))) is not None

    async def page(self, wanted: Filter, size: int, token: str) -> tuple[list[Line], str | None]:
        """Entries, newest first, and the token of the next page."""
        found, following = await self._page(wanted, size, token)
        return [line_of(document) for document in found], following

    async def rated_page(self, wanted: Filter, size: int, token: str) -> tuple[list[Rated], str | None]:
        """The same, to be rated again."""
        found, following = await self._page(wanted, size, token)
        return [rated_of(document) for document in found], following

    async def rated(self, tenant_id: str, attempt_id: str) -> Rated | None:
        found = await self._entries.get(attempt_id)
        return None if found is None or found["tenant_id"] != tenant_id else rated_of(found)

    async def rate(self, entry: Rated, rating: Rating, price: Price | None, author: Caller, now: datetime) -> bool:
        """Give the entry another rating, and keep the former one; False when it changed since it was read."""
        where: Where = {
            "id": entry.attempt_id,
            "tenant_id": entry.tenant_id,
            "certainty": entry.certainty,
            "revision": entry.revision,
        }
        fields = {
            **rating_to_document(rating),
            "price": None if price is None else price_to_document(price),
            REPRICED: entry.is_repriced or price != entry.price,
            "rate_time": now,
            "revision": (entry.revision or 0) + 1,
            "former": [*entry.former, former_to_document(entry, author, now)],
        }
        return await self._entries.update(where, Change(set=fields)) is not None

    async def _page(self, wanted: Filter, size: int, token: str) -> tuple[list[Document], str | None]:
        """Entries, newest first, and the token of the next page.

        There may be fewer than asked for before the last page: no more than ``_MOST_LOOKED_AT`` are looked at.
        """
        asked = looking(wanted)
        limit = size if asked.is_whole else _AT_ONCE
        fitting: list[Document] = []
        looked_at = 0
        while True:
            page = await self._entries.find(asked.where, sort=_NEWEST_FIRST, limit=limit, page_token=token or None)
            fit = [at for at, document in enumerate(page.documents) if asked.fits(document)]
            if len(fit) > (room := size - len(fitting)):
                limit = fit[room - 1] + 1  # again, as the next page begins behind the last one that is taken
                continue
            fitting += [page.documents[at] for at in fit]
            looked_at += len(page.documents)
            limit, token = _AT_ONCE, page.next_page_token or ""
            if not token or len(fitting) == size or looked_at >= _MOST_LOOKED_AT:
                return fitting, token or None

    async def totals(self, wanted: Filter) -> list[ModelTotal]:
        totals: dict[tuple[object, ...], ModelTotal] = {}
        for found in await self._entries.totals(_BY_MODEL, everything(wanted)):
            total = _total(found)
            key = (total.provider, total.model, total.currency, total.purpose, total.billed_currency)
            totals[key] = total if key not in totals else _sum(totals[key], total)
        return list(totals.values())

    async def uses(self, tenant_id: str, start_time: datetime, end_time: datetime) -> list[Use]:
        """What was used by attempts that began in that time."""
        wanted = Filter(tenant_id, start_time=start_time, end_time=end_time)
        return [_use(found) for found in await self._entries.totals(_BY_USE, everything(wanted))]


def _total(found: Total) -> ModelTotal:
    currency, billed_currency = str(found.group["currency"]), found.group["billed_currency"]
    cost = int(found.sum["cost_micros"])
    return ModelTotal(
        provider=str(found.group["provider"]),
        model=str(found.group["model"]),
        currency=currency,
        purpose=None if found.group["purpose"] is None else Purpose(str(found.group["purpose"])),
        # Entries of earlier versions have no more than their cost, and are billed at that.
        billed_currency=currency if billed_currency is None else str(billed_currency),
        attempts=found.count,
        input_tokens=int(found.sum["input_tokens"]),
        output_tokens=int(found.sum["output_tokens"]),
        cost_micros=cost,
        billed_micros=cost if billed_currency is None else int(found.sum["billed_micros"]),
    )


def _use(found: Total) -> Use:
    billed_currency = found.group["billed_currency"]
    is_old = billed_currency is None  # as in _total
    return Use(
        provider=str(found.group["provider"]),
        model=str(found.group["model"]),
        team_id=str(found.group["team_id"]),
        key_id=str(found.group["key_id"]),
        currency=str(found.group["currency"] if is_old else billed_currency),
        attempts=found.count,
        input_tokens=int(found.sum["input_tokens"]),
        output_tokens=int(found.sum["output_tokens"]),
        billed_micros=int(found.sum["cost_micros" if is_old else "billed_micros"]),
    )


def _sum(one: ModelTotal, other: ModelTotal) -> ModelTotal:
    return replace(
        one,
        attempts=one.attempts + other.attempts,
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        cost_micros=one.cost_micros + other.cost_micros,
        billed_micros=one.billed_micros + other.billed_micros,
    )


def _document(entry: Entry) -> dict[str, Any]:
    price = entry.price
    return {
        "id": entry.attempt_id,
        "completion_id": entry.completion_id,
        "tenant_id": entry.tenant_id,
        "team_id": entry.team_id,
        "user_id": entry.user_id,
        "key_id": entry.key_id,
        "provider": entry.provider,
        "model": entry.model,
        "outcome": entry.outcome.value,
        "certainty": entry.certainty.value,
        "input_tokens": entry.tokens.input,
        "output_tokens": entry.tokens.output,
        "cached_input_tokens": entry.tokens.cached_input,
        "cache_write_input_tokens": entry.tokens.cache_write_input,
        "reasoning_tokens": entry.tokens.reasoning,
        "long_cache_write_input_tokens": entry.tokens.long_cache_write_input,
        "audio_input_tokens": entry.tokens.audio_input,
        "audio_output_tokens": entry.tokens.audio_output,
        **rating_to_document(entry.rating),
        "price": None if price is None else price_to_document(price),
        "start_time": entry.start_time,
        "purpose": None if entry.purpose is None else entry.purpose.value,
        "route": entry.route,
        "operation": entry.operation.value,
        "streamed": entry.streamed,
        "mode": None if entry.mode is None else entry.mode.value,
        "metadata": entry.metadata,
        "record_time": entry.record_time,
        "sandbox": entry.sandbox,
        "event": entry.event,
    }
