"""What one line of the ledger says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from omnix_kit.money import Price, Tokens
from omnix_kit.usage.events import Certainty, Outcome

from omnix_usage_metering.pricing.rules import Rating, Rule, rate


class Purpose(StrEnum):
    """What an attempt was made for when it is not the answer; see ``omnix.usage.v1.Purpose``."""

    SHADOW = "shadow"
    HEDGE = "hedge"


class Operation(StrEnum):
    """What was asked of the vendor; see ``omnix.usage.v1.Operation``."""

    CHAT = "chat"
    EMBEDDINGS = "embeddings"


class Mode(StrEnum):
    """How much reasoning was asked for; see ``omnix.completion.v1.ComputeMode``."""

    FLASH = "flash"
    THINK = "think"
    ULTRA_THINK = "ultra-think"


@dataclass(frozen=True, slots=True)
class Label:
    """One of the caller's."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One attempt, once."""

    attempt_id: str
    completion_id: str
    tenant_id: str
    team_id: str
    user_id: str
    key_id: str
    provider: str
    model: str
    outcome: Outcome
    certainty: Certainty
    tokens: Tokens
    price: Price | None
    """None makes the entry unpriced: it is metered, and its cost is unknown, not zero."""
    start_time: datetime
    purpose: Purpose | None
    """None for an answer."""
    route: str
    """Empty for none."""
    operation: Operation
    streamed: bool
    mode: Mode | None
    """None for the model's default."""
    metadata: Mapping[str, str]
    sandbox: bool
    event: bytes
    """The event as it came, with what the ledger only passes on."""
    record_time: datetime

    rule: Rule | None = None
    """By which it is billed; None bills the cost."""

    @property
    def rating(self) -> Rating:
        return rate(self.tokens, self.price, self.rule)

    @property
    def cost_micros(self) -> int | None:
        return self.rating.cost_micros

    @property
    def currency(self) -> str:
        return self.rating.currency


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries of a tenant; empty and None match everything. Times count to the millisecond."""

    tenant_id: str
    key_id: str = ""
    user_id: str = ""
    completion_id: str = ""
    model: str = ""
    provider: str = ""
    start_time: datetime | None = None
    end_time: datetime | None = None
    purpose: Purpose | None = None
    answers_only: bool = False
    """Only entries without a purpose."""
    team_id: str = ""
    route: str = ""
    outcome: Outcome | None = None
    operation: Operation | None = None
    streamed: bool | None = None
    mode: Mode | None = None
    label: Label | None = None
    estimated: bool | None = None
    """Whether anybody but the vendor counted."""
    unpriced: bool | None = None


@dataclass(frozen=True, slots=True)
class Former:
    """How an entry was rated until somebody rated it again."""

    rating: Rating
    price: Price | None
    """None for the event's own."""
    rate_time: datetime
    replace_time: datetime
    user_id: str
    """Who replaced it."""
    key_id: str


@dataclass(frozen=True, slots=True)
class Line:
    """An entry as a query gives it."""

    event: bytes
    rating: Rating
    price: Price | None
    """By which it is rated; None for the event's own."""
    former: Sequence[Former]
    """Oldest first."""
    record_time: datetime

    @property
    def cost_micros(self) -> int | None:
        return self.rating.cost_micros


@dataclass(frozen=True, slots=True)
class Rated:
    """An entry as rating it again sees it."""

    attempt_id: str
    tenant_id: str
    provider: str
    model: str
    tokens: Tokens
    price: Price | None
    """By which it is rated."""
    is_repriced: bool
    """The price is not the event's own."""
    rating: Rating
    start_time: datetime
    rate_time: datetime
    former: Sequence[Mapping[str, Any]]
    """As they are stored."""
    certainty: int
    revision: int | None
    """How often it was rated again; None for never."""


@dataclass(frozen=True, slots=True)
class ModelTotal:
    provider: str
    model: str
    currency: str
    purpose: Purpose | None
    billed_currency: str
    attempts: int
    input_tokens: int
    output_tokens: int
    cost_micros: int
    billed_micros: int


@dataclass(frozen=True, slots=True)
class Use:
    """What one key used of one model for one team, in the currency it is billed in; empty when nothing is billed."""

    provider: str
    model: str
    team_id: str
    key_id: str
    currency: str
    attempts: int
    input_tokens: int
    output_tokens: int
    billed_micros: int
