"""Any request translates or is refused, and no bytes bring the reading of answers down."""

import random
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from omnix_adapter_gemini.answers import UNREADABLE, Blocked, EventReader, Unspeakable, Unusable, completion_from_wire
from omnix_adapter_gemini.dialect import Service
from omnix_adapter_gemini.embeddings import BATCH, EMBED, PREDICT, embedding_body, embeddings_from_wire, method
from omnix_adapter_gemini.errors import Asked, error_of_answer
from omnix_adapter_gemini.translate import request_body
from omnix_kit.caller import Caller
from omnix_kit.errors import OmnixError
from omnix_provider.errors import Refused
from omnix_provider.sse import EventStream, EventTooLarge
from omnix_provider.types import (
    Attempt,
    Audio,
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

NOW = datetime(2026, 11, 22, tzinfo=UTC)
DATA = Path(__file__).parent / "data"

word = st.text(max_size=8)
json_text = st.one_of(
    word,
    st.sampled_from(["{}", "[]", "null", '{"type": "object"}', '"\\ud83d"', "1e400", "[" * 2000, "9" * 400]),
)
media = st.sampled_from(["", "image/png", "application/pdf", "video/mp4", "audio/wav", "x"])
url = st.one_of(word, st.sampled_from(["https://x.example/a.png", "http://[", "https://a.googleapis.com/b.pdf"]))
parts = st.one_of(
    st.builds(Text, word),
    st.builds(Image, url=url, media_type=media, detail=st.sampled_from(["", "low", "auto"])),
    st.builds(Image, data=st.binary(max_size=8), media_type=media),
    st.builds(Audio, st.binary(max_size=8), st.sampled_from(["wav", "mp3", "pcm16", ""])),
    st.builds(File, data=st.binary(max_size=8), media_type=media, filename=word),
    st.builds(File, url=url, media_type=media),
    st.builds(File, file_id=word),
)
calls = st.builds(ToolCall, st.sampled_from(["1", "2", ""]), word, json_text, st.binary(max_size=4))
messages = st.builds(
    Message,
    st.sampled_from(Role),
    st.lists(parts, max_size=3).map(tuple),
    st.one_of(st.just(""), word),
    st.lists(calls, max_size=2).map(tuple),
    st.sampled_from(["1", "2", ""]),
    st.booleans(),
    st.lists(
        st.builds(Reasoned, word, st.binary(max_size=4), st.just(b""), st.sampled_from(["", "gemini", "bedrock"])),
        max_size=2,
    ).map(tuple),
    word,
)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), strategy)


requests = st.builds(
    CompletionRequest,
    word,
    st.lists(messages, max_size=5).map(tuple),
    tools=st.lists(st.builds(Tool, word, word, json_text, maybe(st.booleans())), max_size=2).map(tuple),
    tool_choice=maybe(st.builds(ToolChoice, st.sampled_from(ToolMode), word)),
    parallel_tool_calls=maybe(st.booleans()),
    response_format=maybe(st.builds(ResponseFormat, st.sampled_from(FormatKind), word, word, json_text)),
    sampling=st.builds(Sampling, *[maybe(st.floats(allow_nan=True))] * 2, maybe(st.integers(0, 100))),
    max_output_tokens=maybe(st.integers(-1, 2**31)),
    stop=st.lists(word, max_size=2).map(tuple),
    seed=maybe(st.integers(-(2**63), 2**63 - 1)),
    reasoning=maybe(st.builds(Reasoning, maybe(st.sampled_from(Effort)), maybe(st.integers(-1, 99)), st.booleans())),
    compute_mode=maybe(st.sampled_from(ComputeMode)),
    metadata=st.dictionaries(word, word, max_size=2),
    end_user=word,
    candidate_count=maybe(st.integers(0, 9)),
    vendor_parameters=st.dictionaries(
        # The servicer refuses those without a name.
        st.one_of(
            st.text(min_size=1, max_size=8),
            st.sampled_from(["store", "service_tier", "cachedContent", "safety_settings"]),
        ),
        json_text,
        max_size=2,
    ),
    logprobs=st.booleans(),
    top_logprobs=maybe(st.integers(0, 20)),
)
plans = maybe(st.builds(ReasoningPlan, st.sampled_from(Control), maybe(st.sampled_from(Effort)), maybe(st.integers(0))))
models = st.sampled_from(["gemini-2.5-pro", "gemini-3.8-flash", "gemini-flash-latest", "gemma-3"])


def _made(make: Callable[[], bytes]) -> Any:
    """The body, or a refusal that names what is refused."""
    try:
        body = make()
    except Refused as refused:
        if not refused.param or refused.reached:
            raise
        return refused
    return msgspec.json.decode(body)


