"""Headers that tell how an answer came about, the same for chat and embeddings."""

import re
from collections.abc import Sequence
from typing import Final, Protocol

from omnix_gateway.chat.answer import decimal
from omnix_gateway.http.exchange import Headers

_LONGEST: Final = 500
_NOT_IN_A_HEADER: Final = re.compile(r"[^ -~]+")


class Report(Protocol):
    """One attempt."""

    provider: str
    model: str
    error_reason: str


def answered_by(model: str, reports: Sequence[Report], *, sandbox: bool) -> Headers:
    """Who answered, after how many attempts, and what became of the others."""
    headers: Headers = [(b"x-omnix-model", model.encode()), (b"x-omnix-attempts", b"%d" % len(reports))]
    errors = ", ".join(
        f"{report.provider}/{report.model}={report.error_reason.lower()}" for report in reports if report.error_reason
    )
    if errors:
        headers.append((b"x-omnix-attempt-errors", errors.encode()))
    if sandbox:
        headers.append((b"x-omnix-sandbox", b"true"))
    return headers


def cost(micros: int) -> Headers:
    return [(b"x-omnix-cost", decimal(micros).encode()), (b"x-omnix-cost-micros", b"%d" % micros)]


def header_text(text: str) -> bytes:
    """A sentence for people, in what a header may hold."""
    return _NOT_IN_A_HEADER.sub("?", text)[:_LONGEST].encode("ascii")
