"""What statuses, types and codes mean."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from omnix_adapter_openai.errors import error_of_status
from omnix_kit.errors import OmnixError, Reason
from openai import AsyncOpenAI

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def told(status: int, error: Any = None, **headers: str) -> OmnixError:
    response = httpx2.Response(
        status,
        json={"error": error or {}},
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        request=httpx2.Request("POST", "http://vendor/v1/chat/completions"),
    )
    client = AsyncOpenAI(api_key="sk-x", base_url="http://vendor/v1")
    return error_of_status(client._make_status_error_from_response(response), "openai", NOW)


@pytest.mark.parametrize(
    ("status", "error", "reason"),
    [
        (400, {"code": None, "param": "temperature"}, Reason.INVALID_REQUEST),
        (400, {"code": "context_length_exceeded"}, Reason.CONTEXT_TOO_LONG),
        (400, {"code": "content_filter"}, Reason.CONTENT_REFUSED),
        (401, {"code": "invalid_api_key"}, Reason.PROVIDER_AUTH_FAILED),
        (402, {}, Reason.PROVIDER_QUOTA_EXHAUSTED),
        (403, {}, Reason.PROVIDER_AUTH_FAILED),
        (403, {"code": "model_not_found"}, Reason.MODEL_NOT_FOUND),
        (404, {"code": "model_not_found"}, Reason.MODEL_NOT_FOUND),
        (408, {}, Reason.PROVIDER_TIMEOUT),
        (409, {}, Reason.PROVIDER_UNAVAILABLE),
        (413, {}, Reason.PAYLOAD_TOO_LARGE),
        (422, {}, Reason.INVALID_REQUEST),
        (429, {"code": "rate_limit_exceeded"}, Reason.RATE_LIMITED),
        (429, {"code": "insufficient_quota"}, Reason.PROVIDER_QUOTA_EXHAUSTED),
        (429, {"type": "insufficient_quota"}, Reason.PROVIDER_QUOTA_EXHAUSTED),
        (500, {}, Reason.PROVIDER_UNAVAILABLE),
        (502, {}, Reason.PROVIDER_UNAVAILABLE),
        (503, {}, Reason.PROVIDER_OVERLOADED),
        (529, {}, Reason.PROVIDER_OVERLOADED),
        (302, {}, Reason.PROVIDER_UNAVAILABLE),
    ],
)
def test_status_and_code_give_the_reason(status: int, error: dict[str, Any], reason: Reason) -> None:
    found = told(status, error)
    assert (found.reason, found.provider, found.provider_status) == (reason, "openai", status)


def test_parameter_and_sentence_of_the_vendor_are_passed_on_without_secrets() -> None:
    found = told(400, {"message": "Bad key sk-proj-abcdefghijklmnop" + "x" * 900, "param": "temperature"})
    assert found.param == "temperature"
    assert "Bad key" in found.message
    assert "ghijklmnop" not in found.message
    assert len(found.message) <= 500


def test_rate_limit_keeps_its_delay() -> None:
    assert told(429, {}, retry_after="7").retry_after == timedelta(seconds=7)


@pytest.mark.parametrize(
    "error",
    [{"type": ["a"]}, {"type": {}}, {"param": 5}, {"param": ["a"]}, {"code": {}}, {"code": 1.5}, {"message": 5}],
)
def test_refusal_of_a_strange_shape_keeps_its_status(error: dict[str, Any]) -> None:
    found = told(400, error)
    assert (found.reason, found.provider_status, found.param) == (Reason.INVALID_REQUEST, 400, None)
