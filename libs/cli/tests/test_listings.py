"""Durations and times as people write them, and tables as they are shown."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import msgspec
import pytest
from omnix_cli import listings
from omnix_cli.errors import UsageError
from rich.console import Console
from rich.table import Table

NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)


@pytest.mark.parametrize(("text", "meant"), [("30d", timedelta(days=30)), ("12h", timedelta(hours=12))])
def test_duration_is_read(text: str, meant: timedelta) -> None:
    assert listings.duration(text) == meant


@pytest.mark.parametrize("text", ["", "soon", "3", "-1d", "1.5h"])
def test_other_text_is_refused_as_duration(text: str) -> None:
    with pytest.raises(UsageError, match="is not a duration"):
        listings.duration(text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1h", "2026-05-06T06:08:09Z"),
        ("2026-01-31T00:00:00+01:00", "2026-01-30T23:00:00Z"),
        ("2026-01-31T10:00:00Z", "2026-01-31T10:00:00Z"),
    ],
)
def test_since_is_a_time_or_how_long_ago(text: str, meant: str) -> None:
    assert listings.since(text, NOW) == meant


def test_since_of_no_known_form_is_refused() -> None:
    with pytest.raises(UsageError, match="--since 'yesterday'"):
        listings.since("yesterday", NOW)


def shown(table: Table) -> list[str]:
    """The rows, blanks made one."""
    out = StringIO()
    Console(file=out, width=400).print(table)
    return [" ".join(line.split()) for line in out.getvalue().splitlines()]


def test_narrow_screen_cuts_no_number_and_no_name() -> None:
    model = {
        "id": "bedrock/global.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "aliases": ["global.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"],
        "owned_by": "bedrock",
        "context_window": 200_000,
        "pricing": {"currency": "USD", "input": "3.000000", "output": "15.000000", "tiers": [{}]},
        "reasoning": {"modes": ["flash", "think", "ultra-think"]},
    }
    screen = StringIO()
    known = msgspec.json.decode(msgspec.json.encode([model]), type=list[listings.Model])
    Console(file=screen, width=80).print(listings.models(known))
    written = screen.getvalue()
    assert "…" not in written
    assert "200,000  3 USD+  15 USD+" in written


def test_models_show_prices_that_rise_modes_and_what_embeds() -> None:
    known = [
        {
            "id": "gemini/gemini-2.5-pro",
            "owned_by": "google",
            "context_window": 1_048_576,
            "pricing": {"currency": "USD", "input": "1.250000", "output": "10.000000", "tiers": [{}]},
            "reasoning": {"modes": ["think", "ultra-think"]},
        },
        {"id": "openai/e", "pricing": {"currency": "USD", "input": "0.020000", "output": "0"}, "reasoning": None}
        | {"capabilities": ["embeddings"], "sandbox": True},
    ]
    rows = shown(listings.models(msgspec.json.decode(msgspec.json.encode(known), type=list[listings.Model])))
    assert rows[1:] == [
        "gemini/gemini-2.5-pro google 1,048,576 1.25 USD+ 10 USD+ think, ultra-think",
        "openai/e 0.02 USD 0 USD embeddings, SANDBOX",
    ]


def test_usage_shows_what_was_cached_and_what_was_asked() -> None:
    entry = {
        "completion_id": "embd-1",
        "provider": "openai",
        "model": "e",
        "outcome": "succeeded",
        "input_tokens": 9,
        "output_tokens": 0,
        "cached_input_tokens": 4,
        "start_time": "then",
        "operation": "embeddings",
        "cost": "0.000001",
        "currency": "USD",
    }
    rows = shown(listings.usage([msgspec.convert(entry, listings.Entry)]))
    assert rows[1] == "then openai/e succeeded 9 4 0 0.000001 USD embd-1 embeddings"


def test_selection_shows_what_is_known_of_each_model() -> None:
    raw = {
        "data": [
            {"id": "a/b", "score": 76.54, "cost": "0.000350", "quality": 75.3, "first_content_ms": 250.4},
            {"id": "c/d", "score": 1, "cost": None, "quality": None, "first_content_ms": None, "sandbox": True},
        ]
    }
    rows = shown(listings.selection(msgspec.json.decode(msgspec.json.encode(raw), type=listings.Selection)))
    assert [row for row in rows if row.startswith(("a/b", "c/d"))] == [
        "a/b 76.5 0.00035 USD 75.3 250 ms",
        "c/d 1.0 SANDBOX",
    ]
    assert listings.counted({"cost": 3, "mode": 1}) == "3 for cost, 1 for mode"
