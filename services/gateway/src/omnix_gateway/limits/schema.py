"""Limits as the API tells and takes them."""

from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta, Struct

Name = Annotated[str, Meta(min_length=1, max_length=200)]


class LimitRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """How much may be used.

    `subject_id` names a team, a user or a key, or is `*` for each one by itself; a tenant has none. `model` is a name
    in which `*` stands for anything. `amount` counts requests or tokens; `cost` is a decimal string in US dollars. A
    `hard` limit refuses what is beyond, a `soft` one only tells.
    """

    subject: Literal["tenant", "team", "user", "key"]
    subject_id: Name | None = None
    model: Name | None = None
    kind: Literal["requests_per_minute", "tokens_per_minute", "concurrent_requests", "cost_per_day", "cost_per_month"]
    amount: Annotated[int, Meta(ge=1, le=10**15)] | None = None
    cost: Decimal | None = None
    enforcement: Literal["soft", "hard"] = "hard"


class Limit(Struct, kw_only=True):
    """A limit. Times are in seconds since 1970."""

    id: str
    object: Literal["limit"] = "limit"
    subject: str
    subject_id: str | None
    model: str | None
    kind: str
    amount: int | None
    cost: str | None
    enforcement: str
    version: int
    created_at: int
    updated_at: int


class LimitList(Struct, kw_only=True):
    """All limits of the tenant, by id."""

    object: Literal["list"] = "list"
    data: list[Limit]


class LimitDeleted(Struct, kw_only=True):
    """The limit holds no longer."""

    id: str
    object: Literal["limit.deleted"] = "limit.deleted"
    deleted: bool = True


class LimitUsage(Struct, kw_only=True):
    """How much is used of a limit. `resets_at` is in seconds since 1970, null for requests at the same time."""

    object: Literal["limit.usage"] = "limit.usage"
    limit: Limit
    subject_id: str | None
    used: int | None
    remaining: int | None
    used_cost: str | None
    remaining_cost: str | None
    resets_at: int | None


class LimitUsageList(Struct, kw_only=True):
    """One for each limit that concerns the caller."""

    object: Literal["list"] = "list"
    data: list[LimitUsage]
