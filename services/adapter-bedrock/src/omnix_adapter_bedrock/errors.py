"""What AWS's errors mean here: by the exception's type, by the status where the type is new, never by text.

https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html

A prompt that is longer than the model's context is a ``ValidationException`` like any other: AWS tells it by its text
alone, which differs from model to model. So it becomes an invalid request, and not ``ContextTooLong``.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

import msgspec
from omnix_kit.errors import OmnixError
from omnix_provider.errors import (
    AuthFailed,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    PayloadTooLarge,
    QuotaExhausted,
    RateLimited,
    Refused,
    TimedOut,
    Unavailable,
)
from omnix_provider.statuses import error_of_status, readable, retry_delay

from omnix_adapter_bedrock import wire
from omnix_adapter_bedrock.translate import InBandError

Made = Callable[[str, str, int | None, timedelta | None], OmnixError]
"""Of message, provider, status and delay."""


def _failed(kind: type[RateLimited | Overloaded | Unavailable | TimedOut]) -> Made:
    return lambda message, provider, status, delay: kind(
        message, provider=provider, provider_status=status, retry_after=delay
    )


def _operators(kind: type[AuthFailed | QuotaExhausted]) -> Made:
    return lambda message, provider, status, delay: kind(message, provider=provider, provider_status=status)


def _callers(kind: type[InvalidRequest | ModelNotFound | PayloadTooLarge], param: str | None = None) -> Made:
    return lambda message, provider, status, delay: kind(
        message, provider=provider, provider_status=status, param=param
    )


_BY_TYPE: Mapping[str, Made] = MappingProxyType(
    {
        "validationexception": _callers(InvalidRequest),
        "validationerror": _callers(InvalidRequest),
        "serializationexception": _callers(InvalidRequest),
        "requestentitytoolargeexception": _callers(PayloadTooLarge),
        "resourcenotfoundexception": _callers(ModelNotFound, "model"),
        "throttlingexception": _failed(RateLimited),
        "throttling": _failed(RateLimited),
        "toomanyrequestsexception": _failed(RateLimited),
        "servicequotaexceededexception": _operators(QuotaExhausted),
        "modelnotreadyexception": _failed(Overloaded),
        "modeltimeoutexception": _failed(TimedOut),
        "modelerrorexception": _failed(Unavailable),
        "modelstreamerrorexception": _failed(Unavailable),
        "internalserverexception": _failed(Unavailable),
        "internalfailure": _failed(Unavailable),
        "serviceunavailableexception": _failed(Overloaded),
        "serviceunavailable": _failed(Overloaded),
        "accessdeniedexception": _operators(AuthFailed),
        "expiredtokenexception": _operators(AuthFailed),
        "expiredtoken": _operators(AuthFailed),
        "unrecognizedclientexception": _operators(AuthFailed),
        "invalidclienttokenid": _operators(AuthFailed),
        "invalidsignatureexception": _operators(AuthFailed),
        "signaturedoesnotmatch": _operators(AuthFailed),
        "incompletesignature": _operators(AuthFailed),
        "incompletesignatureexception": _operators(AuthFailed),
        "missingauthenticationtoken": _operators(AuthFailed),
        "missingauthenticationtokenexception": _operators(AuthFailed),
        "notauthorized": _operators(AuthFailed),
        "optinrequired": _operators(AuthFailed),
        "requestexpired": _operators(AuthFailed),
        "ftuformnotfilled": _operators(AuthFailed),
        "mpagreementbeingcreated": _operators(AuthFailed),
    }
)
"""In lower case, because events of a stream name the same types with a small first letter."""
_STALE = frozenset({"expiredtokenexception", "expiredtoken", "unrecognizedclientexception", "invalidclienttokenid"})
_TELLING = frozenset(
    {"invalidsignatureexception", "signaturedoesnotmatch", "incompletesignature", "incompletesignatureexception"}
)
"""Their message repeats the headers that were signed, and so the session's token, in a form that has no mark."""

_LONGEST_NUMBER = 12

_decode_fault = msgspec.json.Decoder(wire.Fault).decode


def error_of_answer(status: int, headers: Mapping[str, str], body: bytes, provider: str, now: datetime) -> OmnixError:
    """What an answer with an error status means.

    :param headers: by name in any case.
    """
    fault = _fault(body)
    delay = _delay(headers, now)
    kind = error_type(headers, body)
    said = f"AWS does not accept the request's signature: {kind}." if kind in _TELLING else _message(fault)
    message = readable(said, f"The provider answered with status {status}.")
    made = _BY_TYPE.get(kind)
    if made is None:
        return error_of_status(status, message, provider, retry_after=delay)
    return made(message, provider, status, delay)


def error_in_band(error: InBandError, provider: str) -> OmnixError:
    """What an exception inside a stream means. The status was 200, and what came before may cost."""
    message = readable(_message(error.fault), "The provider reports an error.")
    made = _BY_TYPE.get(error.kind.lower(), _failed(Unavailable))
    found = made(message, provider, None, None)
    if isinstance(found, Refused):
        found.reached = True
    return found


def error_type(headers: Mapping[str, str], body: bytes = b"") -> str:
    """Of ``x-amzn-errortype: ValidationException:http://…``, in lower case; empty when there is none.

    What stands before the service tells it in the body alone, as https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html
    has it.
    """
    told = headers.get("x-amzn-errortype")
    if not told and body:
        fault = _fault(body)
        told = next((each for each in (fault.code, fault.type) if isinstance(each, str)), None)
    return (told or "").partition(":")[0].rpartition("#")[2].strip().lower()


def tells_of_stale_credentials(kind: str) -> bool:
    """Others may have been put in their place since."""
    return kind in _STALE


def _delay(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """``x-amz-retry-after`` in milliseconds, which AWS's SDKs obey, or ``retry-after`` as HTTP has it."""
    milliseconds = headers.get("x-amz-retry-after", "")
    if milliseconds.isascii() and milliseconds.isdigit() and len(milliseconds) < _LONGEST_NUMBER:
        return timedelta(milliseconds=int(milliseconds))
    return retry_delay(headers, now)


def _message(fault: wire.Fault) -> str | None:
    return fault.message or fault.capital_message


def _fault(body: bytes) -> wire.Fault:
    try:
        return _decode_fault(body)
    except (msgspec.DecodeError, RecursionError):
        return wire.Fault()
