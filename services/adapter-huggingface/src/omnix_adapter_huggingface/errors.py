"""What refusals of Hugging Face's servers mean: by status, type, code and header, never by text.

They come in several shapes: the router's and most providers' (OpenAI's), ``{"error": "…", "error_type": "…"}`` of
text-generation-inference and text-embeddings-inference, ``{"message": "…", "type": "…", "code": …}`` of the latter's
OpenAI routes, and hf-inference's ``{"error": "…", "estimated_time": …}`` while a model is loaded.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import httpx2
import msgspec
from huggingface_hub.errors import DisabledRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.utils import hf_raise_for_status, parse_ratelimit_headers  # type: ignore[attr-defined] # lazy
from msgspec import Struct
from omnix_kit.errors import OmnixError
from omnix_provider.chatcompletions import errors, wire
from omnix_provider.errors import InvalidRequest, ModelNotFound, Overloaded, Unavailable
from omnix_provider.statuses import readable, retry_delay

_NO_MODEL = frozenset({"model_not_supported", "model_not_found"})
_OVERLOADED = frozenset({"overloaded", "Overloaded", "unhealthy", "healthcheck"})
_FAILED = frozenset({"generation", "incomplete_generation", "incomplete_generation_stream", "backend", "Backend"})
_INVALID = frozenset({"validation", "Validation", "tokenizer", "empty", "template_error", "tool_error"})
_LONGEST_WAIT = timedelta(hours=1)


class Said(Struct, frozen=True):
    """What a server said of its refusal, whatever the shape."""

    error: wire.Error
    loads_for: float | None = None
    """Seconds until the model is there."""


def refusal(status: int, headers: Mapping[str, str], body: bytes, provider: str, url: str, now: datetime) -> OmnixError:
    """The error of an answer with an error status; the SDK's own is its cause."""
    said = said_in(body)
    cause = _sdk_error(status, headers, url)
    found = _error(status, said, cause, provider, _retry_after(headers, said, now))
    found.__cause__ = cause
    return found


def _error(
    status: int, said: Said, cause: HfHubHTTPError | None, provider: str, retry_after: timedelta | None
) -> OmnixError:
    error = said.error
    in_header = cause.server_message if cause is not None else None
    message = readable(error.message or in_header, f"The provider answered with status {status}.")
    if (
        isinstance(cause, RepositoryNotFoundError | RevisionNotFoundError | DisabledRepoError)
        or error.code in _NO_MODEL
        or status == 410  # no longer served
    ):
        return ModelNotFound(message, provider=provider, provider_status=status, param="model")
    if error.type in _OVERLOADED:
        return Overloaded(message, provider=provider, provider_status=status, retry_after=retry_after)
    if error.type in _FAILED or status == 424:
        return Unavailable(message, provider=provider, provider_status=status, retry_after=retry_after)
    if error.type in _INVALID and 400 <= status < 500 and status != 413:
        return InvalidRequest(message, provider=provider, provider_status=status, param=error.param)
    told = wire.Error(message, error.type, error.code, error.param)
    return errors.error_of_status(status, told, provider, retry_after)


def said_in(body: bytes) -> Said:
    try:
        told = msgspec.json.decode(body)
    except wire.UNREADABLE:
        return Said(wire.Error())
    if not isinstance(told, dict):
        return Said(wire.Error(message=_text(told)))
    inner = told.get("error")
    if isinstance(inner, dict):
        return Said(_object(inner))
    error = _object(told)
    if error.message is None:
        error.message = _text(inner) or _text(told.get("detail"))
    if error.type is None:
        error.type = _text(told.get("error_type"))
    seconds = told.get("estimated_time")
    return Said(error, float(seconds) if isinstance(seconds, int | float) and not isinstance(seconds, bool) else None)


def _object(told: dict[str, Any]) -> wire.Error:
    code = told.get("code")
    return wire.Error(
        message=_text(told.get("message")),
        type=_text(told.get("type")),
        code=code if isinstance(code, str) else None,
        param=_text(told.get("param")),
    )


def _text(value: object) -> str | None:
    if isinstance(value, list):  # of sentences, or of what is wrong with each field
        said = (each.get("msg") if isinstance(each, dict) else each for each in value)
        return " ".join(each for each in said if isinstance(each, str)) or None
    return value if isinstance(value, str) and value else None


def _retry_after(headers: Mapping[str, str], said: Said, now: datetime) -> timedelta | None:
    """``Retry-After``; or when the model is loaded; or when the window of a used-up rate limit ends."""
    delay = retry_delay(headers, now)
    if delay is not None:
        return delay
    if said.loads_for is not None and 0 <= said.loads_for <= _LONGEST_WAIT.total_seconds():
        return timedelta(seconds=said.loads_for)
    limit = parse_ratelimit_headers(headers)
    if limit is not None and limit.remaining == 0 and limit.reset_in_seconds <= _LONGEST_WAIT.total_seconds():
        return timedelta(seconds=limit.reset_in_seconds)
    return None


_TOLD = frozenset({"x-error-code", "x-error-message", "x-request-id"})


def _sdk_error(status: int, headers: Mapping[str, str], url: str) -> HfHubHTTPError | None:
    """As the SDK reads the Hub's own headers; the body is read here, because the SDK trips over strange ones."""
    told = httpx2.Response(
        status,
        headers=[(name, value) for name, value in headers.items() if name.lower() in _TOLD],
        request=httpx2.Request("POST", url),
    )
    try:
        hf_raise_for_status(told)
    except HfHubHTTPError as exc:
        return exc
    return None