@settings(max_examples=200, deadline=None)
@given(requests, plans, models, st.sampled_from(Service))
def test_any_request_translates_or_is_refused_by_name(
    request: CompletionRequest, plan: ReasoningPlan | None, model: str, service: Service
) -> None:
    attempt = Attempt("a" * 32, "c" * 32, 1, Caller("t1"), "gemini", model, reasoning=plan)
    made = _made(lambda: request_body(request, attempt, service))
    if not isinstance(made, Refused):
        assert all(content["role"] in ("user", "model") and content["parts"] for content in made["contents"])


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.one_of(word, st.lists(st.integers(0, 9), max_size=2).map(tuple)), min_size=1, max_size=3).map(tuple),
    maybe(st.integers(1, 3072)),
    maybe(st.sampled_from(Purpose)),
    st.sampled_from(["gemini-embedding-001", "gemini-embedding-2", "text-embedding-005"]),
    st.sampled_from(Service),
)
def test_any_texts_are_asked_for_or_refused_by_name(
    inputs: Any, dimensions: int | None, purpose: Purpose | None, model: str, service: Service
) -> None:
    request = EmbeddingRequest("m", inputs, dimensions, purpose)
    made = _made(lambda: embedding_body(request, model, f"models/{model}", service))
    assert made
    assert method(request, model, service) in (PREDICT, EMBED, BATCH)


def _seeds() -> list[bytes]:
    streams = msgspec.json.decode((DATA / "streams.json").read_bytes())
    events = [msgspec.json.encode(event) for sample in streams.values() for event in sample["events"]]
    return [
        *(b"data: %s\r\n\r\n" % event for event in events),
        b"data: " + b"\r\n\r\ndata: ".join(events) + b"\r\n\r\n",
    ]


_PIECES = [b"null", b"[]", b"{}", b"-1", b'"x"', b"1e999", b"\r", b"\n\n", b"\\ud83d"]


def _mutated(data: bytes, dice: random.Random) -> bytes:
    mutated = bytearray(data)
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(len(mutated)) if mutated else 0
        match dice.randrange(5):
            case 0:
                mutated[at:at] = dice.randbytes(dice.randint(1, 4))
            case 1:
                del mutated[at : at + dice.randint(1, 40)]
            case 2 if mutated:
                mutated[at] = dice.randrange(256)
            case 3:
                mutated[at:at] = mutated[at : at + dice.randint(1, 80)]
            case _:
                mutated[at:at] = dice.choice(
                    [b"null", b"[]", b"{}", b"-1", b'"x"', b"1e999", b"\r", b"\n\n", b"\\ud83d"]
                )
    return bytes(mutated)


def test_mutated_streams_never_break_the_reader() -> None:
    dice = random.Random(20261122)
    seeds = _seeds()
    for _ in range(100_000):
        data = _mutated(dice.choice(seeds), dice)
        events, reader = EventStream(64 * 1024), EventReader("a" * 32)
        cut = dice.randint(0, len(data))
        for received in (data[:cut], data[cut:]):
            try:
                complete = events.feed(received)
            except EventTooLarge:
                break
            batch, fault = reader.batch(complete)
            assert len(batch.chunks) <= data.count(b"{")
            if fault is not None:
                break


def test_mutated_answers_and_errors_are_read_or_refused() -> None:
    dice = random.Random(22112026)
    seeds = [seed[6:].strip() for seed in _seeds()[:-1]]
    recorded = msgspec.json.decode((DATA / "errors.json").read_bytes())
    errors = [msgspec.json.encode(each["body"]) for each in recorded.values()]
    vectors = b'{"embeddings": [{"values": [0.1, 2e3]}], "usageMetadata": {"promptTokenCount": 3}}'
    predicted = b'{"predictions": [{"embeddings": {"values": [1, 0.5], "statistics": {"token_count": 4}}}]}'
    for _ in range(5_000):
        with suppress(*UNREADABLE, Blocked, Unusable, Unspeakable):
            completion_from_wire(_mutated(dice.choice(seeds), dice), "a" * 32)
        for body, called in ((vectors, BATCH), (predicted, PREDICT)):
            with suppress(*UNREADABLE, ValueError):
                embeddings_from_wire(_mutated(body, dice), called)
        asked = Asked(Service.DEVELOPER, 10**6, 10**6)
        found = error_of_answer(
            dice.choice([400, 403, 429, 503]), {}, _mutated(dice.choice(errors), dice), "gemini", asked, NOW
        )
        assert isinstance(found, OmnixError)
