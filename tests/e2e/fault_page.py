"""Writes the tables of faults as a page: ``cd tests && python -m e2e.fault_page``."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

from e2e.fault_table import (
    CONNECTIONS,
    CONTENTS,
    REFUSALS,
    SHORT_LIMITS,
    STATUSES,
    Broken,
    Fault,
    Refused,
    Seen,
    Vendor,
    Whole,
)
from e2e.rescue_table import BEFORE, CONTINUED, MIDDLE, End, Rescue

PAGE = Path(__file__).with_name("FAULTS.md")

_NAMES = {
    Vendor.OPENAI: "OpenAI",
    Vendor.BEDROCK: "Bedrock",
    Vendor.GEMINI: "Gemini",
    Vendor.HUGGINGFACE: "Hugging Face",
}
_PARTS: Sequence[tuple[str, Sequence[Fault]]] = (
    ("The vendor answers with a status", STATUSES),
    ("The vendor does not accept the request", REFUSALS),
    ("The connection", CONNECTIONS),
    ("What is sent", CONTENTS),
)

_RESCUES: Sequence[tuple[str, Sequence[Rescue]]] = (
    ("Before the first content", BEFORE),
    ("In the middle; the other gives the whole answer again", MIDDLE),
    ("In the middle; the other continues, refuses to, or says something else", CONTINUED),
)


def page() -> str:
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    faults = [fault for _, part in _PARTS for fault in part]
    yield "# What callers see when a vendor fails"
    yield ""
    yield "Written by `python -m e2e.fault_page` from `fault_table.py`; `test_faults.py` holds the whole suite to it."
    yield (
        f"{len(faults)} faults × {len(Vendor)} vendors, unary and streamed: "
        f"{len(faults) * len(Vendor) * 2} cells, each checked at the caller, in the ledger and in the vendor's record."
    )
    yield ""
    yield "- A fault is in the words of the [sandbox](../../libs/sandbox/README.md); `after-5` is after five tokens."
    yield (
        "- In the first tables the model is the only target of its route, so ×1 and ×2 are how often the vendor is "
        "called: by the [router's rules](../../services/router/README.md#after-a-failure) the same target is tried "
        "once more, or not at all."
    )
    yield "- An error after the first token ends the stream as an event, with status 200 and without a finish reason."
    yield f"- ⏱ is asked for by a route with short limits: {_limits()}. A unary answer knows none but the deadline."
    yield "- Each call is an entry of the ledger, with the error that the caller sees. Refusals by status cost nothing."
    yield "- A vendor named in the next lines differs; all others do as the row says."
    yield "- Embeddings fail as unary answers do, except that Bedrock and Gemini have no filter for them."
    for title, part in _PARTS:
        yield ""
        yield f"## {title}"
        yield ""
        yield "| fault | the vendor | unary | streamed |"
        yield "|---|---|---|---|"
        for fault in part:
            yield from _rows(fault)
    yield from _rescues()


def _rescues() -> Iterator[str]:
    yield ""
    yield "## Another target stands by"
    yield ""
    yield (
        "Written from `rescue_table.py`; `test_rescue.py` holds the suite to it, at the caller, in the ledger and at "
        "both vendors. The calls are those of the target that fails, and of the other one. Before its first content an "
        "attempt has told nothing; after it the next attempt goes on with what the caller has, or gives it again and "
        "it is left out."
    )
    for title, part in _RESCUES:
        yield ""
        yield f"### {title}"
        yield ""
        yield "| fault | the vendor | calls | unary | streamed |"
        yield "|---|---|---|---|---|"
        for rescue in part:
            unary = "" if rescue.unary is None else _ended(rescue.unary, rescue.code)
            yield (
                f"| `{rescue.words}` | {rescue.what} | {rescue.calls} + {rescue.others} | {unary} | "
                f"{_ended(rescue.end, rescue.code)} |"
            )


def _ended(end: End, code: str) -> str:
    return f"{end.value}: `{code}`" if code else end.value


def _limits() -> str:
    return ", ".join(f"`{name}` {limit}" for name, limit in SHORT_LIMITS.items())


def _rows(fault: Fault) -> Iterator[str]:
    mark = " ⏱" if fault.impatient else ""
    yield f"| `{fault.words}`{mark} | {fault.what} | {_told(fault.unary)} | {_told(fault.streamed)} |"
    for vendor, differently in fault.differently.items():
        unary = "" if differently.unary is None else _told(differently.unary)
        streamed = "" if differently.streamed is None else _told(differently.streamed)
        yield f"| ↳ {_NAMES[vendor]} | {differently.because} | {unary} | {streamed} |"


def _told(seen: Seen) -> str:
    match seen:
        case Whole(calls):
            return f"the whole answer ×{calls}"
        case Broken(code, calls):
            return f"its beginning, then `{code}` ×{calls}"
        case Refused(status, code, retry_after, calls):
            wait = "" if retry_after is None else f", come again in {_time(retry_after)}"
            return f"{status} `{code}`{wait} ×{calls}"


def _time(delay: timedelta) -> str:
    seconds = delay.total_seconds()
    return f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1000:g} ms"


if __name__ == "__main__":
    PAGE.write_text(page())
