"""Rating the ledger again: ``omnix usage rerate``."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.table import Table

from omnix_cli.api import ApiError, Gateway, LostError
from omnix_cli.errors import UsageError
from omnix_cli.listings import table_of

PATH: Final = "/v1/usage/rerate"
_TRIES: Final = 6
_FIRST_PAUSE: Final = 0.5
_BUSY: Final = frozenset({409, 429, 502, 503, 504})


class Total(msgspec.Struct):
    currency: str
    former_cost_micros: int
    cost_micros: int
    former_billed_micros: int
    billed_micros: int


class _Page(msgspec.Struct):
    looked_at: int
    changed: int
    totals: list[Total]
    next_page_token: str | None = None


@dataclass
class Done:
    """What became of all pages."""

    looked_at: int = 0
    changed: int = 0
    totals: dict[str, Total] = field(default_factory=dict)

    def add(self, page: _Page) -> None:
        self.looked_at += page.looked_at
        self.changed += page.changed
        for total in page.totals:
            known = self.totals.setdefault(total.currency, Total(total.currency, 0, 0, 0, 0))
            known.former_cost_micros += total.former_cost_micros
            known.cost_micros += total.cost_micros
            known.former_billed_micros += total.former_billed_micros
            known.billed_micros += total.billed_micros


def prices_of(given: str) -> object:
    """``catalogue``, ``recorded``, or what a JSON file holds: a list of prices as the API takes them.

    :raises UsageError: when it is neither.
    """
    if given in ("catalogue", "recorded"):
        return given
    try:
        prices = json.loads(Path(given).read_text("utf-8"))
    except OSError as exc:
        raise UsageError(f"--prices {given} is neither catalogue nor recorded, and no file: {exc.strerror}") from exc
    except (ValueError, RecursionError) as exc:
        raise UsageError(f"--prices {given} is no JSON: {exc}") from exc
    if not isinstance(prices, list):
        raise UsageError(f"--prices {given} holds no list of prices")
    return prices


def rerate(
    gateway: Gateway,
    wish: Mapping[str, Any],
    told: Callable[[int], None],
    pause: Callable[[float], None] = time.sleep,
) -> Done:
    """Rate page after page. A page whose answer was lost is asked for again: what was done is not done twice.

    :param told: called with the number of entries that were looked at, after every page.
    """
    done, token = Done(), None
    while True:
        page = _page(gateway, {**wish, **({"page_token": token} if token else {})}, pause)
        done.add(page)
        told(done.looked_at)
        token = page.next_page_token
        if not token:
            return done


def _page(gateway: Gateway, body: Mapping[str, Any], pause: Callable[[float], None]) -> _Page:
    failures = 0
    while True:
        try:
            return gateway.call("POST", PATH, _Page, body=body)
        except LostError:
            failures += 1
            if failures == _TRIES:
                raise
        except ApiError as exc:
            failures += 1
            if exc.status not in _BUSY or failures == _TRIES:
                raise
        pause(_FIRST_PAUSE * 2 ** (failures - 1))


def shown(done: Done) -> Table:
    table = table_of("currency", ">cost before", ">after", ">billed before", ">after", ">difference")
    for total in done.totals.values():
        amounts = (
            total.former_cost_micros,
            total.cost_micros,
            total.former_billed_micros,
            total.billed_micros,
            total.billed_micros - total.former_billed_micros,
        )
        table.add_row(total.currency, *(_decimal(amount) for amount in amounts))
    return table


def _decimal(micros: int) -> str:
    whole, rest = divmod(abs(micros), 1_000_000)
    return f"{'-' if micros < 0 else ''}{whole}.{rest:06}"
