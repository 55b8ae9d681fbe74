"""Money that a tenant need not pay."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from omnix_usage_metering.errors import invalid
from omnix_usage_metering.pricing.rules import check_currency, check_id

_MOST: Final = 10**15
_LONGEST: Final = 500


@dataclass(frozen=True, slots=True)
class Credit:
    """See ``omnix.usage.v1.Credit``."""

    credit_id: str
    tenant_id: str
    amount_micros: int
    currency: str
    effective_time: datetime
    note: str
    create_time: datetime


def check(credit: Credit) -> None:
    """:raises CallerError: naming the field that cannot be."""
    check_id(credit.credit_id, "credit.credit_id")
    if not credit.tenant_id:
        raise invalid("credit.tenant_id", "credit.tenant_id is missing.")
    if not 1 <= abs(credit.amount_micros) <= _MOST:
        raise invalid("credit.amount_micros", f"credit.amount_micros must be 1 to {_MOST}, or as much below 0.")
    check_currency(credit.currency, "credit.currency")
    if len(credit.note) > _LONGEST:
        raise invalid("credit.note", f"credit.note has more than {_LONGEST} characters.")
