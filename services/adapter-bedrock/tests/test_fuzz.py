"""Any request that the types can say translates or is refused; any answer is read or told apart."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from itertools import pairwise
from typing import Any, TypeVar

import msgspec
import pytest
from botocore.session import Session
from botocore.validate import ParamValidator
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from omnix_adapter_bedrock.eventstream import Frame
from omnix_adapter_bedrock.translate import (
    EventReader,
    completion_from_wire,
    converse_body,
    embedding_body,
    embeddings_from_wire,
)
from omnix_provider import fuzzing
from omnix_provider.errors import Refused
from omnix_provider.types import (
    Attempt,
    Audio,
    CacheBreakpoint,
    CompletionRequest,
    Effort,
    EmbeddingRequest,
    File,
    FormatKind,
    Image,
    Message,
    Reasoned,
    Reasoning,
    ResponseFormat,
    Role,
    Sampling,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
)

T = TypeVar("T")
MODELS = st.sampled_from(
    [
        "anthropic.claude-3-7-sonnet-20250219-v1:0",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "global.anthropic.claude-opus-4-6-v1",
        "anthropic.claude-opus-5",
        "us.amazon.nova-2-lite-v1:0",
        "amazon.nova-pro-v1:0",
        "amazon.titan-text-express-v1",
        "openai.gpt-oss-20b-1:0",
        "openai.gpt-5.6-sol",
        "meta.llama3-3-70b-instruct-v1:0",
        "mistral.mistral-large-2407-v1:0",
        "sandbox-tokens-1",
        "amazon.titan-embed-text-v2:0",
        "cohere.embed-v4:0",
        "amazon.nova-2-multimodal-embeddings-v1:0",
    ]
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(["a", "é", "\x00", " "])
JSON = st.sampled_from(["{}", '{"type":"object"}', '{"a":12345678901234567890123,"b":1e999}'])
BYTES = st.binary(min_size=1, max_size=4)


def seldom(strategy: st.SearchStrategy[T]) -> st.SearchStrategy[T | None]:
    return st.integers(0, 9).flatmap(lambda number: strategy if number == 9 else st.none())


CACHE = seldom(st.builds(CacheBreakpoint, st.sampled_from([None, timedelta(minutes=5), timedelta(hours=1)])))
SAID = st.builds(Text, TEXTS, CACHE)
SHOWN = st.one_of(
    SAID,
    st.builds(Image, data=BYTES, media_type=st.sampled_from(["", "image/png", "image/gif"]), cache=CACHE),
    st.builds(
        File, data=BYTES, media_type=st.sampled_from(["application/pdf", "video/3gpp", "text/csv"]), filename=TEXTS
    ),
)
HEARD = st.builds(Audio, BYTES, st.sampled_from(["wav", "mp3"]), CACHE)
CALLS = st.builds(ToolCall, st.text(min_size=1, max_size=80), st.sampled_from(["get", "put"]), JSON)
THOUGHTS = st.builds(
    Reasoned, TEXTS, st.sampled_from([b"", b"c2ln"]), st.binary(max_size=3), st.sampled_from(["", "bedrock", "gemini"])
)


def several(strategy: st.SearchStrategy[T]) -> st.SearchStrategy[tuple[T, ...]]:
    return st.lists(strategy, max_size=3).map(tuple)


MESSAGES = st.one_of(
    st.builds(Message, st.sampled_from([Role.SYSTEM, Role.DEVELOPER]), several(SAID)),
    st.builds(Message, st.just(Role.USER), several(SHOWN | HEARD)),
    st.builds(
        Message,
        st.just(Role.ASSISTANT),
        several(SAID),
        tool_calls=several(CALLS),
        reasoning=several(THOUGHTS),
        refusal=st.just("") | TEXTS,
    ),
    st.builds(
        Message,
        st.just(Role.TOOL),
        several(SHOWN),
        tool_call_id=st.text(min_size=1, max_size=80),
        tool_failed=st.booleans(),
    ),
)
# Nearly all of what the shared strategy makes up is refused; these requests come further.
REQUESTS = st.builds(
    CompletionRequest,
    model=st.just("m"),
    messages=st.lists(MESSAGES, min_size=1, max_size=5).map(tuple),
    tools=several(st.builds(Tool, st.sampled_from(["get", "put"]), TEXTS, JSON, seldom(st.booleans()), CACHE)),
    tool_choice=seldom(st.builds(ToolChoice, st.sampled_from(ToolMode), st.just("get"))),
    parallel_tool_calls=seldom(st.booleans()),
    response_format=seldom(
        st.builds(ResponseFormat, st.sampled_from(FormatKind), TEXTS, TEXTS, JSON, st.none() | st.booleans())
    ),
    sampling=st.builds(Sampling, *(seldom(st.floats(0, 1.1)) for _ in range(2)), seldom(st.integers(1, 500))),
    max_output_tokens=seldom(st.integers(1, 5000)),
    stop=several(st.text(min_size=1, max_size=3)),
    reasoning=seldom(
        st.builds(Reasoning, st.none() | st.sampled_from(Effort), seldom(st.integers(0, 3000)), st.booleans())
    ),
    metadata=st.dictionaries(TEXTS, TEXTS, max_size=2),
    end_user=st.just("") | TEXTS,
    vendor_parameters=seldom(
        st.sampled_from([{"service_tier": '"flex"'}, {"additionalModelRequestFields": '{"x":[1]}'}])
    ).map(lambda found: found or {}),
)
CONVERSE = Session().get_service_model("bedrock-runtime").operation_model("Converse").input_shape
MANY = settings(
    max_examples=250, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], database=None
)


def translated_or_refused(translate: Callable[[], bytes]) -> bytes | None:
    refused: Refused | None = None
    try:
        return translate()
    except Refused as exc:
        refused = exc
    assert refused.param
    assert not refused.reached
    return None


@given(fuzzing.requests(), fuzzing.attempts("bedrock", MODELS))
@MANY
def test_any_request_translates_or_is_refused(request: CompletionRequest, attempt: Attempt) -> None:
    translated_or_refused(lambda: converse_body(request, attempt))


@given(REQUESTS, fuzzing.attempts("bedrock", MODELS))
@MANY
def test_what_translates_is_what_the_sdk_would_send(request: CompletionRequest, attempt: Attempt) -> None:
    """By AWS's own model of Converse; and what Converse demands beyond it."""
    data = translated_or_refused(lambda: converse_body(request, attempt))
    if data is None:
        return
    event("translates")
    made = msgspec.json.decode(data)
    roles = [message["role"] for message in made["messages"]]
    assert all(before != after for before, after in pairwise(roles))
    assert all(message["content"] for message in made["messages"])
    blocks = [block for message in made["messages"] for block in message["content"]]
    assert all(len(block) == 1 for block in blocks)
    called = any("toolUse" in block or "toolResult" in block for block in blocks)
    assert "toolConfig" in made or not called
    report = ParamValidator().validate({"modelId": "m", **made}, CONVERSE)
    assert not report.has_errors(), report.generate_report()


