"""What tenants pay, as the API tells and takes it."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta, Struct

from omnix_gateway.schema import PageSize, Pricing

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Moment = Annotated[datetime, Meta(tz=True)]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$")]


class GivenRates(Struct, kw_only=True, forbid_unknown_fields=True):
    """Decimals for a million tokens, to six places; what is left out costs as other units of the direction."""

    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    long_cache_write: Decimal | None = None
    reasoning: Decimal | None = None


class GivenTier(GivenRates, kw_only=True, forbid_unknown_fields=True):
    """Rates that hold for the whole attempt when the prompt has more tokens than this."""

    above_input_tokens: Annotated[int, Meta(ge=0)]


class GivenPrice(GivenRates, kw_only=True, forbid_unknown_fields=True):
    """What units cost."""

    currency: Currency = "USD"
    audio_input: Decimal | None = None
    audio_output: Decimal | None = None
    tiers: Annotated[list[GivenTier], Meta(max_length=16)] = []


class PriceRuleRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """What is paid: `markup_percent` more than the cost (two places, negative for less), or `fixed_price` instead.

    `model` is `provider/model`, or a model at any provider, in which `*` stands for anything; none is every model. It
    holds for attempts that begin at or after `effective_time`, before `end_time`.
    """

    model: Name | None = None
    effective_time: Moment
    end_time: Moment | None = None
    markup_percent: Decimal | None = None
    fixed_price: GivenPrice | None = None


class PriceRule(Struct, kw_only=True):
    """A price rule. `created_at` and `updated_at` are in seconds since 1970."""

    id: str
    object: Literal["price_rule"] = "price_rule"
    model: str | None
    effective_time: str
    end_time: str | None
    markup_percent: str | None
    fixed_price: Pricing | None
    version: int
    created_at: int
    updated_at: int


class PriceRuleList(Struct, kw_only=True):
    """Price rules, by id."""

    object: Literal["list"] = "list"
    data: list[PriceRule]


class PriceRuleDeleted(Struct, kw_only=True):
    """It is deleted; what was billed by it stays so until it is rated again."""

    id: str
    object: Literal["price_rule.deleted"] = "price_rule.deleted"
    deleted: bool = True


class CreditRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """Money that need not be paid; negative to take it back. Giving the same one again changes nothing."""

    id: Annotated[str, Meta(pattern="^[A-Za-z0-9._-]{1,64}$")]
    amount: Decimal
    currency: Currency = "USD"
    effective_time: Moment
    note: Annotated[str, Meta(max_length=500)] = ""


class Credit(Struct, kw_only=True):
    """A credit. `created_at` is in seconds since 1970."""

    id: str
    object: Literal["credit"] = "credit"
    amount: str
    amount_micros: int
    currency: str
    effective_time: str
    note: str
    created_at: int


class CreditList(Struct, kw_only=True):
    """Credits, by id."""

    object: Literal["list"] = "list"
    data: list[Credit]


class ModelPrice(GivenPrice, kw_only=True, forbid_unknown_fields=True):
    """What a model costs, for attempts that began at or after `effective_time`."""

    provider: Name
    model: Name
    effective_time: Moment


class RerateRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which attempts are rated again: those that began at or after `start_time`, before `end_time`.

    By the `prices` that are given, by those of the `catalogue` now, or by those that are `recorded`, and by the rules
    of now. Attempts that began before a price takes effect keep theirs. With `dry_run` it is only told what would
    change.
    """

    start_time: Moment
    end_time: Moment | None = None
    provider: Name | None = None
    model: Name | None = None
    prices: Literal["catalogue", "recorded"] | Annotated[list[ModelPrice], Meta(max_length=5000)] = "catalogue"
    dry_run: bool = False
    limit: PageSize = 500
    page_token: str | None = None


class RerateTotal(Struct, kw_only=True):
    """Sums in one currency over the entries that changed, before and after."""

    currency: str
    former_cost_micros: int
    cost_micros: int
    former_billed_micros: int
    billed_micros: int


class Rerating(Struct, kw_only=True):
    """What became of a page of entries. Ask again with `page_token` until there is no `next_page_token`."""

    object: Literal["usage.rerating"] = "usage.rerating"
    dry_run: bool
    looked_at: int
    changed: int
    totals: list[RerateTotal]
    has_more: bool
    next_page_token: str | None
