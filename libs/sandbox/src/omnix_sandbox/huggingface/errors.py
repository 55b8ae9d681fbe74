"""The refusals of Hugging Face's servers, which have no envelope in common.

The router has its own words for keys and credits and passes on what a provider says in the provider's envelope; TGI and
TEI tell `error` and `error_type`; a proxy in front of any of them may answer plain text.
https://github.com/huggingface/text-generation-inference/blob/main/router/src/server.rs,
https://github.com/huggingface/text-embeddings-inference/blob/main/router/src/http/server.rs,
https://github.com/huggingface/smolagents/issues/2584, https://github.com/huggingface/agents-course/issues/386
"""

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from omnix_sandbox.faults import Fault, FaultKind
from omnix_sandbox.formats import Refusal

TEXT: Final = "text/plain; charset=utf-8"


def _json(status: int, told: Any, headers: Mapping[str, str] | None = None) -> Refusal:
    return Refusal(status, msgspec.json.encode(told), headers=headers or {})


def plain(status: int, text: str) -> Refusal:
    return Refusal(status, text.encode(), content_type=TEXT)


def worded(status: int, message: str) -> Refusal:
    """The router's own envelope."""
    return _json(status, {"error": message})


def enveloped(status: int, message: str, *, param: str | None = None, code: str | None = None) -> Refusal:
    """OpenAI's envelope, which the router and most providers use."""
    return _json(status, _envelope(message, "invalid_request_error", param, code))


def _envelope(message: str, type_: str, param: str | None, code: str | None) -> dict[str, Any]:
    return {"error": {"message": message, "type": type_, "param": param, "code": code}}


def wrong_key() -> Refusal:
    return worded(401, "Invalid username or password.")


def unknown_model(model: str) -> Refusal:
    return enveloped(400, f"The requested model '{model}' does not exist.", param="model", code="model_not_found")


def unserved_model(model: str) -> Refusal:
    message = f"The requested model '{model}' is not supported by any provider you have enabled."
    return enveloped(400, message, param="model", code="model_not_supported")


def invalid_body(place: str, message: str) -> Refusal:
    """As providers written with FastAPI refuse a body."""
    steps: list[str | int] = [int(step) if step.isdigit() else step for step in place.split(".") if step]
    return _json(422, {"detail": [{"type": "value_error", "loc": ["body", *steps], "msg": message}]})


def _retry(fault: Fault) -> dict[str, str]:
    """Whole seconds: none of the servers knows anything finer."""
    headers = dict(fault.headers)
    if fault.retry_after is not None:
        headers["retry-after"] = str(math.ceil(fault.retry_after))
    return headers


_CREDITS: Final = (
    "You have exceeded your monthly included credits for Inference Providers. Subscribe to PRO to get 20x more monthly "
    "included credits."
)


def of_router(fault: Fault) -> Refusal:
    """What the router answers to a fault: its own words, a provider's, or those of a proxy between."""
    headers = _retry(fault)
    message, code = fault.message, fault.code
    match fault.kind:
        case FaultKind.QUOTA:
            return _json(402, {"error": message or _CREDITS}, headers)
        case FaultKind.CONTEXT:
            text = (
                "This model's maximum context length is 131072 tokens. However, you requested 200000 tokens. Please "
                "reduce the length of the messages."
            )
            told = _envelope(message or text, "invalid_request_error", "messages", code or "context_length_exceeded")
            return _json(400, told, headers)
        case FaultKind.FILTER:
            text = "The request was rejected by the provider's content policy."
            told = _envelope(message or text, "invalid_request_error", None, code or "content_filter")
            return _json(400, told, headers)
        case _:
            return _of_status(fault.status, message, code, headers)


def _of_status(status: int, message: str | None, code: str | None, headers: Mapping[str, str]) -> Refusal:
    match status:
        case 401:
            return _json(status, {"error": message or "Invalid username or password."}, headers)
        case 402:
            return _json(status, {"error": message or _CREDITS}, headers)
        case 403:
            text = "This authentication method does not have sufficient permissions to call Inference Providers."
            return _json(status, {"error": message or text}, headers)
        case 413:
            return _json(status, {"error": message or "Payload Too Large"}, headers)
        case 422:
            detail = {"type": "value_error", "loc": ["body"], "msg": message or "Value error"}
            return _json(status, {"detail": [detail]}, headers)
        case 429:
            told = _envelope(message or "Rate limit reached.", "rate_limit_error", None, code or "rate_limit_exceeded")
            return _json(status, told, headers)
        case 502 | 504:
            text = {502: "Bad Gateway", 504: "upstream request timeout"}[status]
            return Refusal(status, (message or text).encode(), content_type=TEXT, headers=headers)
        case 503:
            text = message or "The engine is overloaded, please try again later."
            told = {"object": "error", "message": text, "type": "ServiceUnavailableError", "param": None, "code": 503}
            return _json(status, told, headers)
        case _ if status >= 500:
            return _json(status, {"error": message or "Internal Server Error"}, headers)
        case _:
            told = _envelope(message or "The request was not understood.", "invalid_request_error", None, code)
            return _json(status, told, headers)


