"""Google's refusals: a status by number and by name, a message, and typed details.

The shapes of what the Gemini API answers to a limit:
https://github.com/RooCodeInc/Roo-Code/issues/3883, https://github.com/google-gemini/gemini-cli/issues/8437
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from omnix_sandbox import formats
from omnix_sandbox.faults import Fault, FaultKind

Detail = Mapping[str, Any]

_TYPE: Final = "type.googleapis.com/google.rpc."
_SERVICE: Final = "generativelanguage.googleapis.com"
_LIMITS: Final = "https://ai.google.dev/gemini-api/docs/rate-limits"


class Refusal(formats.Refusal):
    """A request that is answered with Google's error envelope."""

    def __init__(
        self,
        status: int,
        message: str,
        name: str,
        details: Sequence[Detail] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        told = {"code": status, "message": message, "status": name, **({"details": details} if details else {})}
        self.envelope = {"error": told}
        super().__init__(
            status, msgspec.json.format(msgspec.json.encode(self.envelope), indent=2) + b"\n", headers=headers or {}
        )


class BadRequest(Refusal):
    """400 for fields by name: pairs of a place, which may be empty, and what is wrong there."""

    def __init__(self, violations: Sequence[tuple[str, str]]) -> None:
        told = [{"field": place, "description": text} if place else {"description": text} for place, text in violations]
        detail = {"@type": _TYPE + "BadRequest", "fieldViolations": told}
        super().__init__(400, "\n".join(text for _, text in violations), "INVALID_ARGUMENT", [detail])


def invalid_argument(message: str) -> Refusal:
    return Refusal(400, message, "INVALID_ARGUMENT")


def not_found(model: str, version: str, method: str) -> Refusal:
    return Refusal(
        404,
        f"models/{model} is not found for API version {version}, or is not supported for {method}. "
        "Call ListModels to see the list of available models and their supported methods.",
        "NOT_FOUND",
    )


def publisher_model_not_found(resource: str) -> Refusal:
    return Refusal(
        404,
        f"Publisher Model `{resource}` was not found or your project does not have access to it. Please ensure you are "
        "using a valid model version. For more information, see: "
        "https://cloud.google.com/vertex-ai/generative-ai/docs/learn/model-versions",
        "NOT_FOUND",
    )


def _reason(reason: str, **metadata: str) -> Detail:
    return {"@type": _TYPE + "ErrorInfo", "reason": reason, "domain": "googleapis.com", "metadata": metadata}


def missing_key() -> Refusal:
    return Refusal(
        403,
        "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other "
        "form of API consumer identity to call this API.",
        "PERMISSION_DENIED",
    )


def wrong_key() -> Refusal:
    message = "API key not valid. Please pass a valid API key."
    localized = {"@type": _TYPE + "LocalizedMessage", "locale": "en-US", "message": message}
    return Refusal(400, message, "INVALID_ARGUMENT", [_reason("API_KEY_INVALID", service=_SERVICE), localized])


_UNAUTHENTICATED: Final = (
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
    "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
)


def wrong_token(reason: str) -> Refusal:
    return Refusal(
        401,
        _UNAUTHENTICATED,
        "UNAUTHENTICATED",
        [_reason(reason, service="aiplatform.googleapis.com", method="google.cloud.aiplatform.PredictionService")],
        {"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/", error="invalid_token"'},
    )


_QUOTA_MESSAGE: Final = (
    "You exceeded your current quota, please check your plan and billing details. For more information on this error, "
    f"head to: {_LIMITS}."
)
_BY_STATUS: Final[dict[int, tuple[str, str]]] = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: ("UNAUTHENTICATED", _UNAUTHENTICATED),
    403: ("PERMISSION_DENIED", "Your API key was reported as leaked. Please use another API key."),
    404: ("NOT_FOUND", "Requested entity was not found."),
    409: ("ABORTED", "The operation was aborted."),
    413: ("INVALID_ARGUMENT", "Request payload size exceeds the limit: 20971520 bytes."),
    429: ("RESOURCE_EXHAUSTED", _QUOTA_MESSAGE),
    499: ("CANCELLED", "The operation was cancelled."),
    500: (
        "INTERNAL",
        "An internal error has occurred. Please retry or report in "
        "https://developers.generativeai.google/guide/troubleshooting",
    ),
    501: ("UNIMPLEMENTED", "Operation is not implemented, or supported, or enabled."),
    503: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
    504: ("DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
}
_VERTEX_EXHAUSTED: Final = (
    "Resource exhausted. Please try again later. Please refer to "
    "https://cloud.google.com/vertex-ai/generative-ai/docs/error-code-429 for more details."
)


def of_fault(fault: Fault, model: str = "", *, vertex: bool = False) -> Refusal:
    """The refusal that a fault orders.

    The wait is told in the body alone: Google sends no `Retry-After`.
    """
    if fault.kind is FaultKind.CONTEXT:
        message = "The input token count (1200293) exceeds the maximum number of tokens allowed (1048576)."
        return invalid_argument(fault.message or message)
    status = {FaultKind.QUOTA: 429, FaultKind.FILTER: 400}.get(fault.kind, fault.status)
    name, message = _BY_STATUS.get(status, _BY_STATUS[400 if status < 500 else 503])
    details: list[Detail] = []
    if fault.code is not None:
        details.append(_reason(fault.code, service=_SERVICE))
    elif status == 401:
        details.append(_reason("ACCESS_TOKEN_TYPE_UNSUPPORTED", service=_SERVICE))
    if status == 429 and vertex:
        message = _VERTEX_EXHAUSTED
    elif status == 429:
        details += _quota(model, per="Day" if fault.kind is FaultKind.QUOTA else "Minute")
    if fault.retry_after is not None:
        seconds = f"{fault.retry_after:.9f}".rstrip("0").rstrip(".")
        details.append({"@type": _TYPE + "RetryInfo", "retryDelay": f"{seconds}s"})
    return Refusal(status, fault.message or message, name, details, fault.headers)


def _quota(model: str, *, per: str) -> list[Detail]:
    violation = {
        "quotaMetric": f"{_SERVICE}/generate_content_free_tier_requests",
        "quotaId": f"GenerateRequestsPer{per}PerProjectPerModel-FreeTier",
        "quotaDimensions": {"location": "global", "model": model or "gemini-2.5-flash"},
        "quotaValue": "10",
    }
    link = {"description": "Learn more about Gemini API quotas", "url": _LIMITS}
    return [
        {"@type": _TYPE + "QuotaFailure", "violations": [violation]},
        {"@type": _TYPE + "Help", "links": [link]},
    ]
