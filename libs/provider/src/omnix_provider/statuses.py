"""What an HTTP status of a vendor means, where nothing more precise was said."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from omnix_kit.errors import OmnixError
from omnix_kit.secrets import without_secrets

from omnix_provider.errors import (
    AuthFailed,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    PayloadTooLarge,
    QuotaExhausted,
    RateLimited,
    TimedOut,
    Unavailable,
)

LONGEST_MESSAGE = 500


def error_of_status(
    status: int, message: str, provider: str, *, retry_after: timedelta | None = None, param: str | None = None
) -> OmnixError:
    """The error of an answer with this status.

    :param message: as ``readable`` made it.
    :param param: what the vendor named as the request's fault.
    """
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
            return InvalidRequest(message, provider=provider, provider_status=status, param=param)
        case _:
            return Unavailable(message, provider=provider, provider_status=status, retry_after=retry_after)


def readable(said: str | None, otherwise: str) -> str:
    """The vendor's sentence, short and without secrets; ``otherwise`` when it said nothing."""
    # Cut before it is looked through, because it may be large, and beyond the end, so that no secret is cut in two.
    return without_secrets((said or otherwise)[: 2 * LONGEST_MESSAGE])[:LONGEST_MESSAGE]


def retry_delay(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """``retry-after-ms``, or ``retry-after`` as seconds or as an HTTP date.

    :param headers: by name in any case, or in lower case.
    """
    milliseconds, after = headers.get("retry-after-ms", ""), headers.get("retry-after", "")
    with suppress(ValueError, OverflowError):
        return max(timedelta(milliseconds=float(milliseconds)), timedelta(0))
    with suppress(ValueError, OverflowError):
        return max(timedelta(seconds=float(after)), timedelta(0))
    with suppress(ValueError, TypeError, OverflowError):
        date = parsedate_to_datetime(after)
        return max((date if date.tzinfo else date.replace(tzinfo=UTC)) - now, timedelta(0))
    return None
