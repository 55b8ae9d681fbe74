"""Durations and times as people write them."""

from datetime import UTC, datetime, timedelta

import pytest
from omnix_cli import listings
from omnix_cli.errors import UsageError

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
