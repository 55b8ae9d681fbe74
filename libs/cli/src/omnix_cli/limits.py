"""Limits as tables."""

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec
from rich.table import Table


class Limit(msgspec.Struct):
    id: str
    subject: str
    kind: str
    enforcement: str
    subject_id: str | None = None
    model: str | None = None
    amount: int | None = None
    cost: str | None = None

    @property
    def how_much(self) -> str:
        return f"${self.cost}" if self.cost is not None else f"{self.amount:,}"


class LimitList(msgspec.Struct):
    data: list[Limit]


class Usage(msgspec.Struct):
    limit: Limit
    subject_id: str | None = None
    used: int | None = None
    used_cost: str | None = None
    resets_at: int | None = None

    @property
    def how_much(self) -> str:
        return f"${self.used_cost}" if self.used_cost is not None else f"{self.used:,}"


class UsageList(msgspec.Struct):
    data: list[Usage]


def listed(limits: Iterable[Limit]) -> Table:
    table = Table("id", "of", "models", "kind", box=None, pad_edge=False)
    table.add_column("limit", justify="right")
    table.add_column("")
    for limit in limits:
        table.add_row(
            limit.id, _of(limit, limit.subject_id), limit.model or "all", limit.kind, limit.how_much, limit.enforcement
        )
    return table


def used(usages: Iterable[Usage]) -> Table:
    table = Table("id", "of", "models", "kind", box=None, pad_edge=False)
    table.add_column("used", justify="right")
    table.add_column("limit", justify="right")
    table.add_column("begins anew")
    for usage in usages:
        limit = usage.limit
        anew = "" if usage.resets_at is None else datetime.fromtimestamp(usage.resets_at, UTC).isoformat(" ", "seconds")
        table.add_row(
            limit.id,
            _of(limit, usage.subject_id),
            limit.model or "all",
            limit.kind,
            usage.how_much,
            limit.how_much,
            anew,
        )
    return table


def _of(limit: Limit, subject_id: str | None) -> str:
    return limit.subject if subject_id is None else f"{limit.subject} {subject_id}"
