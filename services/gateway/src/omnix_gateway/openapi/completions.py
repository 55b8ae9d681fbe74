"""Completions, embeddings and streams."""

from typing import Final

from omnix_gateway import schema
from omnix_gateway.caching.wishes import HEADER as CACHE
from omnix_gateway.chat.answer import ChatCompletion
from omnix_gateway.chat.schema import ChatRequest
from omnix_gateway.embeddings.schema import EmbeddingList, EmbeddingRequest
from omnix_gateway.idempotency.keys import HEADER as KEY
from omnix_gateway.openapi.operation import Header, Operation
from omnix_gateway.policies import HEADER as ON_DISCONNECT
from omnix_gateway.preferences.translate import TIMEOUT

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

COMPLETIONS: Final = (
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
)