def router_error_event(fault: Fault) -> bytes:
    """An error that a provider tells within a stream."""
    status = fault.status or 500
    text = {429: "Rate limit reached.", 503: "The engine is overloaded, please try again later."}.get(status)
    type_ = "rate_limit_error" if status == 429 else "server_error" if status >= 500 else "invalid_request_error"
    told = _envelope(fault.message or text or "Internal error.", type_, None, fault.code)
    return b"data: " + msgspec.json.encode(told) + b"\n\n"


_TGI: Final = {
    400: ("Input validation error", "validation"),
    422: ("Input validation error", "validation"),
    424: ("Request failed during generation: Server error: CUDA out of memory", "generation"),
    429: ("Model is overloaded", "overloaded"),
    500: ("Incomplete generation", "incomplete_generation"),
    503: ("unhealthy", "healthcheck"),
}
_TEI: Final = {
    400: ("`inputs` cannot be empty", "Empty"),
    422: ("Input validation error", "Validation"),
    424: ("Inference failed", "Backend"),
    429: ("Model is overloaded", "Overloaded"),
    503: ("unhealthy", "Unhealthy"),
}


def typed(status: int, message: str, type_: str) -> Refusal:
    """TGI's envelope, and TEI's."""
    return _json(status, {"error": message, "error_type": type_})


def invalid_input(message: str) -> Refusal:
    """What TGI's validation refuses."""
    return typed(422, f"Input validation error: {message}", "validation")


def invalid_tools(message: str) -> Refusal:
    return typed(422, f"Tool error: {message}", "tool_error")


def of_tgi(fault: Fault) -> Refusal:
    """What TGI, or the proxy of a dedicated endpoint, answers to a fault."""
    return _of_server(fault, _TGI)


def of_tei(fault: Fault) -> Refusal:
    return _of_server(fault, _TEI)


def _of_server(fault: Fault, known: Mapping[int, tuple[str, str]]) -> Refusal:
    headers = _retry(fault)
    status = {FaultKind.QUOTA: 402, FaultKind.CONTEXT: 422, FaultKind.FILTER: 422}.get(fault.kind, fault.status)
    if fault.kind is FaultKind.CONTEXT:
        text, type_ = "Input validation error: `inputs` must have less than 131072 tokens. Given: 200000", known[422][1]
    elif fault.kind is FaultKind.FILTER:
        text, type_ = "Input validation error: the input was rejected", known[422][1]
    elif status in known:
        text, type_ = known[status]
    elif status in (401, 404) and fault.message is None:
        return Refusal(status, b"", content_type=TEXT, headers=headers)
    else:
        # Not of the server itself, so without its type.
        return _json(status, {"error": fault.message or _BY_PROXY.get(status, "The request failed.")}, headers)
    return _json(status, {"error": fault.message or text, "error_type": fault.code or type_}, headers)


_BY_PROXY: Final = {
    402: "Payment required to use this endpoint.",
    403: "Forbidden",
    502: "Bad Gateway",
    504: "Gateway Timeout",
}


def tgi_error_event(fault: Fault) -> bytes:
    """An error within a chat stream of TGI's, which tells 422 whatever it is."""
    text, _ = _TGI.get(fault.status or 424, _TGI[424])
    return tgi_event(fault.message or text)


def tgi_event(message: str) -> bytes:
    return b"data: " + msgspec.json.encode({"error": {"message": message, "http_status_code": 422}}) + b"\n\n"


def openai_of_tei(refusal: Refusal) -> Refusal:
    """The same in the envelope of TEI's OpenAI-like path."""
    told = msgspec.json.decode(refusal.body)
    if "error_type" not in told:
        return refusal
    body = {"message": told["error"], "code": refusal.status, "type": told["error_type"]}
    return _json(refusal.status, body, refusal.headers)
