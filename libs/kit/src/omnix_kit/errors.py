"""The errors of OmniX: one vocabulary for gRPC, HTTP and streams.

::

    OmnixError
    ├── CallerError      the caller must change the request, the credential or the pace
    ├── ProviderError    the vendor failed; the router may try another target
    └── PlatformError    a part of OmniX failed or is away; the operator must act, the caller may come again

The reason says what happened, the class who must act.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType

import grpc


class Reason(StrEnum):
    """The names of ``omnix.common.v1.ErrorReason`` without their prefix; a contract test holds the two together."""

    INVALID_REQUEST = "INVALID_REQUEST"
    UNSUPPORTED_PARAMETER = "UNSUPPORTED_PARAMETER"
    CONTEXT_TOO_LONG = "CONTEXT_TOO_LONG"
    CONTENT_REFUSED = "CONTENT_REFUSED"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    MODEL_NOT_FOUND = "MODEL_NOT_FOUND"
    NOT_FOUND = "NOT_FOUND"
    CONFLICT = "CONFLICT"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    KEY_REVOKED = "KEY_REVOKED"
    RATE_LIMITED = "RATE_LIMITED"
    QUOTA_EXHAUSTED = "QUOTA_EXHAUSTED"
    PROVIDER_UNAVAILABLE = "PROVIDER_UNAVAILABLE"
    PROVIDER_OVERLOADED = "PROVIDER_OVERLOADED"
    PROVIDER_TIMEOUT = "PROVIDER_TIMEOUT"
    PROVIDER_AUTH_FAILED = "PROVIDER_AUTH_FAILED"
    PROVIDER_QUOTA_EXHAUSTED = "PROVIDER_QUOTA_EXHAUSTED"
    PROVIDER_MALFORMED = "PROVIDER_MALFORMED"
    PROVIDER_CUT = "PROVIDER_CUT"
    PROVIDER_DEPARTED = "PROVIDER_DEPARTED"
    UNAVAILABLE = "UNAVAILABLE"
    OVERLOADED = "OVERLOADED"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    CANCELLED = "CANCELLED"
    STREAM_LOST = "STREAM_LOST"
    STREAM_TOO_SLOW = "STREAM_TOO_SLOW"
    SHUTTING_DOWN = "SHUTTING_DOWN"
    INTERNAL = "INTERNAL"


@dataclass(frozen=True, slots=True)
class Meaning:
    """How one reason is told on each protocol."""

    grpc: grpc.StatusCode
    http: int
    openai_type: str
    """``type`` of OpenAI's error envelope."""


_CODE = grpc.StatusCode

