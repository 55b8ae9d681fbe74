"""What a statement says, and how it is added up. Months are those of UTC's calendar."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from omnix_usage_metering.entries import Use
from omnix_usage_metering.errors import invalid
from omnix_usage_metering.pricing.credits import Credit

_MONTH: Final = re.compile(r"(20[2-9]\d)-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True, order=True)
class Month:
    year: int
    number: int
    """1 to 12."""

    def __str__(self) -> str:
        return f"{self.year}-{self.number:02}"

    @property
    def start(self) -> datetime:
        return datetime(self.year, self.number, 1, tzinfo=UTC)

    @property
    def following(self) -> "Month":
        return Month(self.year + 1, 1) if self.number == 12 else Month(self.year, self.number + 1)


def month_of(text: str) -> Month:
    """:raises CallerError: when it is not such as ``2026-11``."""
    found = _MONTH.fullmatch(text)
    if found is None:
        raise invalid("month", "month must be a month such as 2026-11.")
    return Month(int(found[1]), int(found[2]))


@dataclass(frozen=True, slots=True)
class Line:
    """What one model, team or key used; without a currency nothing is billed for it."""

    name: str
    currency: str
    attempts: int
    input_tokens: int
    output_tokens: int
    billed_micros: int


@dataclass(frozen=True, slots=True)
class Adjustment:
    """By how much a closed month changed."""

    month: str
    currency: str
    amount_micros: int


@dataclass(frozen=True, slots=True)
class Amount:
    """What is to be paid in one currency."""

    currency: str
    billed_micros: int
    adjustment_micros: int
    credit_micros: int

    @property
    def due_micros(self) -> int:
        return self.billed_micros + self.adjustment_micros - self.credit_micros


@dataclass(frozen=True, slots=True)
class Statement:
    tenant_id: str
    month: str
    amounts: Sequence[Amount]
    models: Sequence[Line]
    teams: Sequence[Line]
    keys: Sequence[Line]
    adjustments: Sequence[Adjustment]
    close_time: datetime | None = None
    """None while it is open."""
    user_id: str = ""
    """Who closed it."""
    key_id: str = ""


def billed(uses: Iterable[Use]) -> dict[str, int]:
    """Sums by currency."""
    sums: dict[str, int] = {}
    for use in uses:
        if use.currency:
            sums[use.currency] = sums.get(use.currency, 0) + use.billed_micros
    return sums


def settled(month: str, closed: Sequence[Statement]) -> dict[str, int]:
    """What statements have had of a month so far, by currency: its own, and the adjustments of later ones."""
    sums: dict[str, int] = {}
    for statement in closed:
        if statement.month == month:
            for amount in statement.amounts:
                sums[amount.currency] = sums.get(amount.currency, 0) + amount.billed_micros
        for each in statement.adjustments:
            if each.month == month:
                sums[each.currency] = sums.get(each.currency, 0) + each.amount_micros
    return sums


def adjustments(month: str, now: Mapping[str, int], closed: Sequence[Statement]) -> list[Adjustment]:
    before = settled(month, closed)
    differences = {name: now.get(name, 0) - before.get(name, 0) for name in sorted(now.keys() | before.keys())}
    return [Adjustment(month, name, amount) for name, amount in differences.items() if amount]


def statement(
    tenant_id: str,
    month: Month,
    uses: Sequence[Use],
    adjusted: Sequence[Adjustment],
    credits: Sequence[Credit],
    closed: Sequence[Statement],
) -> Statement:
    """Credits that are in effect by the month's end pay for what is due, as far as earlier statements left them."""
    sums = billed(uses)
    changes: dict[str, int] = {}
    for each in adjusted:
        changes[each.currency] = changes.get(each.currency, 0) + each.amount_micros
    amounts = []
    for currency in sorted(sums.keys() | changes.keys()):
        due = sums.get(currency, 0) + changes.get(currency, 0)
        left = sum(
            credit.amount_micros
            for credit in credits
            if credit.currency == currency and credit.effective_time < month.following.start
        ) - sum(each.credit_micros for former in closed for each in former.amounts if each.currency == currency)
        amounts.append(Amount(currency, sums.get(currency, 0), changes.get(currency, 0), max(0, min(due, left))))
    return Statement(
        tenant_id=tenant_id,
        month=str(month),
        amounts=amounts,
        models=_lines((f"{use.provider}/{use.model}", use) for use in uses),
        teams=_lines((use.team_id, use) for use in uses),
        keys=_lines((use.key_id, use) for use in uses),
        adjustments=adjusted,
    )


def _lines(uses: Iterable[tuple[str, Use]]) -> list[Line]:
    lines: dict[tuple[str, str], Line] = {}
    for name, use in uses:
        known = lines.get((name, use.currency)) or Line(name, use.currency, 0, 0, 0, 0)
        lines[name, use.currency] = Line(
            name,
            use.currency,
            known.attempts + use.attempts,
            known.input_tokens + use.input_tokens,
            known.output_tokens + use.output_tokens,
            known.billed_micros + use.billed_micros,
        )
    return [lines[key] for key in sorted(lines)]
