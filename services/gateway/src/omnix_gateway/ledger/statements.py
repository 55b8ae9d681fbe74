"""Statements as the API tells them."""

from typing import Literal

from msgspec import Struct


class StatementTotal(Struct, kw_only=True):
    """What is to be paid in one currency: `billed` and `adjustments`, less `credits`; also in millionths."""

    currency: str
    billed: str
    billed_micros: int
    adjustments: str
    adjustment_micros: int
    credits: str
    credit_micros: int
    due: str
    due_micros: int


class StatementLine(Struct, kw_only=True):
    """What one model, team or key used; `name` is null for none. Without a currency nothing is billed for it."""

    name: str | None
    currency: str | None
    attempts: int
    input_tokens: int
    output_tokens: int
    billed: str | None
    billed_micros: int | None


class StatementAdjustment(Struct, kw_only=True):
    """By how much a month that was closed before changed."""

    month: str
    currency: str
    amount: str
    amount_micros: int


class Statement(Struct, kw_only=True):
    """What is billed for attempts that began in a month (UTC). While `status` is `open` it may change."""

    object: Literal["statement"] = "statement"
    month: str
    status: Literal["open", "closed"]
    close_time: str | None
    closed_by: str | None
    totals: list[StatementTotal]
    models: list[StatementLine]
    teams: list[StatementLine]
    keys: list[StatementLine]
    adjustments: list[StatementAdjustment]
