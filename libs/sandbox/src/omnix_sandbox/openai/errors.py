"""OpenAI's refusals: status, envelope and headers."""

import math
from collections.abc import Mapping

import msgspec

from omnix_sandbox import formats
from omnix_sandbox.faults import Fault, FaultKind


class Refusal(formats.Refusal):
    """A request that is answered with an error envelope."""

    def __init__(
        self,
        status: int,
        message: str,
        type: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, envelope(message, type, param, code), headers=headers or {})


def envelope(message: str, type_: str, param: str | None, code: str | None) -> bytes:
    error = {"message": message, "type": type_, "param": param, "code": code}
    return msgspec.json.format(msgspec.json.encode({"error": error}), indent=2) + b"\n"


def missing_key() -> Refusal:
    return Refusal(
        401,
        "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
        "(i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing the "
        "API from your browser and are prompted for a username and password. You can obtain an API key from "
        "https://platform.openai.com/account/api-keys.",
        headers={"WWW-Authenticate": 'Bearer realm="OpenAI API"'},
    )


def wrong_key() -> Refusal:
    return Refusal(
        401,
        "Incorrect API key provided. You can find your API key at https://platform.openai.com/account/api-keys.",
        code="invalid_api_key",
    )


def unknown_model(model: str) -> Refusal:
    return Refusal(404, f"The model `{model}` does not exist or you do not have access to it.", code="model_not_found")


def unknown_parameter(param: str) -> Refusal:
    return Refusal(400, f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")


_BY_STATUS: dict[int, tuple[str, str | None, str]] = {
    400: ("invalid_request_error", None, "The request was not understood."),
    401: (
        "invalid_request_error",
        "invalid_api_key",
        "Incorrect API key provided. You can find your API key at https://platform.openai.com/account/api-keys.",
    ),
    403: (
        "request_forbidden",
        "unsupported_country_region_territory",
        "Country, region, or territory not supported",
    ),
    404: ("invalid_request_error", "model_not_found", "The model does not exist or you do not have access to it."),
    408: ("invalid_request_error", "request_timeout", "Request timed out."),
    409: ("invalid_request_error", "conflict", "The resource is in use."),
    413: ("invalid_request_error", "request_too_large", "Request too large."),
    422: ("invalid_request_error", None, "The request was well-formed but could not be followed."),
    429: (
        "requests",
        "rate_limit_exceeded",
        "Rate limit reached for requests. Limit: 60 / min. Please try again later. "
        "Visit https://platform.openai.com/account/rate-limits to learn more.",
    ),
    500: (
        "server_error",
        None,
        "The server had an error while processing your request. Sorry about that!",
    ),
    503: (
        "service_unavailable_error",
        "server_is_overloaded",
        "The server is currently overloaded with other requests. Sorry about that! Please retry your request.",
    ),
}
_OF_KIND: dict[FaultKind, tuple[int, str, str, str | None, str]] = {
    FaultKind.QUOTA: (
        429,
        "insufficient_quota",
        "insufficient_quota",
        None,
        "You exceeded your current quota, please check your plan and billing details. For more information on this "
        "error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.",
    ),
    FaultKind.CONTEXT: (
        400,
        "invalid_request_error",
        "context_length_exceeded",
        "messages",
        "This model's maximum context length is 8192 tokens. However, your messages resulted in more tokens. "
        "Please reduce the length of the messages.",
    ),
    FaultKind.FILTER: (
        400,
        "invalid_request_error",
        "content_filter",
        "messages",
        "The response was filtered due to the prompt triggering our content management policy. "
        "Please modify your prompt and retry.",
    ),
}


def error_event(fault: Fault) -> bytes:
    """The event by which a stream tells that it failed; without a status the server's own error."""
    type_, code, message = _of_status(fault.status or 500)
    error = {"message": fault.message or message, "type": type_, "param": None, "code": fault.code or code}
    return b"data: " + msgspec.json.encode({"error": error}) + b"\n\n"


def _of_status(status: int) -> tuple[str, str | None, str]:
    return _BY_STATUS.get(status, _BY_STATUS[400 if status < 500 else 500])


def of_fault(fault: Fault) -> Refusal:
    """The refusal that a fault orders."""
    code: str | None
    param: str | None
    if fault.kind in _OF_KIND:
        status, type_, code, param, message = _OF_KIND[fault.kind]
    else:
        status, param = fault.status, None
        type_, code, message = _of_status(status)
    headers = dict(fault.headers)
    if fault.retry_after is not None:
        if fault.retry_in_ms:
            headers["retry-after-ms"] = f"{fault.retry_after * 1000:.0f}"
        else:
            headers["retry-after"] = str(math.ceil(fault.retry_after))
    return Refusal(status, fault.message or message, type_, param, fault.code or code, headers)
