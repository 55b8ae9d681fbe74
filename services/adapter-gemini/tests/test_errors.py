"""What Google's errors mean; ``data/errors.json`` says where the recorded ones are from."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from omnix_adapter_gemini import wire
from omnix_adapter_gemini.dialect import Service
from omnix_adapter_gemini.errors import Asked, error_in_band, error_of_answer
from omnix_kit.errors import OmnixError, Reason

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
RECORDED: dict[str, Any] = msgspec.json.decode((Path(__file__).parent / "data" / "errors.json").read_bytes())
DEVELOPER, CLOUD = Asked(Service.DEVELOPER), Asked(Service.CLOUD)
TYPE = "type.googleapis.com/google.rpc."


def error(status: int, body: object, asked: Asked = DEVELOPER, headers: dict[str, str] | None = None) -> OmnixError:
    encoded = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return error_of_answer(status, headers or {}, encoded, "gemini", asked, NOW)


def told(status: str, *details: dict[str, Any]) -> dict[str, Any]:
    return {"error": {"code": 1, "message": "No.", "status": status, "details": list(details)}}


def because(reason: str) -> dict[str, Any]:
    return {"@type": f"{TYPE}ErrorInfo", "reason": reason, "domain": "googleapis.com"}


@pytest.mark.parametrize(
    ("name", "reason", "retry_after", "param"),
    [
        ("wrong-key", Reason.PROVIDER_AUTH_FAILED, None, None),
        ("no-key", Reason.PROVIDER_AUTH_FAILED, None, None),
        ("unknown-field", Reason.INVALID_REQUEST, None, "generation_config"),
        ("a-minute", Reason.RATE_LIMITED, timedelta(seconds=55), None),
        ("a-day", Reason.PROVIDER_QUOTA_EXHAUSTED, None, None),
        ("prepaid-used-up", Reason.PROVIDER_QUOTA_EXHAUSTED, None, None),
        ("cloud-in-a-list", Reason.RATE_LIMITED, None, None),
    ],
)
def test_recorded_errors(name: str, reason: Reason, retry_after: timedelta | None, param: str | None) -> None:
    status = RECORDED[name]["status"]
    found = error(status, RECORDED[name]["body"])
    assert (found.reason, found.provider, found.provider_status) == (reason, "gemini", status)
    assert (found.retry_after, found.param) == (retry_after, param)
    body = RECORDED[name]["body"]
    assert found.message == (body[0] if isinstance(body, list) else body)["error"]["message"]


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (400, told("INVALID_ARGUMENT"), Reason.INVALID_REQUEST),
        (400, told("FAILED_PRECONDITION"), Reason.PROVIDER_AUTH_FAILED),
        (400, told("INVALID_ARGUMENT", because("API_KEY_INVALID")), Reason.PROVIDER_AUTH_FAILED),
        (401, told("UNAUTHENTICATED", because("ACCESS_TOKEN_EXPIRED")), Reason.PROVIDER_AUTH_FAILED),
        (402, told("RESOURCE_EXHAUSTED"), Reason.PROVIDER_QUOTA_EXHAUSTED),
        (403, told("PERMISSION_DENIED", because("SERVICE_DISABLED")), Reason.PROVIDER_AUTH_FAILED),
        (403, told("PERMISSION_DENIED", because("BILLING_DISABLED")), Reason.PROVIDER_QUOTA_EXHAUSTED),
        (404, told("NOT_FOUND"), Reason.MODEL_NOT_FOUND),
        (408, told("CANCELLED"), Reason.PROVIDER_TIMEOUT),
        (409, told("ABORTED"), Reason.PROVIDER_UNAVAILABLE),
        (413, b"", Reason.PAYLOAD_TOO_LARGE),
        (429, told("RESOURCE_EXHAUSTED"), Reason.RATE_LIMITED),
        (429, told("RESOURCE_EXHAUSTED", because("RESOURCE_QUOTA_EXCEEDED")), Reason.PROVIDER_QUOTA_EXHAUSTED),
        (
            429,
            told("RESOURCE_EXHAUSTED", {"@type": f"{TYPE}QuotaFailure", "violations": [{"quotaValue": "0"}]}),
            Reason.PROVIDER_QUOTA_EXHAUSTED,
        ),
        (499, told("CANCELLED"), Reason.PROVIDER_UNAVAILABLE),
        (500, told("INTERNAL"), Reason.PROVIDER_UNAVAILABLE),
        (501, told("UNIMPLEMENTED"), Reason.INVALID_REQUEST),
        (502, b"<html>Bad gateway</html>", Reason.PROVIDER_UNAVAILABLE),
        (503, told("UNAVAILABLE"), Reason.PROVIDER_OVERLOADED),
        (504, told("DEADLINE_EXCEEDED"), Reason.PROVIDER_TIMEOUT),
        (302, b"", Reason.PROVIDER_UNAVAILABLE),
        (429, {"error": {"details": [{"violations": [{"subject": 1, "quotaId": 5}]}, 7]}}, Reason.RATE_LIMITED),
        (500, b"[]", Reason.PROVIDER_UNAVAILABLE),
        (500, b"[" * 10_000, Reason.PROVIDER_UNAVAILABLE),
    ],
)
def test_status_and_details_tell(status: int, body: object, reason: Reason) -> None:
    found = error(status, body)
    assert (found.reason, found.provider_status) == (reason, status)


def test_precondition_of_google_cloud_is_the_requests() -> None:
    assert error(400, told("FAILED_PRECONDITION"), CLOUD).reason is Reason.INVALID_REQUEST


def test_resource_that_the_caller_named_says_nothing_of_the_credential() -> None:
    asked = Asked(Service.DEVELOPER, resource="cachedContent")
    for status, name in ((403, "PERMISSION_DENIED"), (404, "NOT_FOUND")):
        found = error(status, told(name), asked)
        assert (found.reason, found.param) == (Reason.INVALID_REQUEST, "cachedContent")
    assert error(400, told("FAILED_PRECONDITION"), asked).reason is Reason.INVALID_REQUEST
    assert error(403, told("PERMISSION_DENIED", because("SERVICE_DISABLED")), asked).reason is (
        Reason.PROVIDER_AUTH_FAILED
    )


@pytest.mark.parametrize(
    ("tokens", "limit", "body", "reason"),
    [
        (1_000_000, 1_048_576, told("INVALID_ARGUMENT"), Reason.CONTEXT_TOO_LONG),
        (600_000, 1_048_576, told("INVALID_ARGUMENT"), Reason.CONTEXT_TOO_LONG),
        (400_000, 1_048_576, told("INVALID_ARGUMENT"), Reason.INVALID_REQUEST),
        (9_000_000, None, told("INVALID_ARGUMENT"), Reason.INVALID_REQUEST),
        (
            1_000_000,
            1_048_576,
            told("INVALID_ARGUMENT", {"@type": f"{TYPE}BadRequest", "fieldViolations": [{"field": "contents"}]}),
            Reason.INVALID_REQUEST,
        ),
    ],
)
def test_refused_prompt_that_is_near_the_models_limit_is_too_long(
    tokens: int, limit: int | None, body: object, reason: Reason
) -> None:
    assert error(400, body, Asked(Service.DEVELOPER, tokens, limit)).reason is reason


@pytest.mark.parametrize(
    ("delay", "headers", "expected"),
    [
        ("34.074824224s", {}, timedelta(seconds=34.074824224)),
        ("0s", {}, timedelta(0)),
        ("1.5s", {"retry-after": "9"}, timedelta(seconds=1.5)),
        ("soon", {"retry-after": "9"}, timedelta(seconds=9)),
        ("-1s", {}, None),
        ("1e99s", {}, None),
        ("nans", {}, None),
        ("5", {}, None),
    ],
)
def test_delay_is_taken_from_the_body_or_the_head(
    delay: str, headers: dict[str, str], expected: timedelta | None
) -> None:
    body = told("UNAVAILABLE", {"@type": f"{TYPE}RetryInfo", "retryDelay": delay})
    assert error(503, body, headers=headers).retry_after == expected


def test_error_inside_a_stream_has_no_status_of_the_answer() -> None:
    found = error_in_band(wire.Error(503, "busy", "UNAVAILABLE"), "gemini", DEVELOPER)
    assert (found.reason, found.provider_status, found.message) == (Reason.PROVIDER_OVERLOADED, None, "busy")
    assert error_in_band(wire.Error(), "gemini", DEVELOPER).reason is Reason.PROVIDER_UNAVAILABLE


def test_key_in_a_message_is_not_told() -> None:
    key = "AIza" + "x" * 35
    body = {"error": {"message": f"The key {key} is blocked."}}
    assert key not in error(403, body).message
