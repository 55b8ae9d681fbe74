"""How providers fare, as it is shown."""

from io import StringIO

import msgspec
from omnix_cli import wellbeing
from rich.console import Console
from rich.table import Table

SINCE = "2026-05-06T07:08:09Z"
KNOWN = [
    {
        "provider": "openai",
        "state": "degraded",
        "since_time": SINCE,
        "why": "gpt-4o: 5 failures in a row",
        "targets": [
            {"model": "gpt-4o", "circuit": "half_open", "since_time": SINCE, "why": "5 failures in a row"}
            | {"calls": 20, "error_rate": 0.25, "first_content_seconds": None},
            {"model": "gpt-4.1", "circuit": "closed", "calls": 0, "error_rate": None}
            | {"first_content_seconds": {"p50": 0.254, "p95": 1.5}},
        ],
        "history": [
            {"time": "2026-05-06T07:08:09Z", "model": "gpt-4o", "circuit": "open", "why": "5 failures in a row"},
            {"time": "2026-05-06T07:09:09Z", "model": "gpt-4o", "circuit": "closed", "why": "it answered again"},
        ],
    },
    {"provider": "other", "state": "unknown", "sandbox": True},
]


def shown(table: Table) -> list[str]:
    """The rows, blanks made one."""
    out = StringIO()
    Console(file=out, width=400).print(table)
    return [" ".join(line.split()) for line in out.getvalue().splitlines()][1:]


def known() -> list[wellbeing.Provider]:
    return msgspec.json.decode(msgspec.json.encode(KNOWN), type=list[wellbeing.Provider])


def test_states_show_providers_and_their_models() -> None:
    assert shown(wellbeing.states(known())) == [
        f"openai degraded {SINCE} gpt-4o: 5 failures in a row",
        f"gpt-4o half open 20 25.0% {SINCE} 5 failures in a row",
        "gpt-4.1 closed 0 0.25 s, 95 % 1.50 s",
        "other SANDBOX unknown",
    ]


def test_changes_show_the_newest_first() -> None:
    assert shown(wellbeing.changes(known())) == [
        "2026-05-06T07:09:09Z openai/gpt-4o closed it answered again",
        "2026-05-06T07:08:09Z openai/gpt-4o open 5 failures in a row",
    ]
