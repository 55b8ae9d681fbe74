"""What an error means for the key of the call that ended with it. Pure."""

from typing import Final

from omnix_kit.errors import CallerError, OmnixError, PlatformError, Reason

from omnix_gateway.idempotency.records import State

_REFUSED_BY_THE_VENDOR: Final = frozenset(
    {
        Reason.INVALID_REQUEST,
        Reason.UNSUPPORTED_PARAMETER,
        Reason.CONTEXT_TOO_LONG,
        Reason.PAYLOAD_TOO_LARGE,
        Reason.MODEL_NOT_FOUND,
        Reason.NOT_FOUND,
        Reason.UNAUTHENTICATED,
        Reason.PERMISSION_DENIED,
        Reason.RATE_LIMITED,
        Reason.QUOTA_EXHAUSTED,
        Reason.PROVIDER_OVERLOADED,
        Reason.PROVIDER_AUTH_FAILED,
        Reason.PROVIDER_QUOTA_EXHAUSTED,
    }
)
"""No vendor bills these."""


def verdict(error: OmnixError, *, sent: bool) -> State:
    """RELEASED when the call cost nothing, FAILED when a vendor may have billed it, DOUBT when nobody knows.

    :param sent: the router may have got the call.
    """
    reason = error.reason
    if isinstance(error, PlatformError):
        # What is unavailable because of its model was refused before any attempt.
        free = not sent or reason is Reason.OVERLOADED or (reason is Reason.UNAVAILABLE and error.param == "model")
        return State.RELEASED if free else State.DOUBT
    if error.provider is None and isinstance(error, CallerError):
        return State.RELEASED
    if reason in _REFUSED_BY_THE_VENDOR:
        return State.RELEASED
    if reason is Reason.PROVIDER_UNAVAILABLE and (error.provider_status or error.retry_after is not None):
        # It answered so, or was not called while its circuit is open; a connection that broke tells neither.
        return State.RELEASED
    return State.FAILED
