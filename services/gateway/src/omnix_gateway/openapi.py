"""The OpenAPI document: made from the schemas that decode and encode, so it cannot say anything else."""

from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Final

import msgspec
from msgspec import Struct

from omnix_gateway import schema
from omnix_gateway.analytics import schema as analytics
from omnix_gateway.caching.wishes import HEADER as CACHE
from omnix_gateway.chat.answer import ChatCompletion
from omnix_gateway.chat.schema import ChatRequest
from omnix_gateway.chat.sse import ErrorEvent
from omnix_gateway.embeddings.schema import EmbeddingList, EmbeddingRequest
from omnix_gateway.errors import ErrorAnswer
from omnix_gateway.idempotency.keys import HEADER as KEY
from omnix_gateway.ledger import schema as ledger
from omnix_gateway.ledger import statements
from omnix_gateway.limits import schema as limits
from omnix_gateway.policies import HEADER as ON_DISCONNECT
from omnix_gateway.preferences.translate import TIMEOUT
from omnix_gateway.providers.schema import HealthQuery, ProviderHealthList
from omnix_gateway.routing import schema as routing
from omnix_gateway.selection.schema import ModelSelection, SelectionRequest

_REF: Final = "#/components/schemas/{name}"
_EVENTS: Final = (
    "Server-sent events: `chat.completion.chunk` objects with ids, `: keep-alive` comments, and `[DONE]` at the end of "
    "a whole answer. An id is the attempt and the number of its chunk, `1.17`. Where an attempt broke off and another "
    "one goes on, its first chunk carries `omnix.recovered` with the `attempt` and the `model`. A stream that does not "
    "end well ends with one `error` object and without `[DONE]`."
)


@dataclass(frozen=True)
class Header:
    name: str
    description: str


