"""Whatever the schema accepts is translated or refused by name, and whatever the bytes are is told or refused."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omnix_gateway.chat import convert, translate
from omnix_gateway.chat.content.convert import put_fetched
from omnix_gateway.chat.content.media import FromAddresses, Kind, Media, MediaLimits, MediaRules, checked_type
from omnix_gateway.chat.schema import ChatRequest
from omnix_gateway.embeddings import convert as embeddings
from omnix_gateway.embeddings.schema import EmbeddingRequest
from omnix_kit.addresses import Rules
from omnix_kit.errors import CallerError

from .contents import GIF, JPEG, MP4, PDF, PNG, WEBM, WEBP, data_url

T = TypeVar("T")

RULES = MediaRules(MediaLimits(parts=4), FromAddresses.FETCH, Rules())
CONTENTS = st.sampled_from([PNG, JPEG, GIF, WEBP, PDF, MP4, WEBM, b"", b"abc"]) | st.binary(max_size=40)
TYPES = st.sampled_from(["", "image/png", "application/pdf", "video/mp4", "text/plain", "nonsense"])
URLS = st.one_of(
    st.builds(data_url, CONTENTS, TYPES),
    st.sampled_from(["https://example.com/a", "http://127.0.0.1/", "data:", "data:,a", "data:;base64,%"]),
    st.text(max_size=20),
)
WISHES = st.fixed_dictionaries(
    {},
    optional={
        "cache_control": st.sampled_from([{"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}]),
        "prompt_cache_breakpoint": st.just({"mode": "explicit", "ttl": "12h"}),
    },
)
TEXT = st.text(max_size=10)
BASE64 = st.sampled_from(["", "QUJD", "%"])


def part(kind: str, content: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(lambda inner, wish: {"type": kind, kind: inner, **wish}, content, WISHES)


TEXTS = part("text", TEXT)
IMAGES = part("image_url", st.fixed_dictionaries({"url": URLS}))
VIDEOS = part("video_url", st.fixed_dictionaries({"url": URLS}))
SOUNDS = part("input_audio", st.fixed_dictionaries({"data": BASE64, "format": st.just("wav")}))
FILES = part(
    "file",
    st.fixed_dictionaries({}, optional={"file_data": URLS, "file_id": TEXT, "file_url": URLS, "filename": TEXT}),
)
CALLS = st.fixed_dictionaries(
    {
        "id": st.just("c"),
        "type": st.just("function"),
        "function": st.fixed_dictionaries({"name": st.just("f"), "arguments": TEXT}),
    },
    optional={"signature": BASE64, "extra_content": st.just({"google": {"thought_signature": "QUJD"}})},
)
DETAILS = st.fixed_dictionaries({}, optional={"text": TEXT, "signature": BASE64, "redacted": BASE64, "provider": TEXT})
MESSAGES = st.one_of(
    st.builds(lambda parts: {"role": "system", "content": parts}, TEXT | st.lists(TEXTS, max_size=2)),
    st.builds(
        lambda parts: {"role": "user", "content": parts},
        TEXT | st.lists(st.one_of(TEXTS, IMAGES, VIDEOS, SOUNDS, FILES), max_size=4),
    ),
    st.builds(
        lambda parts: {"role": "tool", "tool_call_id": "c", "content": parts},
        TEXT | st.lists(st.one_of(TEXTS, IMAGES, FILES), max_size=3),
    ),
    st.builds(
        lambda fields: {"role": "assistant", **fields},
        st.fixed_dictionaries(
            {},
            optional={
                "content": TEXT | st.none() | st.lists(TEXTS, max_size=2),
                "tool_calls": st.lists(CALLS, max_size=2),
                "refusal": TEXT,
                "reasoning_content": TEXT,
                "reasoning_details": st.lists(DETAILS, max_size=3),
            },
        ),
    ),
)
REQUESTS = st.fixed_dictionaries(
    {"model": st.just("m"), "messages": st.lists(MESSAGES, min_size=1, max_size=4)},
    optional={
        "logprobs": st.booleans(),
        "top_logprobs": st.integers(0, 20),
        "mode": st.sampled_from(["flash", "think", "ultra-think"]),
        "max_tokens": st.integers(1, 2**31 - 1),
        "n": st.integers(1, 128),
        "stop": TEXT.filter(bool),
    },
)


def tried(call: Callable[[], T]) -> T | CallerError:
    try:
        return call()
    except CallerError as refused:
        return refused


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(REQUESTS)
def test_any_request_is_translated_or_refused_by_name(body: dict[str, Any]) -> None:
    request = msgspec.convert(body, ChatRequest)
    media = Media(RULES)

    def translated() -> convert.CompletionRequest:
        translate.refuse_what_is_not_honoured(request)
        return convert.request_to_proto(request, media)

    proto = tried(translated)
    if isinstance(proto, CallerError):
        assert proto.param is not None or "Unicode" in proto.message
        return
    assert len(proto.messages) == len(request.messages)
    for sought in media.sought:
        put_fetched(proto, sought, {Kind.IMAGE: PNG, Kind.VIDEO: MP4}.get(sought.kind, PDF), "")
        place = proto.messages[sought.message].parts[sought.part]
        assert place.WhichOneof("kind") == ("image" if sought.kind is Kind.IMAGE else "file")
    assert proto.FromString(proto.SerializeToString()) == proto


@settings(max_examples=1000, deadline=None)
@given(st.sampled_from(list(Kind)), CONTENTS, TYPES | TEXT, TEXT)
def test_any_bytes_are_told_or_refused_by_name(kind: Kind, data: bytes, declared: str, filename: str) -> None:
    told = tried(lambda: checked_type(kind, data, declared, filename, "p"))
    assert told.param == "p" if isinstance(told, CallerError) else "/" in told


@settings(max_examples=300, deadline=None)
@given(TEXT | st.lists(TEXT | st.integers(0, 9) | st.lists(st.integers(0, 9), min_size=1, max_size=3), min_size=1))
def test_any_input_is_embedded_whole_or_refused_by_name(asked: Any) -> None:
    request = msgspec.convert({"model": "m", "input": asked}, EmbeddingRequest)
    proto = tried(lambda: embeddings.request_to_proto(request))
    if isinstance(proto, CallerError):
        assert (proto.param or "").startswith("input")
        return
    told = [each.text or list(each.tokens.ids) for each in proto.inputs]
    assert told == (asked if isinstance(asked, list) and not isinstance(asked[0], int) else [asked])
