"""Prices as they are stored. The currency is a field of whatever has the price."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from omnix_kit.money import Price, Rates, Tier


@lru_cache(maxsize=1024)
def price_to_document(price: Price) -> Mapping[str, Any]:
    """Many entries share one; nobody changes it."""
    return {
        "effective_time": price.effective_time,
        **_rates(price.rates),
        "tiers": [{"above_input": tier.above_input, **_rates(tier.rates)} for tier in price.tiers],
    }


def price_from_document(document: Mapping[str, Any], currency: str) -> Price:
    return Price(
        currency=currency,
        effective_time=document["effective_time"],
        rates=_rates_from(document),
        tiers=tuple(Tier(tier["above_input"], _rates_from(tier)) for tier in document["tiers"]),
    )


def _rates(rates: Rates) -> dict[str, Any]:
    """Those that were given; most vendors give few."""
    return {name: amount for name, amount in asdict(rates).items() if amount is not None}


def _rates_from(document: Mapping[str, Any]) -> Rates:
    return Rates(**{name: document[name] for name in Rates.__dataclass_fields__ if name in document})