@dataclass(frozen=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    id: str
    tag: str
    summary: str
    answer: type[Struct] | None = None
    body: type[Struct] | None = None
    query: type[Struct] | None = None
    status: int = 200
    errors: tuple[int, ...] = ()
    description: str = ""
    streamed: bool = False
    events: type[Struct] | None = None
    """What the data of each event is, where a stream is not one of chunks."""
    files: tuple[str, ...] = ()
    """Media types of an answer that is a file."""
    is_open: bool = False
    headers: tuple[Header, ...] = ()
    answer_headers: tuple[Header, ...] = ()
    path_parameters: dict[str, str] = field(default_factory=dict)


_COMPLETION_HEADERS: Final = (
    Header("x-omnix-completion-id", "Id of the completion, and of its stream."),
    Header("x-omnix-model", "Who really answered: `provider/model`."),
    Header("x-omnix-attempts", "How many attempts it took."),
    Header("x-omnix-attempt-errors", "The attempts that failed: `provider/model=reason`, comma separated."),
    Header("x-omnix-cost", "Cost in US dollars as a decimal string; unary answers of models with a price."),
    Header("x-omnix-cost-micros", "The same in millionths."),
    Header("x-omnix-route", "The route that chose who answered."),
    Header("x-omnix-policy", "How it ordered its targets: `ordered`, `weighted`, `cheapest`, `fastest`, `balanced`."),
    Header("x-omnix-sandbox", "`true` when the sandbox answered in place of the vendor."),
    Header("openai-processing-ms", "Time to the answer's beginning."),
    Header(
        CACHE,
        "Where the request or the operator wishes something of the cache: `hit`, `miss`, `joined` (the answer to an "
        "identical request that was under way), or `bypass`.",
    ),
    Header("age", "How many seconds a `hit` is old."),
    Header("x-omnix-cache-source", "Whose answer a `hit` was first, the id that the ledger knows."),
)

_LIMIT_HEADERS: Final = tuple(
    Header(f"x-ratelimit-{what}-{counted}", f"{meaning} Where the caller has a limit of {counted} in a minute.")
    for counted in ("requests", "tokens")
    for what, meaning in (
        ("limit", "How many there may be."),
        ("remaining", "How many are left."),
        ("reset", "When there are so many again, as `1m30s` or `250ms`."),
    )
)
_LIMIT_ID: Final = {"limit_id": "Its name within the tenant: 1 to 64 of `A-Za-z0-9._-`, and not `usage`."}
_TIMEOUT_HEADER: Final = Header(TIMEOUT, "How long the caller waits for the answer or its first content, in seconds.")
_CACHE_HEADER: Final = Header(
    CACHE,
    "What may be answered from the cache and kept in it, comma separated: `on`, `off`, `ttl=<seconds>`, "
    "`max-age=<seconds>`, `no-cache`, `no-store`, `join`, `namespace=<name>`. The field `cache` says the same.",
)
_KEY_HEADER: Final = Header(
    KEY,
    "1 to 255 visible characters of ASCII that name this call. The same key with the same body, within 24 hours "
    "unless the operator says otherwise, gets the same answer and makes no second call; with another body 422. Where "
    "the answer cannot be told, 409 with `error.idempotency`.",
)
_REPLAYED_HEADER: Final = Header(
    "idempotent-replayed", "`true` when this is the answer to an earlier call with the key."
)
_REASONING_HEADERS: Final = (
    Header("x-omnix-mode", "The compute mode that was honoured."),
    Header(
        "x-omnix-reasoning",
        "How reasoning was controlled: an effort, a number of tokens, `on`, `none`, or `fixed` where it cannot be.",
    ),
    Header("x-omnix-reasoning-note", "Why this differs from what was asked."),
)

_ETAG_HEADER: Final = Header("ETag", "The route's version; routes of the file have none.")
_MATCH_HEADERS: Final = (Header("If-Match", "The version that is expected, as an `ETag` tells it; else 409."),)
_ROUTE_NAME: Final = {
    "name": "The route's name. It may contain `/` and `*`; one that ends in `/versions` or `/rollback` has `%2F` there."
}

_MONTH: Final = {"month": "Such as `2026-11`."}
_RULE_ID: Final = {"rule_id": "1 to 64 of `A-Za-z0-9._-`."}

OPERATIONS: Final = (
    Operation(
        "post",
        "/v1/chat/completions",
        "create_chat_completion",
        "Chat",
        "Answer a conversation, whole or streamed.",
        answer=ChatCompletion,
        body=ChatRequest,
        errors=(400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504),
        streamed=True,
        headers=(
            Header(
                ON_DISCONNECT,
                "`cancel` (default), `continue` (default with an idempotency key) or `grace=30s`, for when a streaming "
                "client leaves.",
            ),
            _TIMEOUT_HEADER,
            _CACHE_HEADER,
            _KEY_HEADER,
        ),
        answer_headers=(*_COMPLETION_HEADERS, *_REASONING_HEADERS, *_LIMIT_HEADERS, _REPLAYED_HEADER),
    ),
    Operation(
        "post",
        "/v1/embeddings",
        "create_embedding",
        "Embeddings",
        "Turn texts into vectors.",
        answer=EmbeddingList,
        body=EmbeddingRequest,
        errors=(400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504),
        description="One vector for each input, in their order.",
        headers=(_TIMEOUT_HEADER, _CACHE_HEADER, _KEY_HEADER),
        answer_headers=(*_COMPLETION_HEADERS, *_LIMIT_HEADERS, _REPLAYED_HEADER),
    ),
    Operation(
        "get",
        "/v1/streams",
        "list_streams",
        "Chat",
        "List the streamed completions that are open now.",
        schema.OpenStreamList,
        query=schema.StreamsQuery,
        errors=(400, 401, 403, 503),
        description="Those of the key; for admins those of the tenant.",
    ),
    Operation(
        "get",
        "/v1/streams/{stream_id}",
        "resume_stream",
        "Chat",
        "Resume or watch a streamed completion.",
        query=schema.StreamQuery,
        errors=(400, 401, 404, 503),
        description="Any number of clients may watch. Everything from the beginning, or what follows `Last-Event-ID`.",
        streamed=True,
        headers=(Header("Last-Event-ID", "Id of the last event that the client has, such as `1.17`."),),
        answer_headers=_COMPLETION_HEADERS[:2],
        path_parameters={"stream_id": "The completion's id, with or without `chatcmpl-`."},
    ),
    Operation(
        "delete",
        "/v1/streams/{stream_id}",
        "cancel_stream",
        "Chat",
        "Cancel a streamed completion.",
        answer=schema.StreamCancelled,
        errors=(401, 404, 503),
        path_parameters={"stream_id": "The completion's id, with or without `chatcmpl-`."},
    ),
    Operation(
        "get", "/v1/models", "list_models", "Models", "List models and routes.", schema.ModelList, errors=(401, 503)
    ),
    Operation(
        "get",
        "/v1/models/{model_id}",
        "get_model",
        "Models",
        "Describe one model or route.",
        schema.Model,
        errors=(401, 404, 503),
        path_parameters={"model_id": "Any name that a request may use; it may contain `/`."},
    ),
    Operation(
        "post",
        "/v1/models/select",
        "select_models",
        "Models",
        "Order the models that fit what is required.",
        ModelSelection,
        SelectionRequest,
        errors=(400, 401, 413, 503),
        description=(
            "The cheapest of like quality comes first. Asking for the model `auto` has a request answered by the first "
            "of these, with requirements read off the request itself."
        ),
    ),
    Operation(
        "get",
        "/v1/providers/health",
        "list_provider_health",
        "Models",
        "Tell how the providers fare.",
        ProviderHealthList,
        query=HealthQuery,
        errors=(400, 401, 503),
        description=(
            "While a model's circuit is open it is not called. Circuits and history are known to all routers together; "
            "calls and times are those of the router that answers."
        ),
    ),
    Operation(
        "get",
        "/v1/usage",
        "list_usage",
        "Usage",
        "List attempts, newest first.",
        schema.UsageList,
        query=schema.UsageQuery,
        errors=(400, 401, 503),
        description=(
            "One entry for each attempt at a vendor. Members see their own key's, admins the tenant's. Beside the "
            "parameters below, `metadata.<name>=<value>` asks for one label of the caller's."
        ),
    ),
    Operation(
        "get",
        "/v1/usage/summary",
        "summarize_usage",
        "Usage",
        "Add usage up by provider, model and currency.",
        schema.UsageSummary,
        query=schema.UsageQuery,
        errors=(400, 401, 503),
    ),
    Operation(
        "get",
        "/v1/usage/export",
        "export_usage",
        "Usage",
        "Download attempts as a file, newest first.",
        query=schema.UsageExportQuery,
        errors=(400, 401, 503),
        description=(
            "JSON Lines of the entries that `/v1/usage` lists, or CSV with a head. The answer has no announced length; "
            "where it cannot go on the connection breaks, and `end_time` goes on where it broke. Takes "
            "`metadata.<name>=<value>`, too."
        ),
        files=("application/jsonl", "text/csv"),
    ),
    Operation(
        "post",
        "/v1/usage/rerate",
        "rerate_usage",
        "Usage",
        "Rate a page of attempts again.",
        ledger.Rerating,
        ledger.RerateRequest,
        errors=(400, 401, 403, 409, 413, 503),
        description="Doing it again changes nothing. What stood before is in the entries' `former_ratings`.",
    ),
    Operation(
        "get",
        "/v1/pricing/rules",
        "list_price_rules",
        "Pricing",
        "List the price rules, by id.",
        ledger.PriceRuleList,
        errors=(401, 403, 503),
        description="Of several that hold for an attempt, the one with the longest pattern is taken, then the latest.",
    ),
    Operation(
        "get",
        "/v1/pricing/rules/{rule_id}",
        "get_price_rule",
        "Pricing",
        "Show one price rule.",
        ledger.PriceRule,
        errors=(401, 403, 404, 503),
        path_parameters=_RULE_ID,
    ),
    Operation(
        "put",
        "/v1/pricing/rules/{rule_id}",
        "put_price_rule",
        "Pricing",
        "Write a price rule, new or anew, for what is recorded from then on.",
        ledger.PriceRule,
        ledger.PriceRuleRequest,
        errors=(400, 401, 403, 409, 413, 503),
        description="The status is 201 where the rule is new.",
        path_parameters=_RULE_ID,
    ),
    Operation(
        "delete",
        "/v1/pricing/rules/{rule_id}",
        "delete_price_rule",
        "Pricing",
        "Delete a price rule.",
        ledger.PriceRuleDeleted,
        errors=(401, 403, 404, 503),
        path_parameters=_RULE_ID,
    ),
    Operation(
        "get",
        "/v1/pricing/credits",
        "list_credits",
        "Pricing",
        "List the credits, by id.",
        ledger.CreditList,
        errors=(401, 403, 503),
    ),
    Operation(
        "post",
        "/v1/pricing/credits",
        "create_credit",
        "Pricing",
        "Give a credit.",
        ledger.Credit,
        ledger.CreditRequest,
        status=201,
        errors=(400, 401, 403, 409, 413, 503),
    ),
    Operation(
        "get",
        "/v1/statements/{month}",
        "get_statement",
        "Pricing",
        "Tell what is billed for a month.",
        statements.Statement,
        errors=(400, 401, 403, 503),
        description="As it was closed, or as it would be now.",
        path_parameters=_MONTH,
    ),
    Operation(
        "post",
        "/v1/statements/{month}/close",
        "close_statement",
        "Pricing",
        "Freeze the statement of a month that has ended.",
        statements.Statement,
        errors=(400, 401, 403, 409, 503),
        description=(
            "Months are closed in their order, and once: closing one again tells it as it is. What changes in it "
            "afterwards is an adjustment in the next statement."
        ),
        path_parameters=_MONTH,
    ),
    Operation(
        "get",
        "/v1/analytics/series",
        "query_series",
        "Analytics",
        "Tell figures over time.",
        analytics.FiguresSeries,
        query=analytics.SeriesQuery,
        errors=(400, 401, 403, 503),
        description="Admins see the tenant's, others their key's, or with their own `user_id` their user's.",
    ),
    Operation(
        "get",
        "/v1/analytics/totals",
        "query_totals",
        "Analytics",
        "Tell figures of a time, altogether and by group.",
        analytics.FiguresTotals,
        query=analytics.TotalsQuery,
        errors=(400, 401, 403, 503),
    ),
    Operation(
        "get",
        "/v1/analytics/live",
        "watch_figures",
        "Analytics",
        "Watch the figures of the last minutes.",
        query=analytics.LiveQuery,
        errors=(400, 401, 403, 503),
        description=(
            "Each event `figures` tells the whole window anew, at once and within two seconds of a change; a stream "
            "that the gateway ends has an event `error` before."
        ),
        events=analytics.LiveFigures,
    ),
    Operation(
        "post",
        "/v1/analytics/rebuild",
        "start_rebuild",
        "Analytics",
        "Make the figures of some days anew from the ledger.",
        analytics.Rebuild,
        analytics.RebuildRequest,
        status=202,
        errors=(400, 401, 403, 409, 413, 503),
    ),
    Operation(
        "get",
        "/v1/analytics/rebuild",
        "get_rebuild",
        "Analytics",
        "Tell how far a rebuild is.",
        analytics.Rebuild,
        query=analytics.RebuildQuery,
        errors=(400, 401, 403, 404, 503),
    ),
    Operation(
        "post",
        "/v1/keys",
        "create_key",
        "Keys",
        "Make a key; its secret is told once.",
        schema.NewKey,
        schema.KeyRequest,
        status=201,
        errors=(400, 401, 403, 413, 503),
    ),
    Operation(
        "get",
        "/v1/keys",
        "list_keys",
        "Keys",
        "List the tenant's keys, newest first.",
        schema.KeyList,
        query=schema.KeyQuery,
        errors=(400, 401, 403, 503),
    ),
    Operation(
        "delete",
        "/v1/keys/{key_id}",
        "revoke_key",
        "Keys",
        "Revoke a key; its open streams end.",
        schema.Key,
        errors=(401, 403, 404, 503),
        path_parameters={"key_id": "The key's id, not its secret."},
    ),
    Operation(
        "get",
        "/v1/limits",
        "list_limits",
        "Limits",
        "List the tenant's limits, by id.",
        limits.LimitList,
        errors=(401, 403, 503),
    ),
    Operation(
        "get",
        "/v1/limits/usage",
        "get_limit_usage",
        "Limits",
        "Tell how much is used of the limits that concern the caller.",
        limits.LimitUsageList,
        errors=(401, 403, 503),
    ),
    Operation(
        "get",
        "/v1/limits/{limit_id}",
        "get_limit",
        "Limits",
        "Show one limit.",
        limits.Limit,
        errors=(401, 403, 404, 503),
        path_parameters=_LIMIT_ID,
    ),
    Operation(
        "put",
        "/v1/limits/{limit_id}",
        "put_limit",
        "Limits",
        "Make a limit, or put another in its place; all gateways heed it at once.",
        limits.Limit,
        limits.LimitRequest,
        errors=(400, 401, 403, 413, 503),
        description="The status is 201 where the limit is new.",
        path_parameters=_LIMIT_ID,
    ),
    Operation(
        "delete",
        "/v1/limits/{limit_id}",
        "delete_limit",
        "Limits",
        "Delete a limit.",
        limits.LimitDeleted,
        errors=(401, 403, 404, 503),
        path_parameters=_LIMIT_ID,
    ),
    Operation(
        "get",
        "/v1/routes",
        "list_routes",
        "Routes",
        "List the routes, by name.",
        routing.RouteList,
        query=routing.RouteQuery,
        errors=(400, 401, 403, 503),
        description="Those of the router's file and those of its store, which this API changes.",
    ),
    Operation(
        "get",
        "/v1/routes/{name}",
        "get_route",
        "Routes",
        "Show one route, the one in force.",
        routing.Route,
        errors=(400, 401, 403, 404, 503),
        answer_headers=(_ETAG_HEADER,),
        path_parameters=_ROUTE_NAME,
    ),
    Operation(
        "put",
        "/v1/routes/{name}",
        "put_route",
        "Routes",
        "Write a route, new or anew; all routers use it at once.",
        routing.Route,
        routing.RouteRequest,
        query=routing.PutRouteQuery,
        errors=(400, 401, 403, 409, 413, 503),
        description="The status is 201 where the route is new. With `validate_only` it is judged, and nothing changes.",
        headers=(*_MATCH_HEADERS, Header("If-None-Match", "`*`: the route must be new.")),
        answer_headers=(_ETAG_HEADER,),
        path_parameters=_ROUTE_NAME,
    ),
    Operation(
        "delete",
        "/v1/routes/{name}",
        "delete_route",
        "Routes",
        "Delete a route.",
        routing.RouteDeleted,
        errors=(400, 401, 403, 404, 409, 503),
        description="For 90 days it can be rolled back to one of its versions.",
        headers=_MATCH_HEADERS,
        path_parameters=_ROUTE_NAME,
    ),
    Operation(
        "get",
        "/v1/routes/{name}/versions",
        "list_route_versions",
        "Routes",
        "Tell who changed a route, when and how, newest first.",
        routing.RouteVersionList,
        errors=(400, 401, 403, 404, 503),
        path_parameters=_ROUTE_NAME,
    ),
    Operation(
        "post",
        "/v1/routes/{name}/rollback",
        "rollback_route",
        "Routes",
        "Take an earlier version of a route again, as a new one.",
        routing.Route,
        routing.RollbackRequest,
        errors=(400, 401, 403, 404, 409, 413, 503),
        headers=_MATCH_HEADERS,
        answer_headers=(_ETAG_HEADER,),
        path_parameters=_ROUTE_NAME,
    ),
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
