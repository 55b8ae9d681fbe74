"""For tests: any request that the contract accepts, as hypothesis makes them up."""

from datetime import timedelta

from hypothesis import strategies as st
from omnix_kit.caller import Caller

from omnix_provider.types import (
    Attempt,
    Audio,
    CacheBreakpoint,
    CompletionRequest,
    ComputeMode,
    Control,
    Effort,
    EmbeddingRequest,
    File,
    FormatKind,
    Image,
    Message,
    Purpose,
    Reasoned,
    Reasoning,
    ReasoningPlan,
    ResponseFormat,
    Role,
    Sampling,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
)

_TEXT = st.text(max_size=12)
_BYTES = st.binary(max_size=8)
_NAME = st.text("abcXYZ019_-", min_size=1, max_size=8)
_FINITE = st.floats(allow_nan=False, allow_infinity=False)
_INT32 = st.integers(-(2**31), 2**31 - 1)
_JSON = st.sampled_from(
    [
        "",
        "{}",
        '{"type": "object"}',
        '{"type":"object","properties":{"a":{"type":"string"}}}',
        "null",
        "7",
        "{",
        "[" * 2000,
    ]
)
_CACHE = st.none() | st.builds(CacheBreakpoint, st.none() | st.timedeltas(timedelta(0), timedelta(days=2)))
_MEDIA_TYPES = st.sampled_from(
    ["", "image/png", "image/jpeg", "image/tiff", "application/pdf", "text/csv", "video/mp4", "video/quicktime", "x/y"]
)


def _parts() -> st.SearchStrategy[Text | Image | Audio | File]:
    url = st.sampled_from(["https://example.com/a.png", "s3://bucket/key", "gs://bucket/key"])
    return st.one_of(
        st.builds(Text, _TEXT, _CACHE),
        st.builds(Image, url=url, detail=st.sampled_from(["", "low", "high"]), cache=_CACHE),
        st.builds(Image, data=_BYTES, media_type=_MEDIA_TYPES, cache=_CACHE),
        st.builds(Audio, _BYTES, st.sampled_from(["wav", "mp3", "flac", "", "x"]), _CACHE),
        st.builds(File, data=_BYTES, media_type=_MEDIA_TYPES, filename=_TEXT, cache=_CACHE),
        st.builds(File, file_id=_NAME, media_type=_MEDIA_TYPES),
        st.builds(File, url=url, media_type=_MEDIA_TYPES),
    )


_MESSAGES = st.builds(
    Message,
    role=st.sampled_from(Role),
    parts=st.lists(_parts(), max_size=3).map(tuple),
    name=st.just("") | _NAME,
    tool_calls=st.lists(st.builds(ToolCall, _NAME, _NAME, _JSON | _TEXT, st.just(b"") | _BYTES), max_size=2).map(tuple),
    tool_call_id=st.just("") | _NAME,
    tool_failed=st.booleans(),
    reasoning=st.lists(
        st.builds(Reasoned, _TEXT, st.just(b"") | _BYTES, st.just(b"") | _BYTES, st.sampled_from(["", "openai", "x"])),
        max_size=2,
    ).map(tuple),
    refusal=st.just("") | _TEXT,
)


def requests() -> st.SearchStrategy[CompletionRequest]:
    """Any request; some of its JSON texts are none."""
    return st.builds(
        CompletionRequest,
        model=_NAME,
        messages=st.lists(_MESSAGES, min_size=1, max_size=4).map(tuple),
        tools=st.lists(st.builds(Tool, _NAME, _TEXT, _JSON, st.none() | st.booleans(), _CACHE), max_size=2).map(tuple),
        tool_choice=st.none() | st.builds(ToolChoice, st.sampled_from(ToolMode), _NAME),
        parallel_tool_calls=st.none() | st.booleans(),
        response_format=st.none()
        | st.builds(ResponseFormat, st.sampled_from(FormatKind), _NAME, _TEXT, _JSON, st.none() | st.booleans()),
        sampling=st.builds(
            Sampling,
            *(st.none() | _FINITE for _ in range(2)),
            st.none() | _INT32,
            *(st.none() | _FINITE for _ in range(2)),
        ),
        max_output_tokens=st.none() | _INT32,
        stop=st.lists(_TEXT, max_size=3).map(tuple),
        seed=st.none() | st.integers(-(2**63), 2**63 - 1),
        reasoning=st.none()
        | st.builds(Reasoning, st.none() | st.sampled_from(Effort), st.none() | _INT32, st.booleans()),
        compute_mode=st.none() | st.sampled_from(ComputeMode),
        metadata=st.dictionaries(_NAME, _TEXT, max_size=2),
        end_user=st.just("") | _TEXT,
        candidate_count=st.none() | _INT32,
        vendor_parameters=st.just({})
        | st.dictionaries(
            st.sampled_from(["top_k", "store", "logit_bias", "tool_prompt", "guardrailConfig", "messages", "n", "zzz"]),
            _JSON,
            max_size=2,
        ),
        logprobs=st.booleans(),
        top_logprobs=st.none() | _INT32,
    )


def embedding_requests() -> st.SearchStrategy[EmbeddingRequest]:
    tokens = st.lists(_INT32, min_size=1, max_size=3).map(tuple)
    return st.builds(
        EmbeddingRequest,
        model=_NAME,
        inputs=st.lists(st.text(min_size=1, max_size=12) | tokens, min_size=1, max_size=3).map(tuple),
        dimensions=st.none() | _INT32,
        purpose=st.none() | st.sampled_from(Purpose),
        metadata=st.dictionaries(_NAME, _TEXT, max_size=2),
        end_user=st.just("") | _TEXT,
    )


def attempts(provider: str, models: st.SearchStrategy[str] = _NAME) -> st.SearchStrategy[Attempt]:
    """Any attempt at these models, with and without a plan of the router's."""
    plans = st.builds(
        ReasoningPlan,
        st.sampled_from(Control),
        st.none() | st.sampled_from(Effort),
        st.none() | st.integers(0, 2**31 - 1),
        st.none() | st.sampled_from(ComputeMode),
    )
    return st.builds(
        Attempt,
        attempt_id=st.just("a" * 32),
        completion_id=st.just("c" * 32),
        number=st.just(1),
        caller=st.just(Caller("t1")),
        provider=st.just(provider),
        model=models,
        reasoning=st.none() | plans,
        max_output_tokens=st.sampled_from([0, 1, 4096]),
    )
