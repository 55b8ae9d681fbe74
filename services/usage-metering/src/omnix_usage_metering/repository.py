"""The ledger as it is stored: one document an attempt, its id the attempt's. The tenant is part of every query."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from omnix_kit.money import Price, Rates
from omnix_store import Change, Document, Range, Store, Totals, Where

from omnix_usage_metering.entries import Entry, Filter, Line, ModelTotal, Purpose
from omnix_usage_metering.looking import INDEXES, everything, looking

_AT_ONCE = 1000
_MOST_LOOKED_AT = 10_000
_NEWEST_FIRST = ("-start_time",)
_BY_MODEL = Totals(
    group_by=("provider", "model", "currency", "purpose"), sum=("input_tokens", "output_tokens", "cost_micros")
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
        return await self._entries.update(where, Change(set=fields)) is not None

    async def page(self, wanted: Filter, size: int, token: str) -> tuple[list[Line], str | None]:
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
                return [_line(document) for document in fitting], token or None

    async def totals(self, wanted: Filter) -> list[ModelTotal]:
        found = await self._entries.totals(_BY_MODEL, everything(wanted))
        return [
            ModelTotal(
                provider=str(total.group["provider"]),
                model=str(total.group["model"]),
                currency=str(total.group["currency"]),
                purpose=None if total.group["purpose"] is None else Purpose(str(total.group["purpose"])),
                attempts=total.count,
                input_tokens=int(total.sum["input_tokens"]),
                output_tokens=int(total.sum["output_tokens"]),
                cost_micros=int(total.sum["cost_micros"]),
            )
            for total in found
        ]


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
        "cost_micros": entry.cost_micros,
        "currency": entry.currency,
        "price": None if price is None else _price(price),
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


@lru_cache(maxsize=1024)
def _price(price: Price) -> Mapping[str, Any]:
    """Many entries share one; nobody changes it."""
    return {
        "effective_time": price.effective_time,
        **_rates(price.rates),
        "tiers": [{"above_input": tier.above_input, **_rates(tier.rates)} for tier in price.tiers],
    }


def _rates(rates: Rates) -> dict[str, Any]:
    """Those that were given; most vendors give few."""
    return {name: amount for name, amount in asdict(rates).items() if amount is not None}


def _line(document: Document) -> Line:
    return Line(
        event=document["event"],
        cost_micros=document["cost_micros"],
        currency=document["currency"],
        record_time=document["record_time"],
    )
