"""Prices as a catalogue file writes them. Pure.

They are written as people read them, in decimal units of the currency for a million tokens, and become integer
micro-units without passing through a float.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import pairwise

import msgspec
from omnix_kit.money import Price, Rates, Tier

_MICROS = 1_000_000
MAX_PRICE = 1_000_000
"""For a million tokens."""


class TierEntry(msgspec.Struct, forbid_unknown_fields=True):
    """Rates for prompts of more than ``above`` tokens. Its unset rates follow from its own others."""

    above: int
    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    long_cache_write: Decimal | None = None
    reasoning: Decimal | None = None


class PriceEntry(msgspec.Struct, forbid_unknown_fields=True):
    """What holds from the day ``since`` on."""

    since: date
    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    long_cache_write: Decimal | None = None
    reasoning: Decimal | None = None
    audio_input: Decimal | None = None
    audio_output: Decimal | None = None
    batch_input: Decimal | None = None
    batch_output: Decimal | None = None
    tiers: list[TierEntry] = []
    currency: str = "USD"


def prices_of(entries: Iterable[PriceEntry], key: str) -> tuple[Price, ...]:
    """Oldest first.

    :raises ValueError: naming the key and what is wrong.
    """
    found = [_price(entry, f"{key}[{index}]") for index, entry in enumerate(entries)]
    found.sort(key=lambda price: price.effective_time)
    for before, after in pairwise(found):
        if before.effective_time == after.effective_time:
            raise ValueError(f"{key}: two prices hold since {after.effective_time.date()}")
    return tuple(found)


def micros(amount: Decimal, key: str) -> int:
    """Integer micro-units of a decimal amount, exactly.

    :raises ValueError: when the amount has a part smaller than a micro-unit, is negative or is absurd.
    """
    if not amount.is_finite() or not 0 <= amount <= MAX_PRICE:
        raise ValueError(f"{key}: {amount} is not a price for a million tokens")
    scaled = amount * _MICROS
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{key}: {amount} has more than six decimal places")
    return int(scaled)


def midnight(day: date) -> datetime:
    """When a day begins: prices change at midnight UTC."""
    return datetime.combine(day, time(), UTC)


def _price(entry: PriceEntry, key: str) -> Price:
    if len(entry.currency) != 3 or not entry.currency.isascii() or not entry.currency.isupper():
        raise ValueError(f"{key}.currency: {entry.currency!r} is no code of three letters such as USD")
    tiers = tuple(Tier(tier.above, _rates(tier, f"{key}.tiers[{index}]")) for index, tier in enumerate(entry.tiers))
    thresholds = [0, *(tier.above_input for tier in tiers)]
    if thresholds != sorted(set(thresholds)):
        raise ValueError(f"{key}.tiers: above must be more than 0 and rise")
    return Price(
        currency=entry.currency,
        effective_time=midnight(entry.since),
        rates=_rates(entry, key),
        tiers=tiers,
        batch_input=_optional(entry.batch_input, f"{key}.batch_input"),
        batch_output=_optional(entry.batch_output, f"{key}.batch_output"),
    )


def _rates(entry: PriceEntry | TierEntry, key: str) -> Rates:
    heard, spoken = (entry.audio_input, entry.audio_output) if isinstance(entry, PriceEntry) else (None, None)
    return Rates(
        input=micros(entry.input, f"{key}.input"),
        output=micros(entry.output, f"{key}.output"),
        cached_input=_optional(entry.cached_input, f"{key}.cached_input"),
        cache_write=_optional(entry.cache_write, f"{key}.cache_write"),
        reasoning=_optional(entry.reasoning, f"{key}.reasoning"),
        long_cache_write=_optional(entry.long_cache_write, f"{key}.long_cache_write"),
        audio_input=_optional(heard, f"{key}.audio_input"),
        audio_output=_optional(spoken, f"{key}.audio_output"),
    )


def _optional(amount: Decimal | None, key: str) -> int | None:
    return None if amount is None else micros(amount, key)
