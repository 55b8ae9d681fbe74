"""What may be used, of what, and by whom. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

from omnix_gateway.identity import Identity

EACH: Final = "*"


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


class WithoutMetering(StrEnum):
    """What becomes of requests that a limit concerns, while usage-metering is away and what was leased is used up."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Limit:
    """See ``omnix.usage.v1.Limit``."""

    limit_id: str
    tenant_id: str
    subject: Subject
    subject_id: str
    model_pattern: str
    kind: Kind
    amount: int
    """Costs in millionths of a US dollar."""
    is_hard: bool
    version: int

    def counted_for(self, identity: Identity) -> str | None:
        """For whom it counts what the caller uses: a team, user or key, empty for the tenant; None for nobody."""
        match self.subject:
            case Subject.TENANT:
                return ""
            case Subject.TEAM:
                own = identity.team_id
            case Subject.USER:
                own = identity.user_id
            case Subject.KEY:
                own = identity.key_id
        return own if own and self.subject_id in (EACH, own) else None

    def means(self, models: Iterable[str]) -> bool:
        """Whether it counts a request that names these models."""
        pattern = self.model_pattern
        return not pattern or any(_matches(pattern, model) for model in models)


def _matches(pattern: str, model: str) -> bool:
    """A side that names no provider means the model at any."""
    if "/" in pattern and "/" in model:
        return fnmatchcase(model, pattern)
    return fnmatchcase(model.rpartition("/")[2], pattern.rpartition("/")[2])
