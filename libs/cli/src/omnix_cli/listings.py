"""What the API lists, as tables: models, keys, usage."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec
from rich.table import Table

from omnix_cli.api import Gateway
from omnix_cli.errors import UsageError

_DURATION = re.compile(r"(\d+)\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Pricing(msgspec.Struct):
    currency: str
    input: str
    output: str
    tiers: list[msgspec.Raw] = []


class Reasoning(msgspec.Struct):
    modes: list[str] = []


class Model(msgspec.Struct):
    id: str
    owned_by: str = ""
    context_window: int | None = None
    pricing: Pricing | None = None
    reasoning: Reasoning | None = None
    capabilities: list[str] = []
    sandbox: bool = False
    aliases: list[str] = []

    @property
    def embeds(self) -> bool:
        return "embeddings" in self.capabilities


class Key(msgspec.Struct):
    id: str
    name: str
    role: str
    hint: str = ""
    created_at: int | None = None
    expires_at: int | None = None
    revoked_at: int | None = None


class NewKey(Key):
    key: str = ""


class Stream(msgspec.Struct):
    id: str
    created_at: int
    requested_model: str
    model: str
    attempt: int
    key_id: str
    user_id: str | None = None


class StreamPage(msgspec.Struct):
    data: list[Stream]
    has_more: bool = False


class Entry(msgspec.Struct):
    completion_id: str
    provider: str
    model: str
    outcome: str
    input_tokens: int
    output_tokens: int
    start_time: str
    estimated: bool = False
    cost: str | None = None
    currency: str | None = None
    operation: str = "chat"
    cached_input_tokens: int = 0
    sandbox: bool = False

    @property
    def embeds(self) -> bool:
        return self.operation == "embeddings"


class _Page(msgspec.Struct):
    data: list[msgspec.Raw]
    next_page_token: str | None = None


def pages(gateway: Gateway, path: str, limit: int, params: Mapping[str, str] | None = None) -> list[msgspec.Raw]:
    """The first entries of a listing, each as the gateway wrote it."""
    found: list[msgspec.Raw] = []
    token: dict[str, str] = {}
    while len(found) < limit:
        asked: dict[str, str | int] = {**(params or {}), **token, "limit": min(limit - len(found), 1000)}
        page = gateway.call("GET", path, _Page, params=asked)
        found += page.data
        if not page.next_page_token:  # a page may be empty and have a next one
            break
        token = {"page_token": page.next_page_token}
    return found[:limit]


def all_of(gateway: Gateway, path: str, params: Mapping[str, str] | None = None) -> list[msgspec.Raw]:
    """A listing that has no pages."""
    return gateway.call("GET", path, _Page, params=dict(params or {})).data


class _Attempts(msgspec.Struct):
    attempts: int


def attempts(gateway: Gateway, params: Mapping[str, str]) -> int:
    """How many entries of the ledger there are."""
    return sum(gateway.decode(raw, _Attempts).attempts for raw in all_of(gateway, "/v1/usage/summary", params))


def models(found: list[Model]) -> Table:
    """A price with a ``+`` rises with the prompt's length; ``--json`` tells how."""
    table = table_of("model", "short names", "by", ">context", ">in /1M", ">out /1M", "modes", "")
    for model in found:
        price = model.pricing
        more = "+" if price is not None and price.tiers else ""
        notes = [word for word, holds in (("embeddings", model.embeds), ("SANDBOX", model.sandbox)) if holds]
        table.add_row(
            model.id,
            ", ".join(model.aliases),
            model.owned_by,
            "" if model.context_window is None else f"{model.context_window:,}",
            "" if price is None else f"{_short(price.input)} {price.currency}{more}",
            "" if price is None else f"{_short(price.output)} {price.currency}{more}",
            "" if model.reasoning is None else ", ".join(model.reasoning.modes),
            ", ".join(notes),
        )
    return table


class Chosen(msgspec.Struct):
    id: str
    score: float
    cost: str | None = None
    quality: float | None = None
    first_content_ms: float | None = None
    sandbox: bool = False


class Selection(msgspec.Struct):
    data: list[Chosen]
    rejected: dict[str, int] = {}
    recommendation: str | None = None


def selection(found: Selection) -> Table:
    table = table_of("model", ">score", ">a request", ">quality", ">first content", "")
    for chosen in found.data:
        table.add_row(
            chosen.id,
            f"{chosen.score:.1f}",
            "" if chosen.cost is None else f"{_short(chosen.cost)} USD",
            "" if chosen.quality is None else f"{chosen.quality:g}",
            "" if chosen.first_content_ms is None else f"{chosen.first_content_ms:.0f} ms",
            "SANDBOX" if chosen.sandbox else "",
        )
    return table


def counted(rejected: Mapping[str, int]) -> str:
    return ", ".join(f"{count} for {lack}" for lack, count in rejected.items()) or "none"


def keys(found: list[Key], now: datetime) -> Table:
    table = table_of("id", "name", "role", "key", "created", "expires", "state")
    for key in found:
        expired = key.expires_at is not None and key.expires_at <= now.timestamp()
        state = "revoked" if key.revoked_at else "expired" if expired else "valid"
        table.add_row(key.id, key.name, key.role, key.hint, _day(key.created_at), _day(key.expires_at), state)
    return table


def streams(found: list[Stream], now: datetime) -> Table:
    table = table_of("id", "model", "asked for", ">attempt", ">since", "key", "user")
    for stream in found:
        seconds = max(round(now.timestamp() - stream.created_at), 0)
        table.add_row(
            stream.id,
            stream.model,
            stream.requested_model,
            str(stream.attempt),
            f"{seconds} s",
            stream.key_id,
            stream.user_id or "",
        )
    return table


def usage(found: list[Entry]) -> Table:
    table = table_of("started", "model", "outcome", ">in", ">cached", ">out", ">cost", "completion", "")
    for entry in found:
        words = (("estimated", entry.estimated), ("embeddings", entry.embeds), ("SANDBOX", entry.sandbox))
        notes = [word for word, holds in words if holds]
        table.add_row(
            entry.start_time,
            f"{entry.provider}/{entry.model}",
            entry.outcome.lower(),
            str(entry.input_tokens),
            str(entry.cached_input_tokens),
            str(entry.output_tokens),
            "unpriced" if entry.cost is None else f"{entry.cost} {entry.currency or ''}",
            entry.completion_id,
            ", ".join(notes),
        )
    return table


def duration(text: str) -> timedelta:
    """Read ``30d``, ``12h``, ``90m``.

    :raises UsageError: for anything else.
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{text!r} is not a duration such as 30d, 12h or 90m")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def since(text: str, now: datetime, option: str = "--since") -> str:
    """Read a duration before now, a day or a time, and write it as RFC 3339."""
    if _DURATION.fullmatch(text.strip()):
        return _rfc3339(now - duration(text))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise UsageError(f"{option} {text!r} is neither a duration such as 12h nor a time such as 2026-01-31") from exc
    return _rfc3339(moment.astimezone(UTC))


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _day(seconds: int | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _short(amount: str) -> str:
    """Without the zeros at the end, which say nothing of a price for a million."""
    return amount.rstrip("0").rstrip(".") if "." in amount else amount


def table_of(*columns: str) -> Table:
    """A column that begins with ``>`` is set to the right. On narrow screens words are folded, and no number is cut."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        right = column.startswith(">")
        table.add_column(column.removeprefix(">"), justify="right" if right else "left", no_wrap=right, overflow="fold")
    return table
