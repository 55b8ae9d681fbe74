"""How an attempt fails.

::

    OmnixError
    ├── CallerError
    │   └── Refused               the vendor, or its adapter, does not accept the request
    │       ├── InvalidRequest
    │       ├── UnsupportedParameter
    │       ├── ContextTooLong
    │       ├── ContentRefused
    │       │   └── PluginRefused   a plugin does not let the answer pass
    │       ├── PayloadTooLarge
    │       └── ModelNotFound
    ├── ProviderError
    │   └── Failed                the vendor did not answer as it should; another target may
    │       ├── RateLimited       come again after ``retry_after``
    │       ├── Overloaded
    │       ├── Unavailable       5xx, connection refused, reset before the answer
    │       ├── TimedOut          silent past a limit
    │       ├── AuthFailed        the operator's credential is not accepted
    │       ├── QuotaExhausted    the operator's account is used up
    │       ├── Malformed         the answer cannot be understood
    │       └── Cut               broke off in the middle of an answer
    └── PlatformError
        ├── PluginFailed          a plugin failed without which nothing is told
        └── Ended                 OmniX ended the attempt
            ├── Cancelled
            ├── DeadlineExceeded
            ├── ShuttingDown
            └── TooBusy           refused before anything was sent

Each knows whether the vendor was ``reached``: from then on the attempt is metered, whatever became of it.
"""

from datetime import timedelta
from typing import ClassVar

from omnix_kit.errors import CallerError, PlatformError, ProviderError, Reason

from omnix_provider.types import Usage


class Refused(CallerError):
    """The request is not accepted. ``reached`` is False when the adapter itself refused it."""

    REASON: ClassVar[Reason] = Reason.INVALID_REQUEST
    usage: Usage | None = None
    """The vendor's count, where an adapter sets it."""

    def __init__(
        self,
        message: str,
        *,
        provider: str | None = None,
        provider_status: int | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(
            _writable(message),
            reason=self.REASON,
            param=None if param is None else _writable(param),
            provider=provider,
            provider_status=provider_status,
        )
        self.reached = provider_status is not None


class InvalidRequest(Refused):
    pass


class UnsupportedParameter(Refused):
    """Understood, but this provider cannot honour it; ``param`` names it."""

    REASON = Reason.UNSUPPORTED_PARAMETER


class ContextTooLong(Refused):
    REASON = Reason.CONTEXT_TOO_LONG


class ContentRefused(Refused):
    REASON = Reason.CONTENT_REFUSED


class PayloadTooLarge(Refused):
    REASON = Reason.PAYLOAD_TOO_LARGE


class ModelNotFound(Refused):
    REASON = Reason.MODEL_NOT_FOUND


class Failed(ProviderError):
    """The vendor failed.

    :param reached: whether the request may have come to the vendor.
    """

    REASON: ClassVar[Reason] = Reason.PROVIDER_UNAVAILABLE
    usage: Usage | None = None
    """The vendor's count, where an adapter sets it."""

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        provider_status: int | None = None,
        retry_after: timedelta | None = None,
        param: str | None = None,
        reached: bool = True,
    ) -> None:
        super().__init__(
            _writable(message),
            reason=self.REASON,
            param=None if param is None else _writable(param),
            provider=provider,
            provider_status=provider_status,
            retry_after=retry_after,
        )
        self.reached = reached


class RateLimited(Failed):
    REASON = Reason.RATE_LIMITED


class Overloaded(Failed):
    REASON = Reason.PROVIDER_OVERLOADED


class Unavailable(Failed):
    REASON = Reason.PROVIDER_UNAVAILABLE


class TimedOut(Failed):
    REASON = Reason.PROVIDER_TIMEOUT


class AuthFailed(Failed):
    REASON = Reason.PROVIDER_AUTH_FAILED


class QuotaExhausted(Failed):
    REASON = Reason.PROVIDER_QUOTA_EXHAUSTED


class Malformed(Failed):
    REASON = Reason.PROVIDER_MALFORMED


class Cut(Failed):
    REASON = Reason.PROVIDER_CUT


class Departed(Failed):
    """The answer, begun anew, is another one than the caller has the beginning of."""

    REASON = Reason.PROVIDER_DEPARTED


class Ended(PlatformError):
    """OmniX ended the attempt, or did not begin it."""

    REASON: ClassVar[Reason] = Reason.INTERNAL

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(message, reason=self.REASON, retry_after=retry_after)


class Cancelled(Ended):
    REASON = Reason.CANCELLED


class DeadlineExceeded(Ended):
    REASON = Reason.DEADLINE_EXCEEDED


class ShuttingDown(Ended):
    REASON = Reason.SHUTTING_DOWN


class TooBusy(Ended):
    REASON = Reason.OVERLOADED


def _writable(text: str) -> str:
    """Half a surrogate pair, which JSON can say and UTF-8 cannot, becomes a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
