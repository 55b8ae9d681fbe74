"""Headers that tell how an answer came about, the same for chat and embeddings."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Protocol

from omnix_gateway.chat.answer import decimal
from omnix_gateway.http.exchange import Exchange, Headers

REPLAYED: Final = (b"idempotent-replayed", b"true")
_LONGEST: Final = 500
_SHORTEST: Final = timedelta(milliseconds=1)
_NOT_IN_A_HEADER: Final = re.compile(r"[^ -~]+")


class Report(Protocol):
    """One attempt."""

    provider: str
    model: str
    error_reason: str


def answered_by(model: str, reports: Sequence[Report], *, sandbox: bool, route: str, policy: str) -> Headers:
    """Who answered, by which route and policy, after how many attempts, and what became of the others."""
    headers: Headers = [(b"x-omnix-model", model.encode()), (b"x-omnix-attempts", b"%d" % len(reports))]
    errors = ", ".join(
        f"{report.provider}/{report.model}={report.error_reason.lower()}" for report in reports if report.error_reason
    )
    if errors:
        headers.append((b"x-omnix-attempt-errors", errors.encode()))
    if route:
        headers.append((b"x-omnix-route", header_text(route)))
    if policy:
        headers.append((b"x-omnix-policy", policy.encode()))
    if sandbox:
        headers.append((b"x-omnix-sandbox", b"true"))
    return headers


def left(within: timedelta | None, exchange: Exchange) -> timedelta | None:
    """What is left of the time that the caller gave, after its body and its media were read."""
    if within is None:
        return None
    return max(within - timedelta(milliseconds=exchange.milliseconds), _SHORTEST)


def cost(micros: int) -> Headers:
    return [(b"x-omnix-cost", decimal(micros).encode()), (b"x-omnix-cost-micros", b"%d" % micros)]


def header_text(text: str) -> bytes:
    """A sentence for people, in what a header may hold."""
    return _NOT_IN_A_HEADER.sub("?", text)[:_LONGEST].encode("ascii")