MEANINGS: Mapping[Reason, Meaning] = MappingProxyType(
    {
        Reason.INVALID_REQUEST: Meaning(_CODE.INVALID_ARGUMENT, 400, "invalid_request_error"),
        Reason.UNSUPPORTED_PARAMETER: Meaning(_CODE.INVALID_ARGUMENT, 400, "invalid_request_error"),
        Reason.CONTEXT_TOO_LONG: Meaning(_CODE.INVALID_ARGUMENT, 400, "invalid_request_error"),
        Reason.CONTENT_REFUSED: Meaning(_CODE.INVALID_ARGUMENT, 400, "invalid_request_error"),
        Reason.PAYLOAD_TOO_LARGE: Meaning(_CODE.INVALID_ARGUMENT, 413, "invalid_request_error"),
        Reason.MODEL_NOT_FOUND: Meaning(_CODE.NOT_FOUND, 404, "invalid_request_error"),
        Reason.NOT_FOUND: Meaning(_CODE.NOT_FOUND, 404, "invalid_request_error"),
        Reason.CONFLICT: Meaning(_CODE.ABORTED, 409, "invalid_request_error"),
        Reason.UNAUTHENTICATED: Meaning(_CODE.UNAUTHENTICATED, 401, "authentication_error"),
        Reason.PERMISSION_DENIED: Meaning(_CODE.PERMISSION_DENIED, 403, "permission_error"),
        Reason.KEY_REVOKED: Meaning(_CODE.UNAUTHENTICATED, 401, "authentication_error"),
        Reason.RATE_LIMITED: Meaning(_CODE.RESOURCE_EXHAUSTED, 429, "rate_limit_error"),
        Reason.QUOTA_EXHAUSTED: Meaning(_CODE.RESOURCE_EXHAUSTED, 429, "insufficient_quota"),
        Reason.PROVIDER_UNAVAILABLE: Meaning(_CODE.UNAVAILABLE, 502, "provider_error"),
        Reason.PROVIDER_OVERLOADED: Meaning(_CODE.UNAVAILABLE, 503, "provider_error"),
        Reason.PROVIDER_TIMEOUT: Meaning(_CODE.DEADLINE_EXCEEDED, 504, "provider_error"),
        Reason.PROVIDER_AUTH_FAILED: Meaning(_CODE.FAILED_PRECONDITION, 502, "provider_error"),
        Reason.PROVIDER_QUOTA_EXHAUSTED: Meaning(_CODE.FAILED_PRECONDITION, 502, "provider_error"),
        Reason.PROVIDER_MALFORMED: Meaning(_CODE.INTERNAL, 502, "provider_error"),
        Reason.PROVIDER_CUT: Meaning(_CODE.UNAVAILABLE, 502, "provider_error"),
        Reason.PROVIDER_DEPARTED: Meaning(_CODE.ABORTED, 502, "provider_error"),
        Reason.UNAVAILABLE: Meaning(_CODE.UNAVAILABLE, 503, "server_error"),
        Reason.OVERLOADED: Meaning(_CODE.UNAVAILABLE, 503, "server_error"),
        Reason.DEADLINE_EXCEEDED: Meaning(_CODE.DEADLINE_EXCEEDED, 504, "server_error"),
        Reason.CANCELLED: Meaning(_CODE.CANCELLED, 499, "server_error"),
        Reason.STREAM_LOST: Meaning(_CODE.DATA_LOSS, 500, "server_error"),
        Reason.STREAM_TOO_SLOW: Meaning(_CODE.ABORTED, 503, "server_error"),
        Reason.SHUTTING_DOWN: Meaning(_CODE.UNAVAILABLE, 503, "server_error"),
        Reason.INTERNAL: Meaning(_CODE.INTERNAL, 500, "server_error"),
    }
)


class OmnixError(Exception):
    """An error that may be told to a caller: its message is one sentence, free of secrets.

    :param param: the request field at fault, as the caller wrote it.
    :param provider: the provider that failed.
    :param provider_status: the HTTP status it answered.
    :param retry_after: how long to wait before another try.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: Reason,
        param: str | None = None,
        provider: str | None = None,
        provider_status: int | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.param = param
        self.provider = provider
        self.provider_status = provider_status
        self.retry_after = retry_after

    @property
    def meaning(self) -> Meaning:
        return MEANINGS[self.reason]


class CallerError(OmnixError):
    """The caller must change the request, the credential or the pace."""


class ProviderError(OmnixError):
    """The vendor failed; the router may try another target."""


class PlatformError(OmnixError):
    """A part of OmniX failed or is away."""


_PROVIDER = frozenset(reason for reason in Reason if reason.name.startswith("PROVIDER_"))
_PLATFORM = frozenset(
    {
        Reason.UNAVAILABLE,
        Reason.OVERLOADED,
        Reason.DEADLINE_EXCEEDED,
        Reason.CANCELLED,
        Reason.STREAM_LOST,
        Reason.STREAM_TOO_SLOW,
        Reason.SHUTTING_DOWN,
        Reason.INTERNAL,
    }
)


def error_for(
    reason: Reason,
    message: str,
    *,
    param: str | None = None,
    provider: str | None = None,
    provider_status: int | None = None,
    retry_after: timedelta | None = None,
) -> OmnixError:
    """Make the error of the class that the reason belongs to, as when one arrives over the wire."""
    kind: type[OmnixError]
    if reason in _PROVIDER or (provider and reason not in _PLATFORM):
        kind = ProviderError
    elif reason in _PLATFORM:
        kind = PlatformError
    else:
        kind = CallerError
    return kind(
        message,
        reason=reason,
        param=param,
        provider=provider,
        provider_status=provider_status,
        retry_after=retry_after,
    )


class ConfigurationError(Exception):
    """The configuration is wrong; the process ends with exit code 2 and this message on one line."""
