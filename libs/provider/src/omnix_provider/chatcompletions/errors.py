"""What the format's errors mean: by status, type and code, never by text."""

from collections.abc import Mapping
from datetime import timedelta

from omnix_kit.errors import OmnixError

from omnix_provider import statuses
from omnix_provider.chatcompletions import wire
from omnix_provider.errors import ContentRefused, ContextTooLong, ModelNotFound, QuotaExhausted, UnsupportedParameter
from omnix_provider.statuses import readable

_TOO_LONG = frozenset({"context_length_exceeded"})
_REFUSED = frozenset({"content_filter", "content_policy_violation"})
_NO_MODEL = frozenset({"model_not_found"})
"""With status 403 where the operator's project has no access to it: the credential is good for others."""
_NO_QUOTA = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})

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


class InBandError(Exception):
    """The server told of an error in an answer that had begun well."""

    def __init__(self, error: wire.Error) -> None:
        super().__init__(error.message)
        self.error = error


def in_band(error: wire.Error | str) -> InBandError:
    return InBandError(wire.Error(message=error) if isinstance(error, str) else error)


def error_of_status(status: int, said: wire.Error, provider: str, retry_after: timedelta | None) -> OmnixError:
    """What an answer with an error status means."""
    return _error(status, said, provider, retry_after, f"The provider answered with status {status}.")


def error_in_band(error: wire.Error, provider: str) -> OmnixError:
    """What an error inside an answer means. Its code tells, or its type; a number is taken for a status."""
    status = error.code if isinstance(error.code, int) else _STATUS_OF_TYPE.get(error.type or "", 500)
    found = _error(status, error, provider, None, "The provider reports an error.")
    found.provider_status = None  # the status was 200, and what came before may cost
    return found


def _error(status: int, said: wire.Error, provider: str, retry_after: timedelta | None, otherwise: str) -> OmnixError:
    message = readable(said.message, otherwise)
    code = said.code if isinstance(said.code, str) else ""
    if code in _TOO_LONG:
        return ContextTooLong(message, provider=provider, provider_status=status, param=said.param or "messages")
    if code in _REFUSED:
        return ContentRefused(message, provider=provider, provider_status=status, param=said.param)
    if code in _NO_MODEL:
        return ModelNotFound(message, provider=provider, provider_status=status, param="model")
    if code in _NO_QUOTA or said.type in _NO_QUOTA:
        return QuotaExhausted(message, provider=provider, provider_status=status)
    return statuses.error_of_status(status, message, provider, retry_after=retry_after, param=said.param)


def unsupported(param: str) -> UnsupportedParameter:
    return UnsupportedParameter(f"This provider cannot honour {param}.", param=param)
