"""What refusals mean, in every shape."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omnix_adapter_huggingface.errors import refusal, said_in
from omnix_kit.errors import OmnixError, Reason

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
URL = "https://router.huggingface.co/v1/chat/completions"


def told(status: int, body: Any = None, **headers: str) -> OmnixError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return refusal(status, named, raw, "huggingface", URL, NOW)


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (400, {"error": {"message": "no", "param": "temperature"}}, Reason.INVALID_REQUEST),
        (400, {"error": {"code": "context_length_exceeded"}}, Reason.CONTEXT_TOO_LONG),
        (400, {"error": {"code": "model_not_supported"}}, Reason.MODEL_NOT_FOUND),
        (401, {"error": "Invalid username or password."}, Reason.PROVIDER_AUTH_FAILED),
        (402, {"error": "You have exceeded your monthly included credits."}, Reason.PROVIDER_QUOTA_EXHAUSTED),
        (403, {"error": "This token has no permission."}, Reason.PROVIDER_AUTH_FAILED),
        (404, {"error": "Model x does not exist"}, Reason.MODEL_NOT_FOUND),
        (408, {}, Reason.PROVIDER_TIMEOUT),
        (410, {"error": "no longer supported"}, Reason.MODEL_NOT_FOUND),
        (413, {"error": "too large", "error_type": "validation"}, Reason.PAYLOAD_TOO_LARGE),
        (422, {"error": "no", "error_type": "template_error"}, Reason.INVALID_REQUEST),
        (422, {"detail": [{"loc": ["body"], "msg": "field required"}]}, Reason.INVALID_REQUEST),
        (424, {"error": "failed"}, Reason.PROVIDER_UNAVAILABLE),
        (429, {"error": "slow down"}, Reason.RATE_LIMITED),
        (429, {"error": "Model is overloaded", "error_type": "overloaded"}, Reason.PROVIDER_OVERLOADED),
        (500, {"error": ["a", "b"]}, Reason.PROVIDER_UNAVAILABLE),
        (502, b"<html>Bad Gateway</html>", Reason.PROVIDER_UNAVAILABLE),
        (503, {"error": "Model is loading", "estimated_time": 20.0}, Reason.PROVIDER_OVERLOADED),
        (504, b"", Reason.PROVIDER_UNAVAILABLE),
        (302, b"", Reason.PROVIDER_UNAVAILABLE),
    ],
)
def test_status_type_and_code_give_the_reason(status: int, body: Any, reason: Reason) -> None:
    found = told(status, body)
    assert (found.reason, found.provider, found.provider_status) == (reason, "huggingface", status)
    assert found.message


@pytest.mark.parametrize("code", ["RepoNotFound", "GatedRepo", "RevisionNotFound"])
def test_header_of_the_hub_says_that_there_is_no_such_model(code: str) -> None:
    assert told(403, {}, x_error_code=code).reason is Reason.MODEL_NOT_FOUND


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": "a"}, "a"),
        ({"error": ["a", "b", 3]}, "a b"),
        ({"error": {"message": "a"}}, "a"),
        ({"message": "a", "type": "x"}, "a"),
        ({"detail": "a"}, "a"),
        ({"detail": [{"loc": ["body"], "msg": "a"}, {"msg": "b"}]}, "a b"),
        ("a", "a"),
        ({"error": {}}, "The provider answered with status 400."),
        ([], "The provider answered with status 400."),
        (b"\xff", "The provider answered with status 400."),
    ],
)
def test_sentence_is_found_in_every_shape(body: Any, message: str) -> None:
    assert told(400, body).message == message


def test_sentence_in_the_header_is_told_when_there_is_no_other() -> None:
    assert told(400, b"", x_error_message="Bad task").message == "Bad task"


def test_secrets_do_not_come_back() -> None:
    assert "abcdefghijklmnop" not in told(401, {"error": "Bad token hf_abcdefghijklmnopqrstuvwxyzABCDEFGH"}).message


@pytest.mark.parametrize(
    ("body", "headers", "delay"),
    [
        ({}, {"retry_after": "7"}, timedelta(seconds=7)),
        ({"estimated_time": 20.5}, {}, timedelta(seconds=20.5)),
        ({"estimated_time": 20.5}, {"retry_after": "7"}, timedelta(seconds=7)),
        ({"estimated_time": -1}, {}, None),
        ({"estimated_time": 1e9}, {}, None),
        ({"estimated_time": True}, {}, None),
        ({}, {"ratelimit": '"api";r=0;t=55'}, timedelta(seconds=55)),
        ({}, {"ratelimit": '"api";r=3;t=55'}, None),
        ({}, {}, None),
    ],
)
def test_delay_is_read_from_header_body_and_window(
    body: dict[str, Any], headers: dict[str, str], delay: timedelta | None
) -> None:
    assert told(503, body, **headers).retry_after == delay


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-9, 9)
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "type", "code", "detail", "estimated_time"]), inner, max_size=4
        )
    ),
)


@settings(deadline=None)
@given(st.sampled_from([400, 401, 404, 424, 429, 500, 503]), _JSON.map(msgspec.json.encode) | st.binary(max_size=20))
def test_any_body_is_an_error_and_nothing_worse(status: int, body: bytes) -> None:
    found = told(status, body)
    assert found.provider_status == status
    assert found.message
    said_in(body)
