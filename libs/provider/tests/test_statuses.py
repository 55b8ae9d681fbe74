"""What statuses mean, and what is kept of a vendor's words."""

from datetime import UTC, datetime, timedelta

import pytest
from omnix_kit.errors import Reason
from omnix_kit.secrets import without_secrets
from omnix_provider import statuses
from omnix_provider.statuses import error_of_status, readable, retry_delay

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, Reason.INVALID_REQUEST),
        (401, Reason.PROVIDER_AUTH_FAILED),
        (402, Reason.PROVIDER_QUOTA_EXHAUSTED),
        (403, Reason.PROVIDER_AUTH_FAILED),
        (404, Reason.MODEL_NOT_FOUND),
        (408, Reason.PROVIDER_TIMEOUT),
        (409, Reason.PROVIDER_UNAVAILABLE),
        (413, Reason.PAYLOAD_TOO_LARGE),
        (422, Reason.INVALID_REQUEST),
        (429, Reason.RATE_LIMITED),
        (500, Reason.PROVIDER_UNAVAILABLE),
        (503, Reason.PROVIDER_OVERLOADED),
        (529, Reason.PROVIDER_OVERLOADED),
        (302, Reason.PROVIDER_UNAVAILABLE),
    ],
)
def test_status_gives_the_reason(status: int, reason: Reason) -> None:
    found = error_of_status(status, "No.", "openai")
    assert (found.reason, found.provider, found.provider_status) == (reason, "openai", status)


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503, 529])
def test_delay_is_kept_where_coming_again_helps(status: int) -> None:
    delay = timedelta(seconds=7)
    assert error_of_status(status, "No.", "openai", retry_after=delay).retry_after == delay


@pytest.mark.parametrize(
    ("headers", "delay"),
    [
        ({"retry-after": "2"}, timedelta(seconds=2)),
        ({"retry-after": "0.5"}, timedelta(seconds=0.5)),
        ({"retry-after-ms": "250", "retry-after": "9"}, timedelta(milliseconds=250)),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:30 GMT"}, timedelta(seconds=30)),
        ({"retry-after": "Sun, 22 Nov 2020 12:00:30 GMT"}, timedelta(0)),
        ({"retry-after": "-3"}, timedelta(0)),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "Sun, 22 Nov 99999999999999999999 12:00:30 GMT"}, None),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:30 +99999999999999999999"}, None),
        ({}, None),
    ],
)
def test_retry_delay_is_read_in_every_form(headers: dict[str, str], delay: timedelta | None) -> None:
    assert retry_delay(headers, NOW) == delay


def test_only_the_beginning_of_a_large_message_is_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_through: list[str] = []

    def looking(text: str) -> str:
        looked_through.append(text)
        return without_secrets(text)

    monkeypatch.setattr(statuses, "without_secrets", looking)
    message = readable("x" * 490 + " sk-proj-abcdefghijklmnop " + "x" * 60_000, "")
    assert [len(text) for text in looked_through] == [1000]
    assert message == "x" * 490 + " sk-proj-a"[: 500 - 490]


def test_vendor_that_says_nothing_has_words_found_for_it() -> None:
    assert readable("", "The provider answered with status 500.") == "The provider answered with status 500."
