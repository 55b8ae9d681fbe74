"""AWS's refusals: status, `x-amzn-errortype` and message."""

import math
from collections.abc import Mapping
from typing import Final

import msgspec

from omnix_sandbox import formats
from omnix_sandbox.faults import Fault, FaultKind

_NAMESPACE: Final = "http://internal.amazon.com/coral/com.amazon.bedrock/"


class Refusal(formats.Refusal):
    """A request that is answered with an exception of the API; without a kind it is no exception that AWS knows."""

    def __init__(self, status: int, kind: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        told = {"x-amzn-ErrorType": f"{kind}:{_NAMESPACE}"} if kind else {}
        super().__init__(status, msgspec.json.encode({"message": message}), headers={**told, **(headers or {})})


def invalid(message: str) -> Refusal:
    """What Bedrock itself finds wrong with a request."""
    return Refusal(400, "ValidationException", message)


def invalid_for_model(message: str) -> Refusal:
    """What the model behind Bedrock finds wrong with it."""
    return invalid(f"The model returned the following errors: {message}")


def no_prefill() -> Refusal:
    """As in https://github.com/anomalyco/opencode/issues/29760."""
    return invalid_for_model(
        "This model does not support assistant message prefill. The conversation must end with a user message."
    )


def extraneous(place: str, key: str) -> Refusal:
    """A parameter that nobody knows; `place` is a JSON pointer without its `#`."""
    return invalid_for_model(
        f"Malformed input request: #{place}: extraneous key [{key}] is not permitted, please reformat your input and "
        "try again."
    )


def unknown_model() -> Refusal:
    return invalid("The provided model identifier is invalid.")


_BY_STATUS: Final[dict[int, tuple[str, str]]] = {
    400: ("ValidationException", "The input fails to satisfy the constraints specified by Amazon Bedrock."),
    401: ("UnrecognizedClientException", "The security token included in the request is invalid."),
    403: ("AccessDeniedException", "You don't have access to the model with the specified model ID."),
    404: ("ResourceNotFoundException", "Could not resolve the foundation model from the provided model identifier."),
    408: ("ModelTimeoutException", "Model has timed out in processing the request. Try your request again."),
    409: ("ConflictException", "Error occurred because of a conflict while performing an operation."),
    413: ("RequestEntityTooLargeException", "The request is too large."),
    424: (
        "ModelErrorException",
        "The system encountered an unexpected error during processing. Try your request again.",
    ),
    429: ("ThrottlingException", "Too many requests, please wait before trying again."),
    500: ("InternalServerException", "The system encountered an unexpected error during processing. Try again."),
    503: ("ServiceUnavailableException", "Bedrock is unable to process your request."),
}
_OF_KIND: Final[dict[FaultKind, tuple[int, str, str]]] = {
    FaultKind.QUOTA: (
        400,
        "ServiceQuotaExceededException",
        "Your request exceeds the service quota for your account. You can view your quotas at viewing service quotas.",
    ),
    FaultKind.CONTEXT: (
        400,
        "ValidationException",
        "The model returned the following errors: Input is too long for requested model.",
    ),
    FaultKind.FILTER: (
        400,
        "ValidationException",
        "This request has been blocked by our content filters. Our filters automatically flagged this prompt because "
        "it may conflict our AUP or AWS Responsible AI Policy. Please adjust your text prompt to submit a new request.",
    ),
}

_IN_STREAM: Final[dict[int, str]] = {
    400: "validationException",
    408: "modelTimeoutException",
    424: "modelStreamErrorException",
    429: "throttlingException",
    503: "serviceUnavailableException",
}


def _of_status(status: int) -> tuple[str, str]:
    """Type and message; a status that no exception has comes from what stands in front of AWS, and without a type."""
    return _BY_STATUS.get(status, ("", "The request could not be handled."))


def of_fault(fault: Fault) -> Refusal:
    """The refusal that a fault orders; its `code` is the exception's name.

    AWS asks for a wait with `x-amz-retry-after` in milliseconds, which its SDKs obey; whole seconds are sent as the
    `Retry-After` of HTTP.
    """
    if fault.kind in _OF_KIND:
        status, type_, message = _OF_KIND[fault.kind]
    else:
        status = fault.status
        type_, message = _of_status(status)
    headers = dict(fault.headers)
    if fault.retry_after is not None:
        if fault.retry_in_ms:
            headers["x-amz-retry-after"] = f"{fault.retry_after * 1000:.0f}"
        else:
            headers["Retry-After"] = str(math.ceil(fault.retry_after))
    return Refusal(status, fault.code or type_, fault.message or message, headers)


def in_stream(fault: Fault) -> tuple[str, dict[str, object]]:
    """Type and body of an exception within a stream; its `code` is the type."""
    status = fault.status or 500
    kind = fault.code or _IN_STREAM.get(status, "internalServerException")
    message = fault.message or _of_status(status)[1]
    body: dict[str, object] = {"message": message}
    if kind == "modelStreamErrorException":
        body |= {"originalStatusCode": status, "originalMessage": message}
    return kind, body
