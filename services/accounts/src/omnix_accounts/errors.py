"""What accounts refuses, and what a failing store means to its callers."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from omnix_kit.errors import CallerError, PlatformError, Reason
from omnix_store import InvalidPageTokenError, StoreDamagedError, StoreUnavailableError


def not_authenticated() -> CallerError:
    """One answer for unknown, revoked and expired keys: who tries keys learns nothing from it."""
    return CallerError("The API key is not valid.", reason=Reason.UNAUTHENTICATED)


def invalid(param: str, message: str) -> CallerError:
    return CallerError(message, reason=Reason.INVALID_REQUEST, param=param)


@contextmanager
def store_errors() -> Iterator[None]:
    """Tell what went wrong in the store in the words of OmniX."""
    try:
        yield
    except InvalidPageTokenError as exc:
        raise invalid("page_token", "The page token is not one that this listing gave.") from exc
    except StoreUnavailableError as exc:
        raise PlatformError(
            "The account store is away.", reason=Reason.UNAVAILABLE, retry_after=timedelta(seconds=1)
        ) from exc
    except StoreDamagedError as exc:
        raise PlatformError("The account store cannot be read.", reason=Reason.INTERNAL) from exc
