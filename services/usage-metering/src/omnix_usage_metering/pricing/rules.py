"""What a tenant pays for an attempt: the cost, more or less of it, or a price of its own.

Money is integer millionths. A cost is rounded half up once; a markup is taken of the rounded cost, as the ledger has
it, and rounded half up again, so that whoever reads an entry can compute it.
"""

import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Final

from omnix_kit.money import Price, Tokens, cost_micros

from omnix_usage_metering.errors import invalid
from omnix_usage_metering.quotas.limits import matches

MOST_OF_TENANT: Final = 500
_WHOLE: Final = 10_000
_MOST_MARKUP: Final = 100 * _WHOLE
_MOST_RATE: Final = 10**12
_MOST_TIERS: Final = 16
_LONGEST: Final = 200
_REMEMBERED: Final = 1000
_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True, slots=True)
class Markup:
    """So much more than the cost, in hundredths of a per cent."""

    basis_points: int


@dataclass(frozen=True, slots=True)
class Rule:
    """What is paid for some models; see ``omnix.usage.v1.PriceRule``."""

    rule_id: str
    tenant_id: str
    model_pattern: str
    effective_time: datetime
    end_time: datetime | None
    amount: Markup | Price
    version: int
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class Rating:
    """What an attempt cost, and what is billed for it; None where that is not known."""

    cost_micros: int | None
    currency: str
    billed_micros: int | None
    billed_currency: str
    rule_id: str
    """Empty where no rule said so."""


def rate(tokens: Tokens, price: Price | None, rule: Rule | None) -> Rating:
    cost = None if price is None else cost_micros(tokens, price)
    currency = "" if price is None else price.currency
    match None if rule is None else rule.amount:
        case Markup(basis_points) if cost is not None and rule is not None:
            billed = (cost * (_WHOLE + basis_points) + _WHOLE // 2) // _WHOLE
            return Rating(cost, currency, billed, currency, rule.rule_id)
        case Price() as fixed if rule is not None:
            return Rating(cost, currency, cost_micros(tokens, fixed), fixed.currency, rule.rule_id)
        case _:  # more of what is not known is not known
            return Rating(cost, currency, cost, currency, "")


class Book:
    """The rules of one tenant."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = sorted(rules, key=_precedence, reverse=True)
        self._of_model: dict[str, list[Rule]] = {}

    def rule_for(self, provider: str, model: str, start_time: datetime) -> Rule | None:
        """The one that holds for an attempt that began then."""
        if not self._rules:
            return None
        name = f"{provider}/{model}"
        known = self._of_model.get(name)
        if known is None:
            if len(self._of_model) >= _REMEMBERED:
                self._of_model.clear()
            known = self._of_model[name] = [rule for rule in self._rules if matches(rule.model_pattern, name)]
        for rule in known:
            if rule.effective_time <= start_time and (rule.end_time is None or start_time < rule.end_time):
                return rule
        return None


def _precedence(rule: Rule) -> tuple[int, datetime, str]:
    return len(rule.model_pattern.replace("*", "")), rule.effective_time, rule.rule_id


def check(rule: Rule) -> None:
    """:raises CallerError: naming the field that cannot be."""
    check_id(rule.rule_id, "rule.rule_id")
    if not rule.tenant_id:
        raise invalid("rule.tenant_id", "rule.tenant_id is missing.")
    if len(rule.model_pattern) > _LONGEST:
        raise invalid("rule.model_pattern", f"rule.model_pattern has more than {_LONGEST} characters.")
    if rule.end_time is not None and rule.end_time <= rule.effective_time:
        raise invalid("rule.end_time", "rule.end_time is not after rule.effective_time.")
    match rule.amount:
        case Markup(basis_points):
            if not -_WHOLE <= basis_points <= _MOST_MARKUP:
                raise invalid("rule.markup_basis_points", f"A markup is -{_WHOLE} to {_MOST_MARKUP} basis points.")
        case Price() as price:
            check_price(price, "rule.fixed_price")


def check_id(given: str, param: str) -> None:
    if not _ID.fullmatch(given):
        raise invalid(param, f"{param} must be 1 to 64 of A-Za-z0-9._-.")


def check_currency(currency: str, param: str) -> None:
    if not _CURRENCY.fullmatch(currency):
        raise invalid(param, f"{param} is not an ISO 4217 code.")


def check_price(price: Price, param: str) -> None:
    check_currency(price.currency, f"{param}.currency")
    thresholds = [tier.above_input for tier in price.tiers]
    if thresholds != sorted(set(thresholds)) or len(thresholds) > _MOST_TIERS or min(thresholds, default=0) < 0:
        raise invalid(f"{param}.tiers", f"{param}.tiers have no rising thresholds, or are more than {_MOST_TIERS}.")
    for rates in (price.rates, *(tier.rates for tier in price.tiers)):
        if any(amount is not None and not 0 <= amount <= _MOST_RATE for amount in astuple(rates)):
            raise invalid(param, f"{param} has a rate that is not 0 to {_MOST_RATE}.")
