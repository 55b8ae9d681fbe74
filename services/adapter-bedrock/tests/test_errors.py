"""What AWS's errors mean, by type and status and never by text."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from multidict import CIMultiDict
from omnix_adapter_bedrock import wire
from omnix_adapter_bedrock.errors import error_in_band, error_of_answer, error_type, tells_of_stale_credentials
from omnix_adapter_bedrock.translate import InBandError
from omnix_kit.errors import OmnixError
from omnix_provider.errors import (
    AuthFailed,
    Failed,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    PayloadTooLarge,
    QuotaExhausted,
    RateLimited,
    Refused,
    TimedOut,
    Unavailable,
)

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def told(
    status: int, kind: str = "", body: bytes = b'{"message":"No."}', headers: Mapping[str, str] | None = None
) -> OmnixError:
    named = CIMultiDict(headers or {})
    if kind:
        named["x-amzn-ErrorType"] = f"{kind}:http://internal.amazon.com/coral/com.amazon.bedrock/"
    return error_of_answer(status, named, body, "bedrock", NOW)


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (400, "ValidationException", InvalidRequest),
        (400, "ServiceQuotaExceededException", QuotaExhausted),
        (403, "AccessDeniedException", AuthFailed),
        (403, "UnrecognizedClientException", AuthFailed),
        (403, "ExpiredTokenException", AuthFailed),
        (404, "ResourceNotFoundException", ModelNotFound),
        (404, "FTUFormNotFilled", AuthFailed),
        (408, "ModelTimeoutException", TimedOut),
        (413, "RequestEntityTooLargeException", PayloadTooLarge),
        (424, "ModelErrorException", Unavailable),
        (424, "ModelStreamErrorException", Unavailable),
        (429, "ThrottlingException", RateLimited),
        (429, "ModelNotReadyException", Overloaded),
        (500, "InternalServerException", Unavailable),
        (503, "ServiceUnavailableException", Overloaded),
        (400, "", InvalidRequest),
        (403, "SomethingNew", AuthFailed),
        (404, "", ModelNotFound),
        (429, "SomethingNew", RateLimited),
        (502, "", Unavailable),
        (503, "", Overloaded),
        (302, "", Unavailable),
    ],
)
def test_type_tells_and_otherwise_the_status(status: int, kind: str, error: type[OmnixError]) -> None:
    found = told(status, kind)
    assert type(found) is error
    assert (str(found), found.provider, found.provider_status) == ("No.", "bedrock", status)
    assert isinstance(found, Refused | Failed)
    assert found.reached


@pytest.mark.parametrize(
    ("headers", "delay"),
    [
        ({"X-Amz-Retry-After": "1500"}, timedelta(seconds=1.5)),
        ({"Retry-After": "2"}, timedelta(seconds=2)),
        ({"Retry-After": "Sun, 22 Nov 2026 00:00:07 GMT"}, timedelta(seconds=7)),
        ({"X-Amz-Retry-After": "soon", "Retry-After": "1"}, timedelta(seconds=1)),
        ({"X-Amz-Retry-After": "9" * 40}, None),
        ({}, None),
    ],
)
def test_delay_is_kept(headers: dict[str, str], delay: timedelta | None) -> None:
    assert told(429, "ThrottlingException", headers=headers).retry_after == delay


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"Message":"Large."}', "Large."),
        (b"<html>", "The provider answered with status 400."),
        (b"", "The provider answered with status 400."),
        (b"[" * 5000, "The provider answered with status 400."),
        (b'{"message":"' + b"x" * 2000 + b'"}', "x" * 500),
    ],
)
def test_message_is_the_vendors_where_it_has_one(body: bytes, message: str) -> None:
    assert str(told(400, "ValidationException", body)) == message


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("throttlingException", RateLimited),
        ("validationException", InvalidRequest),
        ("internalServerException", Unavailable),
        ("serviceUnavailableException", Overloaded),
        ("modelStreamErrorException", Unavailable),
        ("modelTimeoutException", TimedOut),
        ("somethingNew", Unavailable),
    ],
)
def test_exception_inside_a_stream_has_no_status_and_may_cost(kind: str, error: type[OmnixError]) -> None:
    found = error_in_band(InBandError(kind, wire.Fault("No.")), "bedrock")
    assert type(found) is error
    assert found.provider_status is None
    assert isinstance(found, Refused | Failed)
    assert found.reached


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"__type":"com.amazon.coral.service#ThrottlingException","message":"No."}', RateLimited),
        (b'{"__type":"ServiceQuotaExceededException","Message":"No."}', QuotaExhausted),
        (b'{"code":"ExpiredTokenException","message":"No."}', AuthFailed),
        (b'{"code":400,"__type":7,"message":"No."}', InvalidRequest),
    ],
)
def test_type_is_read_from_the_body_where_no_header_tells_it(body: bytes, error: type[OmnixError]) -> None:
    found = told(400, body=body)
    assert (type(found), str(found)) == (error, "No.")
    assert tells_of_stale_credentials(error_type({}, body)) == (error is AuthFailed)


@pytest.mark.parametrize("status", [400, 403])
@pytest.mark.parametrize("kind", ["InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignature"])
def test_what_aws_says_of_a_signature_is_not_passed_on(kind: str, status: int) -> None:
    """It holds the headers that it read, the session's token among them."""
    found = told(status, kind, b'{"message":"...should have been\\nx-amz-security-token:FwoGZXIvYXdzabc"}')
    assert type(found) is AuthFailed
    assert "FwoG" not in str(found)
    assert kind.lower() in str(found).lower()


def test_stale_credentials_are_told_apart_from_missing_rights() -> None:
    assert tells_of_stale_credentials(error_type({"x-amzn-errortype": "ExpiredTokenException"}))
    assert tells_of_stale_credentials(error_type({"x-amzn-errortype": "aws#UnrecognizedClientException:x"}))
    assert not tells_of_stale_credentials(error_type({"x-amzn-errortype": "AccessDeniedException:x"}))
    assert not tells_of_stale_credentials(error_type({}))
