"""What OpenAI's errors mean here: by status, type and code, never by text."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import openai
from omnix_kit.errors import OmnixError
from omnix_kit.logs import without_secrets
from omnix_provider.errors import (
    AuthFailed,
    ContentRefused,
    ContextTooLong,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    PayloadTooLarge,
    QuotaExhausted,
    RateLimited,
    TimedOut,
    Unavailable,
)

from omnix_adapter_openai import wire

_LONGEST_MESSAGE = 500
_TOO_LONG = frozenset({"context_length_exceeded"})
_REFUSED = frozenset({"content_filter", "content_policy_violation"})
_NO_QUOTA = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})


def error_of_status(exc: openai.APIStatusError, provider: str, now: datetime) -> OmnixError:
    """What an answer with an error status means."""
    status = exc.status_code
    said = wire.Error(_text(exc.body) or exc.message, exc.type, exc.code, exc.param)
    retry_after = retry_delay(exc.response.headers, now)
    return _error(status, said, provider, retry_after, f"The provider answered with status {status}.")


def error_in_band(error: wire.Error, provider: str) -> OmnixError:
    """What an error inside a stream means. Its code tells, or its type; a number is taken for a status."""
    status = error.code if isinstance(error.code, int) else _STATUS_OF_TYPE.get(error.type or "", 500)
    found = _error(status, error, provider, None, "The provider reports an error.")
    found.provider_status = None  # the status was 200, and what came before may cost
    return found


_STATUS_OF_TYPE: Mapping[str, int] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "rate_limit_error": 429,
    "requests": 429,
    "tokens": 429,
    "insufficient_quota": 429,
    "server_error": 500,
    "overloaded_error": 529,
}


def _error(status: int, said: wire.Error, provider: str, retry_after: timedelta | None, otherwise: str) -> OmnixError:
    # Cut before it is looked through, because it may be large, and beyond the end, so that no secret is cut in two.
    message = without_secrets((said.message or otherwise)[: 2 * _LONGEST_MESSAGE])[:_LONGEST_MESSAGE]
    code = said.code if isinstance(said.code, str) else ""
    if code in _TOO_LONG:
        return ContextTooLong(message, provider=provider, provider_status=status, param=said.param or "messages")
    if code in _REFUSED:
        return ContentRefused(message, provider=provider, provider_status=status, param=said.param)
    if code in _NO_QUOTA or said.type in _NO_QUOTA:
        return QuotaExhausted(message, provider=provider, provider_status=status)
    match status:
        case 401 | 403:
            return AuthFailed(message, provider=provider, provider_status=status)
        case 402:
            return QuotaExhausted(message, provider=provider, provider_status=status)
        case 404:
            return ModelNotFound(message, provider=provider, provider_status=status, param="model")
        case 408:
            return TimedOut(message, provider=provider, provider_status=status, retry_after=retry_after)
        case 409:  # a resource that is locked for the moment
            return Unavailable(message, provider=provider, provider_status=status, retry_after=retry_after)
        case 413:
            return PayloadTooLarge(message, provider=provider, provider_status=status)
        case 429:
            return RateLimited(message, provider=provider, provider_status=status, retry_after=retry_after)
        case 503 | 529:
            return Overloaded(message, provider=provider, provider_status=status, retry_after=retry_after)
        case _ if 400 <= status < 500:
            return InvalidRequest(message, provider=provider, provider_status=status, param=said.param)
        case _:
            return Unavailable(message, provider=provider, provider_status=status, retry_after=retry_after)


def _text(body: object) -> str | None:
    """The vendor's own sentence: the SDK's message is the status and the whole body."""
    if isinstance(body, Mapping) and isinstance(message := body.get("message"), str):
        return message
    return None


def retry_delay(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """``retry-after-ms``, or ``retry-after`` as seconds or as an HTTP date."""
    milliseconds, after = headers.get("retry-after-ms", ""), headers.get("retry-after", "")
    with suppress(ValueError, OverflowError):
        return max(timedelta(milliseconds=float(milliseconds)), timedelta(0))
    with suppress(ValueError, OverflowError):
        return max(timedelta(seconds=float(after)), timedelta(0))
    with suppress(ValueError, TypeError):
        date = parsedate_to_datetime(after)
        return max((date if date.tzinfo else date.replace(tzinfo=UTC)) - now, timedelta(0))
    return None