@given(fuzzing.embedding_requests(), fuzzing.attempts("bedrock", MODELS))
@MANY
def test_any_embedding_request_translates_or_is_refused(request: EmbeddingRequest, attempt: Attempt) -> None:
    data = translated_or_refused(lambda: embedding_body(request, attempt))
    assert data is None or msgspec.json.decode(data)


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
KEYS = st.sampled_from(
    [
        "output",
        "message",
        "content",
        "text",
        "toolUse",
        "input",
        "stopReason",
        "usage",
        "inputTokens",
        "delta",
        "contentBlockIndex",
        "start",
        "reasoningContent",
        "signature",
        "redactedContent",
        "embedding",
        "embeddings",
    ]
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


@given(value=VALUES, raw=st.binary(max_size=20), which=st.booleans())
@MANY
def test_any_answer_is_read_or_told_apart(value: Any, raw: bytes, which: bool) -> None:
    data = msgspec.json.encode(value) if which else raw
    for model in ("amazon.titan-embed-text-v2:0", "cohere.embed-v4:0"):
        with suppress(msgspec.DecodeError, ValueError):
            embeddings_from_wire(data, model, None)
    with suppress(msgspec.DecodeError):
        completion_from_wire(data, "bedrock")
    for kind in ("contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata", "x", ""):
        for failed in (False, True):
            EventReader("bedrock").batch([Frame(kind, data, failed)])


@pytest.mark.parametrize("depth", [100, 100_000])
def test_depth_is_no_way_in(depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    with pytest.raises((msgspec.DecodeError, RecursionError)):
        completion_from_wire(deep, "bedrock")
    batch, failure = EventReader("bedrock").batch([Frame("contentBlockDelta", deep)])
    assert failure is not None
    assert not batch.chunks
