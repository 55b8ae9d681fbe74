"""What may be used, of what, and by whom."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

from omnix_kit.caller import Caller

from omnix_usage_metering.errors import invalid

EACH: Final = "*"
MOST_OF_TENANT: Final = 500
_MOST: Final = 10**15
_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_RESERVED: Final = "usage"
_LONGEST: Final = 200
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Subject(StrEnum):
    TENANT = "tenant"
    TEAM = "team"
    USER = "user"
    KEY = "key"


class Kind(StrEnum):
    REQUESTS_PER_MINUTE = "requests_per_minute"
    TOKENS_PER_MINUTE = "tokens_per_minute"
    CONCURRENT_REQUESTS = "concurrent_requests"
    COST_PER_DAY = "cost_per_day"
    COST_PER_MONTH = "cost_per_month"

    @property
    def is_cost(self) -> bool:
        return self in (Kind.COST_PER_DAY, Kind.COST_PER_MONTH)


class Enforcement(StrEnum):
    SOFT = "soft"
    HARD = "hard"


@dataclass(frozen=True, slots=True)
class Limit:
    limit_id: str
    tenant_id: str
    subject: Subject
    subject_id: str
    """``*`` for each one by itself; empty for the tenant."""
    model_pattern: str
    kind: Kind
    amount: int
    """Costs in millionths of a US dollar."""
    enforcement: Enforcement
    version: int
    create_time: datetime
    update_time: datetime

    def counted_for(self, caller: Caller) -> str | None:
        """For whom it counts what the caller uses: a team, user or key, empty for the tenant; None for nobody."""
        if self.subject is Subject.TENANT:
            return ""
        own = {Subject.TEAM: caller.team_id, Subject.USER: caller.user_id, Subject.KEY: caller.key_id}[self.subject]
        return own if own and self.subject_id in (EACH, own) else None

    def counts(self, subject_id: str) -> bool:
        """Whether there is a counter for the subject of this id."""
        return subject_id == self.subject_id or (self.subject_id == EACH and subject_id != "")


def check(limit: Limit) -> None:
    """:raises CallerError: naming the field that cannot be."""
    if not _ID.fullmatch(limit.limit_id) or limit.limit_id == _RESERVED:
        raise invalid("limit.limit_id", "limit.limit_id must be 1 to 64 of A-Za-z0-9._- and not 'usage'.")
    if not limit.tenant_id:
        raise invalid("limit.tenant_id", "limit.tenant_id is missing.")
    if (limit.subject is Subject.TENANT) == bool(limit.subject_id) or len(limit.subject_id) > _LONGEST:
        raise invalid(
            "limit.subject_id", "limit.subject_id names a team, user or key, or is '*' for each; a tenant has none."
        )
    if len(limit.model_pattern) > _LONGEST:
        raise invalid("limit.model_pattern", f"limit.model_pattern has more than {_LONGEST} characters.")
    if not 1 <= limit.amount <= _MOST:
        raise invalid("limit.amount", f"limit.amount must be 1 to {_MOST}.")


def matches(pattern: str, model: str) -> bool:
    """Whether a pattern means ``provider/model``; one without a slash means the model at any provider."""
    if not pattern:
        return True
    name = model if "/" in pattern else model.partition("/")[2] or model
    return fnmatchcase(name, pattern)


def window_at(kind: Kind, now: datetime) -> int:
    """The number of the window that a moment lies in; later windows have larger ones."""
    match kind:
        case Kind.CONCURRENT_REQUESTS:
            return 1
        case Kind.COST_PER_DAY:
            return (now - _EPOCH).days
        case Kind.COST_PER_MONTH:
            return now.year * 12 + now.month - 1
        case _:
            return int(now.timestamp()) // 60


def window_span(kind: Kind, window: int) -> tuple[datetime, datetime] | None:
    """When a window begins and ends; None where there is none."""
    match kind:
        case Kind.CONCURRENT_REQUESTS:
            return None
        case Kind.COST_PER_DAY:
            return _EPOCH + timedelta(days=window), _EPOCH + timedelta(days=window + 1)
        case Kind.COST_PER_MONTH:
            return _month(window), _month(window + 1)
        case _:
            return _EPOCH + timedelta(minutes=window), _EPOCH + timedelta(minutes=window + 1)


def _month(number: int) -> datetime:
    return datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)
