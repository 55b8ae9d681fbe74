"""Errors as OpenAI's clients expect them.

The tree itself is ``omnix_kit.errors``; here is only how it is told over HTTP and inside a stream.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType
from omnix_kit.errors import CallerError, OmnixError, PlatformError, Reason, error_for

from omnix_gateway.idempotency.schema import KeyState

CODES: Final[Mapping[Reason, str]] = MappingProxyType(
    {
        Reason.UNAUTHENTICATED: "invalid_api_key",
        Reason.RATE_LIMITED: "rate_limit_exceeded",
        Reason.QUOTA_EXHAUSTED: "insufficient_quota",
        Reason.CONTEXT_TOO_LONG: "context_length_exceeded",
        Reason.CONTENT_REFUSED: "content_filter",
    }
)
"""Codes that users of OpenAI's SDKs know; every other reason is its own code in lower case."""

_CALLERS_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "candidate_count": "n",
        "compute_mode": "mode",
        "end_user": "user",
        "expected_version": "version",
        "inputs": "input",
        "reasoning.effort": "reasoning_effort",
    }
)
"""What other services call parameters, where callers call them otherwise."""
_INDEX: Final = re.compile(r"\[(\d+)\]")

NO_RETRY: Final = (b"x-should-retry", b"false")
"""OpenAI's SDKs repeat on 409 and on most errors, unless they are told that it is in vain."""
_WAIT_UNLESS_TOLD = timedelta(seconds=1)
_REFUSALS = frozenset({429, 503})


class ErrorBody(msgspec.Struct, kw_only=True, omit_defaults=False):
    """What went wrong, in OpenAI's envelope."""

    message: str
    type: str
    param: str | None
    code: str
    idempotency: KeyState | UnsetType = UNSET
    """What is known of the first call with the same key, where its answer cannot be told."""


class KeyConflict(CallerError):
    """An idempotency key keeps a call from being made. It has a status and a code of its own.

    One without a time to come again tells the same for as long as the key is remembered.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        status: int = 409,
        param: str | None = None,
        state: KeyState | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message, reason=Reason.CONFLICT, param=param, retry_after=retry_after)
        self.code = code
        self.status = status
        self.state = state


class ErrorAnswer(msgspec.Struct):
    """The body of every answer that is not a success."""

    error: ErrorBody


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as an HTTP answer."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def code_of(reason: Reason) -> str:
    return CODES.get(reason) or reason.value.lower()


def error_body(error: OmnixError) -> ErrorBody:
    body = ErrorBody(
        message=error.message, type=error.meaning.openai_type, param=error.param, code=code_of(error.reason)
    )
    if isinstance(error, KeyConflict):
        body.code, body.idempotency = error.code, error.state or UNSET
    return body


def refusal(error: OmnixError, status: int | None = None) -> Refusal:
    """Tell an error over HTTP. ``status`` is given where the reason is too coarse for it (404, 405, 408, 431)."""
    status = status or (error.status if isinstance(error, KeyConflict) else error.meaning.http)
    headers = [(b"content-type", b"application/json")]
    if isinstance(error, KeyConflict) and error.retry_after is None:
        headers.append(NO_RETRY)
    wait = error.retry_after
    if wait is None and status in _REFUSALS:
        wait = _WAIT_UNLESS_TOLD
    if wait is not None:
        seconds = wait.total_seconds()
        headers.append((b"retry-after", str(max(1, math.ceil(seconds))).encode()))
        headers.append((b"retry-after-ms", str(max(1, math.ceil(seconds * 1000))).encode()))
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return Refusal(status, headers, msgspec.json.encode(ErrorAnswer(error_body(error))))


def in_callers_words(error: OmnixError) -> OmnixError:
    """Name the parameter of another service's error as the caller wrote it, ``messages.0.content``."""
    param = error.param
    if param is None:
        return error
    named = _CALLERS_WORDS.get(param) or _INDEX.sub(r".\1", param)
    if named == param:
        return error
    return error_for(
        error.reason,
        error.message.replace(param, named),
        param=named,
        provider=error.provider,
        provider_status=error.provider_status,
        retry_after=error.retry_after,
    )


def invalid(message: str, param: str | None = None) -> CallerError:
    return CallerError(message, reason=Reason.INVALID_REQUEST, param=param)


def unsupported(param: str, because: str) -> CallerError:
    return CallerError(f"Unsupported parameter: '{param}'. {because}", reason=Reason.UNSUPPORTED_PARAMETER, param=param)


def overloaded(message: str = "The gateway has too much to do; come again in a moment.") -> PlatformError:
    return PlatformError(message, reason=Reason.OVERLOADED, retry_after=timedelta(seconds=1))
