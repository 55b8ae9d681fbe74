"""Any request that the types can say translates or is refused; any answer is read or told apart."""

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
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
    ComputeMode,
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
TEXTS = st.text(max_size=8) | st.sampled_from(["a", "\ud83d", "é", "\x00", " "])
JSON = st.sampled_from(["", "{}", '{"type":"object"}', "[1,2]", "{", "1e999", '"\\ud83d"', "NaN"])
CACHE = st.none() | st.builds(
    CacheBreakpoint, st.sampled_from([None, timedelta(minutes=5), timedelta(hours=1), timedelta(hours=9)])
)
SOME_BYTES = st.none() | st.binary(max_size=4)
URLS = st.sampled_from([None, "https://x.example/a.png", "s3://bucket/a.pdf", ""])
KINDS = st.sampled_from(["", "image/png", "image/x", "application/pdf", "video/mp4", "video/x", "text/plain;a=b"])
PARTS = st.one_of(
    st.builds(Text, TEXTS, CACHE),
    st.builds(Image, URLS, SOME_BYTES, KINDS, st.sampled_from(["", "low", "high"]), CACHE),
    st.builds(Audio, st.binary(max_size=4), st.sampled_from(["wav", "x"]), CACHE),
    st.builds(File, SOME_BYTES, st.sampled_from([None, "f"]), URLS, KINDS, TEXTS, CACHE),
)
SIGNATURES = st.sampled_from([b"", b"c2ln", b"\xff"])
CALLS = st.builds(ToolCall, TEXTS, st.sampled_from(["get", "bad name", ""]), JSON, SIGNATURES)
THOUGHTS = st.builds(Reasoned, TEXTS, SIGNATURES, st.binary(max_size=3), st.sampled_from(["", "bedrock", "gemini"]))
MESSAGES = st.builds(
    Message,
    st.sampled_from(Role),
    st.lists(PARTS, max_size=3).map(tuple),
    st.sampled_from(["", "", "ann"]),
    st.lists(CALLS, max_size=2).map(tuple),
    TEXTS,
    st.booleans(),
    st.lists(THOUGHTS, max_size=2).map(tuple),
    TEXTS,
)
NUMBERS = st.none() | st.floats(-1, 3) | st.sampled_from([math.nan, math.inf])
COUNTS = st.none() | st.integers(-5, 5000)
TOOLS = st.builds(Tool, st.sampled_from(["get", "", "bad name"]), TEXTS, JSON, st.none() | st.booleans(), CACHE)
# Most of what the shared strategy makes up is refused for its numbers; these requests come further.
REQUESTS = st.builds(
    CompletionRequest,
    model=TEXTS,
    messages=st.lists(MESSAGES, max_size=4).map(tuple),
    tools=st.lists(TOOLS, max_size=2).map(tuple),
    tool_choice=st.none() | st.builds(ToolChoice, st.sampled_from(ToolMode), TEXTS),
    parallel_tool_calls=st.none() | st.booleans(),
    response_format=st.none()
    | st.builds(ResponseFormat, st.sampled_from(FormatKind), TEXTS, TEXTS, JSON, st.none() | st.booleans()),
    sampling=st.builds(Sampling, NUMBERS, NUMBERS, COUNTS, st.none(), st.none()),
    max_output_tokens=COUNTS,
    stop=st.lists(TEXTS, max_size=2).map(tuple),
    reasoning=st.none() | st.builds(Reasoning, st.none() | st.sampled_from(Effort), COUNTS, st.booleans()),
    compute_mode=st.none() | st.sampled_from(ComputeMode),
    metadata=st.dictionaries(TEXTS, TEXTS, max_size=2),
    end_user=TEXTS,
    candidate_count=st.sampled_from([None, None, 1, 2]),
    vendor_parameters=st.dictionaries(
        st.sampled_from(["service_tier", "guardrailConfig", "additionalModelRequestFields"]),
        JSON | st.just('"flex"'),
        max_size=1,
    ),
)
MANY = settings(
    max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], database=None
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


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from _objects(each)
    elif isinstance(value, list):
        for each in value:
            yield from _objects(each)


@given(REQUESTS | fuzzing.requests(), fuzzing.attempts("bedrock", MODELS))
@MANY
def test_any_request_translates_or_is_refused(request: CompletionRequest, attempt: Attempt) -> None:
    data = translated_or_refused(lambda: converse_body(request, attempt))
    if data is None:
        return
    made = msgspec.json.decode(data)
    roles = [message["role"] for message in made["messages"]]
    assert all(before != after for before, after in pairwise(roles))
    assert all(message["content"] for message in made["messages"])
    blocks = [block for message in made["messages"] for block in message["content"]]
    assert all(len(block) == 1 for block in blocks)
    called = any("toolUse" in block or "toolResult" in block for block in blocks)
    assert "toolConfig" in made or not called
    assert all(None not in each.values() for each in _objects(made.get("inferenceConfig", {})))


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
