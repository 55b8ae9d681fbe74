"""How entries are rated, as it is stored. Entries of earlier versions have their cost alone, and are billed at that."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from omnix_kit.caller import Caller
from omnix_kit.money import Price, Tokens
from omnix_store import Document

from omnix_usage_metering.entries import Former, Line, Rated
from omnix_usage_metering.prices import price_from_document, price_to_document
from omnix_usage_metering.pricing.rules import Rating

REPRICED: Final = "repriced"
"""The field that says that the price is not the event's own."""
_RATING: Final = ("cost_micros", "currency", "billed_micros", "billed_currency", "rule_id")


def rating_to_document(rating: Rating) -> dict[str, Any]:
    return {name: getattr(rating, name) for name in _RATING}


def _rating(document: Mapping[str, Any]) -> Rating:
    cost, currency = document["cost_micros"], document["currency"]
    if "rule_id" not in document:
        return Rating(cost, currency, cost, currency, "")
    return Rating(cost, currency, document["billed_micros"], document["billed_currency"], document["rule_id"])


def former_to_document(entry: Rated, author: Caller, now: datetime) -> dict[str, Any]:
    """What is kept of the rating that an entry has, when it gets another one."""
    return {
        **rating_to_document(entry.rating),
        "price": price_to_document(entry.price) if entry.is_repriced and entry.price is not None else None,
        "rate_time": entry.rate_time,
        "replace_time": now,
        "user_id": author.user_id,
        "key_id": author.key_id,
    }


def _former(document: Mapping[str, Any]) -> Former:
    return Former(
        rating=_rating(document),
        price=_price(document),
        rate_time=document["rate_time"],
        replace_time=document["replace_time"],
        user_id=document["user_id"],
        key_id=document["key_id"],
    )


def line_of(document: Document) -> Line:
    return Line(
        event=document["event"],
        rating=_rating(document),
        price=_price(document) if document.get(REPRICED) else None,
        former=[_former(each) for each in document.get("former", ())],
        record_time=document["record_time"],
    )


def rated_of(document: Document) -> Rated:
    return Rated(
        attempt_id=document["id"],
        tenant_id=document["tenant_id"],
        provider=document["provider"],
        model=document["model"],
        tokens=_tokens(document),
        price=_price(document),
        is_repriced=bool(document.get(REPRICED)),
        rating=_rating(document),
        start_time=document["start_time"],
        rate_time=document.get("rate_time") or document["record_time"],
        former=document.get("former", ()),
        certainty=document["certainty"],
        revision=document.get("revision"),
    )


def _price(document: Mapping[str, Any]) -> Price | None:
    price = document["price"]
    return None if price is None else price_from_document(price, document["currency"])


def _tokens(document: Document) -> Tokens:
    return Tokens(
        input=document["input_tokens"],
        output=document["output_tokens"],
        cached_input=document["cached_input_tokens"],
        cache_write_input=document["cache_write_input_tokens"],
        reasoning=document["reasoning_tokens"],
        long_cache_write_input=document.get("long_cache_write_input_tokens", 0),
        audio_input=document.get("audio_input_tokens", 0),
        audio_output=document.get("audio_output_tokens", 0),
    )
