"""The OpenAPI document: made from the schemas that decode and encode, so it cannot say anything else."""

from importlib.metadata import version
from typing import Any, Final

import msgspec
from msgspec import Struct

from omnix_gateway.chat.sse import ErrorEvent
from omnix_gateway.errors import ErrorAnswer
from omnix_gateway.openapi.access import ACCESS
from omnix_gateway.openapi.accounting import ACCOUNTING
from omnix_gateway.openapi.completions import COMPLETIONS
from omnix_gateway.openapi.models import MODELS
from omnix_gateway.openapi.operation import Operation

_REF: Final = "#/components/schemas/{name}"
_EVENTS: Final = (
    "Server-sent events: `chat.completion.chunk` objects with ids, `: keep-alive` comments, and `[DONE]` at the end of "
    "a whole answer. An id is the attempt and the number of its chunk, `1.17`. Where an attempt broke off and another "
    "one goes on, its first chunk carries `omnix.recovered` with the `attempt` and the `model`. A stream that does not "
    "end well ends with one `error` object and without `[DONE]`."
)

OPERATIONS: Final = (
    *COMPLETIONS,
    *MODELS,
    *ACCOUNTING,
    *ACCESS,
    Operation("get", "/livez", "livez", "Health", "Whether the process lives.", is_open=True),
    Operation("get", "/readyz", "readyz", "Health", "Whether it can serve.", errors=(503,), is_open=True),
    Operation("get", "/openapi.json", "openapi", "Documents", "This document.", is_open=True),
    Operation("get", "/docs", "docs", "Documents", "This document, to read.", is_open=True),
    Operation("get", "/", "root", "Documents", "Where to look.", is_open=True),
)

_MEANINGS: Final = {
    400: "The request is malformed, or asks for what cannot be honoured; `param` names the field.",
    401: "No key, or one that does not hold.",
    403: "The key does not carry the right.",
    404: "There is no such thing, or none that the key may see.",
    408: "The body did not arrive in time.",
    409: "It is not in the state that was expected, or another part of OmniX holds it; read it again.",
    413: "The body is too large.",
    422: "The idempotency key was given to another request.",
    429: "Too many requests, or a quota is used up; see `retry-after`.",
    500: "A defect of OmniX.",
    502: "The provider failed.",
    503: "A part of OmniX is away or has too much to do; see `retry-after`.",
    504: "The provider was silent, or the deadline passed.",
}


def document() -> dict[str, Any]:
    """The whole document, OpenAPI 3.1."""
    kinds: list[type[Struct]] = [ErrorAnswer, ErrorEvent]
    for operation in OPERATIONS:
        kinds += [
            kind for kind in (operation.answer, operation.body, operation.query, operation.events) if kind is not None
        ]
    refs, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    schemas = dict(zip(kinds, refs, strict=True))
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation, schemas, components)
    queries = {operation.query.__name__ for operation in OPERATIONS if operation.query is not None}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "OmniX",
            "version": version("omnix-gateway"),
            "summary": "One API in front of many model providers, in OpenAI's words.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"bearer": []}, {"x-api-key": []}, {"api-key": []}],
        "paths": paths,
        "components": {
            "schemas": {name: told for name, told in components.items() if name not in queries},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "api-key": {"type": "apiKey", "in": "header", "name": "api-key"},
            },
        },
    }


def _operation(operation: Operation, schemas: dict[type[Struct], Any], components: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {"operationId": operation.id, "tags": [operation.tag], "summary": operation.summary}
    if operation.description:
        told["description"] = operation.description
    if operation.is_open:
        told["security"] = []
    parameters = [
        {"name": name, "in": "path", "required": True, "description": text, "schema": {"type": "string"}}
        for name, text in operation.path_parameters.items()
    ]
    if operation.query is not None:
        properties = components[operation.query.__name__]["properties"]
        parameters += [{"name": name, "in": "query", "schema": kind} for name, kind in properties.items()]
    parameters += [
        {"name": header.name, "in": "header", "description": header.description, "schema": {"type": "string"}}
        for header in operation.headers
    ]
    if parameters:
        told["parameters"] = parameters
    if operation.body is not None:
        told["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schemas[operation.body]}},
        }
    content: dict[str, Any] = {}
    if operation.answer is not None:
        content["application/json"] = {"schema": schemas[operation.answer]}
    if operation.streamed:
        content["text/event-stream"] = {"schema": {"type": "string", "description": _EVENTS}}
    if operation.events is not None:
        content["text/event-stream"] = {"schema": schemas[operation.events]}
    for media_type in operation.files:
        content[media_type] = {"schema": {"type": "string"}}
    answer: dict[str, Any] = {"description": operation.summary}
    if content:
        answer["content"] = content
    if operation.answer_headers:
        answer["headers"] = {
            header.name: {"description": header.description, "schema": {"type": "string"}}
            for header in operation.answer_headers
        }
    told["responses"] = {str(operation.status): answer}
    for status in operation.errors:
        told["responses"][str(status)] = {
            "description": _MEANINGS[status],
            "content": {"application/json": {"schema": schemas[ErrorAnswer]}},
        }
    return told
