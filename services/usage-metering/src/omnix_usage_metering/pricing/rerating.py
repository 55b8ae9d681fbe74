"""Rating entries again: by other prices, by the rules of now, batch by batch, and never twice."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from omnix_kit.caller import Caller
from omnix_kit.errors import PlatformError, Reason
from omnix_kit.money import Price

from omnix_usage_metering.entries import Filter, Rated
from omnix_usage_metering.errors import invalid, store_errors
from omnix_usage_metering.pricing.pricing import Pricing
from omnix_usage_metering.pricing.rules import Book, Rating, rate
from omnix_usage_metering.repository import Repository

_PAGE: Final = 500
_MOST: Final = 1000
_AT_ONCE: Final = 50
_TRIES: Final = 5
_MOST_FORMER: Final = 100

Prices = Mapping[tuple[str, str], Price]
"""By provider and model."""


@dataclass(slots=True)
class Difference:
    """Sums over the entries that changed, of one currency."""

    former_cost_micros: int = 0
    cost_micros: int = 0
    former_billed_micros: int = 0
    billed_micros: int = 0


@dataclass(slots=True)
class Batch:
    looked_at: int
    changed: int = 0
    differences: dict[str, Difference] = field(default_factory=dict)
    next_page_token: str | None = None

    def count(self, former: Rating, present: Rating) -> None:
        self.changed += 1
        for rating, is_former in ((former, True), (present, False)):
            if rating.cost_micros is not None:
                self._add(rating.currency, "cost_micros", rating.cost_micros, is_former)
            if rating.billed_micros is not None:
                self._add(rating.billed_currency, "billed_micros", rating.billed_micros, is_former)

    def _add(self, currency: str, name: str, amount: int, is_former: bool) -> None:
        difference = self.differences.setdefault(currency, Difference())
        name = f"former_{name}" if is_former else name
        setattr(difference, name, getattr(difference, name) + amount)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be rated again. Entries of models without a price here keep the price they have."""

    wanted: Filter
    prices: Prices
    author: Caller
    is_dry: bool
    """Only tell what would change."""


class Rerating:
    def __init__(self, repository: Repository, pricing: Pricing, clock: Callable[[], datetime]) -> None:
        self._repository = repository
        self._pricing = pricing
        self._clock = clock

    async def batch(self, wish: Wish, size: int, token: str) -> Batch:
        """Rate one page of entries. What has its rating already is left as it is, so that doing it again is no harm."""
        if not wish.wanted.tenant_id:
            raise invalid("filter.tenant_id", "filter.tenant_id is missing.")
        if wish.wanted.start_time is None:
            raise invalid("filter.start_time", "filter.start_time is missing: since when entries are rated again.")
        if not 0 <= size <= _MOST:
            raise invalid("page_size", f"page_size must be 1 to {_MOST}, or 0 for {_PAGE}.")
        with store_errors():
            book = await self._pricing.present_book(wish.wanted.tenant_id)
            entries, following = await self._repository.rated_page(wish.wanted, size or _PAGE, token)
            batch = Batch(len(entries), next_page_token=following)
            for first in range(0, len(entries), _AT_ONCE):
                some = entries[first : first + _AT_ONCE]
                for change in await asyncio.gather(*(self._rate(entry, wish, book) for entry in some)):
                    if change is not None:
                        batch.count(*change)
        return batch

    async def _rate(self, entry: Rated, wish: Wish, book: Book) -> tuple[Rating, Rating] | None:
        """Answers with the former rating and the present one; None when they are the same."""
        for _ in range(_TRIES):
            price = _price(entry, wish.prices)
            present = rate(entry.tokens, price, book.rule_for(entry.provider, entry.model, entry.start_time))
            if present == entry.rating:
                return None
            if len(entry.former) >= _MOST_FORMER:
                raise invalid("filter", f"The entry {entry.attempt_id} was rated again {_MOST_FORMER} times already.")
            if wish.is_dry or await self._repository.rate(entry, present, price, wish.author, self._clock()):
                return entry.rating, present
            again = await self._repository.rated(wish.wanted.tenant_id, entry.attempt_id)
            if again is None:
                return None
            entry = again  # somebody else rated it meanwhile, or a more certain event took its place
        raise PlatformError("Too many rate the same entry at once.", reason=Reason.CONFLICT)


def _price(entry: Rated, prices: Prices) -> Price | None:
    given = prices.get((entry.provider, entry.model))
    return given if given is not None and given.effective_time <= entry.start_time else entry.price
