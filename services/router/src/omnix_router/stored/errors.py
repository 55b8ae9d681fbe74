"""What is refused of changes to routes, and what a failing store means to callers."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from omnix_kit.errors import CallerError, PlatformError, Reason
from omnix_store import StoreError, StoreUnavailableError

from omnix_router.routes_rules import RouteError

_AGAIN_AFTER = timedelta(seconds=1)


def invalid(param: str, message: str) -> CallerError:
    return CallerError(message, reason=Reason.INVALID_REQUEST, param=param)


def wrong(error: RouteError) -> CallerError:
    """A route that is none; keys of its fields begin with ``route``."""
    param = error.key.removeprefix("route").removeprefix(".") or "name"
    return invalid(param, f"{param}: {error.problem}")


def conflict(message: str, param: str) -> CallerError:
    return CallerError(message, reason=Reason.CONFLICT, param=param)


def absent(name: str) -> CallerError:
    return CallerError(f"There is no route '{name}'.", reason=Reason.NOT_FOUND, param="name")


def no_store() -> PlatformError:
    return PlatformError(
        "This router has no store for routes: its operator must set OMNIX_STORE_URL, or change the routes file.",
        reason=Reason.UNAVAILABLE,
    )


@contextmanager
def store_errors(*, writing: bool = False) -> Iterator[None]:
    """Tell what went wrong in the store in the words of OmniX."""
    try:
        yield
    except StoreUnavailableError as exc:
        message = "The store of routes is away."
        if writing:
            message = "The store of routes went away; read the route to see whether the change was made."
        raise PlatformError(message, reason=Reason.UNAVAILABLE, retry_after=_AGAIN_AFTER) from exc
    except StoreError as exc:
        raise PlatformError(f"The store of routes cannot be used: {exc}.", reason=Reason.INTERNAL) from exc
