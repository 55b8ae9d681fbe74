"""What Google's errors mean here: by status, ``google.rpc`` status and typed details, never by text.

https://ai.google.dev/gemini-api/docs/troubleshooting,
https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/api-errors,
https://github.com/googleapis/googleapis/blob/master/google/api/error_reason.proto

A prompt that is too long has no mark of its own: it is 400 ``INVALID_ARGUMENT`` as any other fault of a request. It is
taken for too long when OmniX's own estimate comes near the limit that Google tells of the model, and for an invalid
request otherwise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from google.genai import errors as sdk
from omnix_kit.errors import OmnixError
from omnix_provider.errors import (
    AuthFailed,
    ContextTooLong,
    InvalidRequest,
    QuotaExhausted,
    RateLimited,
    TimedOut,
    Unavailable,
)
from omnix_provider.statuses import error_of_status, readable, retry_delay

from omnix_adapter_gemini import wire
from omnix_adapter_gemini.dialect import Service

_decode = msgspec.json.Decoder(wire.Failure | list[wire.Failure]).decode
_decode_detail = msgspec.json.Decoder(wire.Detail).decode

_TYPE = "type.googleapis.com/google.rpc."
_LONGEST_DELAY = 10.0**9
_NEAR = 0.5
"""An estimate of half the limit is near it: a token is taken for four bytes, and may be two."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the adapter knows of the request that was refused."""

    service: Service
    input_tokens: int = 0
    """By estimate."""
    input_limit: int | None = None
    """As Google tells it of the model."""
    resource: str | None = None
    """The caller's parameter that names something of the operator's, such as a cached prompt."""


def error_of_answer(
    status: int, headers: Mapping[str, str], body: bytes, provider: str, asked: Asked, now: datetime
) -> OmnixError:
    """What an answer with an error status means."""
    said = _read(body)
    found = _error(status, said, provider, asked, retry_delay(headers, now))
    kind = sdk.ClientError if 400 <= status < 500 else sdk.ServerError
    found.__cause__ = kind(status, {"status": said.status, "message": readable(said.message, "")})
    return found


def error_in_band(error: wire.Error, provider: str, asked: Asked) -> OmnixError:
    """What an error inside a stream means; its code is a status."""
    found = _error(error.code or 500, error, provider, asked, None)
    found.provider_status = None  # the status was 200, and what came before may cost
    return found


def _read(body: bytes) -> wire.Error:
    try:
        read: wire.Failure | list[wire.Failure] = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return wire.Error()
    if isinstance(read, list):  # a stream's refusal may come as a list of one
        return read[0].error if read else wire.Error()
    return read.error


def _error(status: int, said: wire.Error, provider: str, asked: Asked, retry_after: timedelta | None) -> OmnixError:
    message = readable(said.message, f"The provider answered with status {status}.")
    details = _details(said.details or ())
    reasons = {each.reason for each in details if each.type == f"{_TYPE}ErrorInfo"}
    delay = next((told for each in details if (told := _duration(each.retry_delay)) is not None), retry_after)
    if "BILLING_DISABLED" in reasons:
        return QuotaExhausted(message, provider=provider, provider_status=status)
    if reasons & _NOT_ACCEPTED:
        return AuthFailed(message, provider=provider, provider_status=status)
    if status in (403, 404) and asked.resource is not None:
        # Whether Google means the credential or what the caller named with it cannot be told: the credential is good
        # for others, and no caller shall be able to make it seem otherwise.
        return InvalidRequest(message, provider=provider, provider_status=status, param=asked.resource)
    match status:
        case 400 if said.status == "FAILED_PRECONDITION" and asked.service is Service.DEVELOPER:
            if asked.resource is None:  # documented for accounts without billing, and places without the service
                return AuthFailed(message, provider=provider, provider_status=status)
        case 400 if said.status in (None, "INVALID_ARGUMENT") and not details and _is_long(asked):
            return ContextTooLong(message, provider=provider, provider_status=status, param="messages")
        case 429 if _is_used_up(details) or "RESOURCE_QUOTA_EXCEEDED" in reasons:
            return QuotaExhausted(message, provider=provider, provider_status=status)
        case 429:
            return RateLimited(message, provider=provider, provider_status=status, retry_after=delay)
        case 499:  # Google's own doing under load, since who leaves reads no answer: google-gemini/gemini-cli#20309
            return Unavailable(message, provider=provider, provider_status=status, retry_after=delay)
        case 501:
            return InvalidRequest(message, provider=provider, provider_status=status)
        case 504:
            return TimedOut(message, provider=provider, provider_status=status, retry_after=delay)
        case _:
            pass
    return error_of_status(status, message, provider, retry_after=delay, param=_field(details))


_NOT_ACCEPTED = frozenset(
    {
        "API_KEY_INVALID",
        "API_KEY_SERVICE_BLOCKED",
        "API_KEY_HTTP_REFERRER_BLOCKED",
        "API_KEY_IP_ADDRESS_BLOCKED",
        "API_KEY_ANDROID_APP_BLOCKED",
        "API_KEY_IOS_APP_BLOCKED",
        "CONSUMER_INVALID",
        "CONSUMER_SUSPENDED",
        "USER_PROJECT_DENIED",
        "SERVICE_DISABLED",
        "CREDENTIALS_MISSING",
        "ACCESS_TOKEN_EXPIRED",
        "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        "ACCESS_TOKEN_TYPE_UNSUPPORTED",
        "ACCOUNT_STATE_INVALID",
    }
)


def _details(raws: Sequence[msgspec.Raw]) -> list[wire.Detail]:
    read = []
    for raw in raws:
        try:
            read.append(_decode_detail(raw))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue  # of a type that is not read here, with a field of the same name
    return read


def _is_long(asked: Asked) -> bool:
    return asked.input_limit is not None and asked.input_tokens >= asked.input_limit * _NEAR


def _is_used_up(details: Sequence[wire.Detail]) -> bool:
    """The quota that is exceeded does not come back within minutes: it is one of a day, or none at all."""
    violations = [each for detail in details for each in detail.violations or ()]
    return any("PerDay" in (each.quota_id or "") or each.quota_value == "0" for each in violations)


def _field(details: Sequence[wire.Detail]) -> str | None:
    fields = [each.field for detail in details for each in detail.field_violations or ()]
    return fields[0] if fields else None


def _duration(text: str | None) -> timedelta | None:
    """``google.protobuf.Duration`` in JSON: https://protobuf.dev/reference/protobuf/google.protobuf/#duration."""
    if text is None or not text.endswith("s"):
        return None
    try:
        seconds = float(text[:-1])
    except ValueError:
        return None
    return timedelta(seconds=seconds) if 0 <= seconds < _LONGEST_DELAY else None
