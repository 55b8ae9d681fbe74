"""What analytics refuses, and what a failing store means to its callers."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from omnix_kit.errors import CallerError, PlatformError, Reason
from omnix_store import StoreDamagedError, StoreUnavailableError


def invalid(param: str, message: str) -> CallerError:
    return CallerError(message, reason=Reason.INVALID_REQUEST, param=param)


@contextmanager
def store_errors() -> Iterator[None]:
    """Tell what went wrong in the store in the words of OmniX."""
    try:
        yield
    except StoreUnavailableError as exc:
        raise PlatformError(
            "The store of analytics is away.", reason=Reason.UNAVAILABLE, retry_after=timedelta(seconds=1)
        ) from exc
    except StoreDamagedError as exc:
        raise PlatformError("The store of analytics cannot be read.", reason=Reason.INTERNAL) from exc
