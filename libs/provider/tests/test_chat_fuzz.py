"""Any request is said in the format or refused; nothing that comes back breaks what reads it."""

import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omnix_provider import fuzzing
from omnix_provider.chatcompletions import wire
from omnix_provider.chatcompletions.answer import completion_from_wire
from omnix_provider.chatcompletions.dialect import EFFORTS, Dialect
from omnix_provider.chatcompletions.embeddings import embedding_body, embeddings_from_wire
from omnix_provider.chatcompletions.errors import InBandError
from omnix_provider.chatcompletions.events import EventReader
from omnix_provider.chatcompletions.request import request_body
from omnix_provider.errors import Refused
from omnix_provider.sse import EventStream, EventTooLarge
from omnix_provider.types import Attempt, CompletionRequest, EmbeddingRequest

DIALECTS = st.builds(
    Dialect,
    max_tokens_field=st.sampled_from(["max_tokens", "max_completion_tokens"]),
    stream_usage=st.booleans(),
    developer_role=st.booleans(),
    parameters=st.frozensets(st.sampled_from(["top_k", "store", "logit_bias"])),
    lacks=st.frozensets(st.sampled_from(["n", "parallel_tool_calls", "tools", "tool_choice"])),
    end_user=st.booleans(),
    reasoning_field=st.sampled_from([None, "reasoning", "reasoning_content"]),
    efforts=st.sampled_from([EFFORTS, {}]),
    switch=st.sampled_from([None, "reasoning_effort", "chat_template_kwargs"]),
    media=st.frozensets(st.sampled_from(["image", "audio", "file"])),
    media_of_tools=st.booleans(),
    json_object=st.booleans(),
)


def translated(translate: Callable[[], bytes]) -> dict[str, Any] | None:
    """The body; None when it was refused, by the name of what cannot be said."""
    try:
        body: dict[str, Any] = msgspec.json.decode(translate())
    except Refused as exc:
        if not exc.param or exc.reached:
            raise
        return None
    return body


@settings(max_examples=500, deadline=None)
@given(fuzzing.requests(), fuzzing.attempts("openai"), DIALECTS, st.booleans())
def test_any_request_is_translated_or_refused_by_name(
    request: CompletionRequest, attempt: Attempt, dialect: Dialect, stream: bool
) -> None:
    body = translated(lambda: request_body(request, attempt, dialect, stream=stream))
    if body is not None:
        assert body["model"] == attempt.model
        assert len(body["messages"]) == len(request.messages)
        assert not dialect.lacks & set(body)


@settings(deadline=None)
@given(fuzzing.embedding_requests(), fuzzing.attempts("openai"))
def test_any_embedding_is_translated_or_refused_by_name(request: EmbeddingRequest, attempt: Attempt) -> None:
    body = translated(lambda: embedding_body(request, attempt, Dialect()))
    if body is not None:
        assert len(body["input"]) == len(request.inputs)


@pytest.mark.parametrize("read", [completion_from_wire, embeddings_from_wire])
@settings(deadline=None)
@given(
    body=st.binary(max_size=60) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(msgspec.json.encode)
)
def test_what_is_no_answer_is_an_error_and_nothing_worse(read: Callable[[bytes], object], body: bytes) -> None:
    with pytest.raises(wire.UNREADABLE):
        read(body)


SEEDS = [
    b'data: {"id":"1","model":"m","created":1,"choices":[{"index":0,"delta":{"role":"assistant","content":"a"}}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":{"content":"\xe6\x97\xa5"},"finish_reason":null}]}\r\n\r\n',
    b'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\\""}}]}}]}\n\n',
    b'data: {"choices":[{"delta":{"content":"x"},"logprobs":{"content":[{"token":"x","bytes":[1]}]}}]}\n\n',
    b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\ndata: [DONE]\n\n',
    b': keep-alive\n\nevent: x\ndata: {"error":{"message":"no","http_status_code":422}}\n\n',
]
PIECES = [
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"data: ",
    b":",
    b"\x00",
    b"\xff",
    b'"',
    b"{",
    b"[" * 40,
    b"}",
    b"null",
    b"-1",
    b"1e999",
]
LONGEST = 256


def mutated(chance: random.Random) -> bytes:
    text = bytearray(b"".join(chance.choices(SEEDS, k=chance.randint(1, 2))))
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(text) + 1)
        match chance.randrange(4):
            case 0:
                text[at:at] = chance.choice(PIECES)
            case 1:
                del text[at : at + chance.randint(1, 20)]
            case 2:
                text[at : at + 1] = bytes([chance.randrange(256)])
            case _:
                text[at:at] = text[at : at + chance.randint(1, 60)]
    return bytes(text)


def test_a_hundred_thousand_mutated_streams_are_read_or_refused_within_bounds() -> None:
    """What is kept between reads never exceeds the bound, and a failure is one of the known ones."""
    chance = random.Random(20261122)
    known = (InBandError, *wire.UNREADABLE)
    refused = read = 0
    for _ in range(100_000):
        text = mutated(chance)
        cut = chance.randrange(len(text) + 1)
        stream, reader = EventStream(LONGEST), EventReader()
        try:
            for part in (text[:cut], text[cut:]):
                batch, failure = reader.batch(stream.feed(part))
                read += len(batch.chunks)
                assert failure is None or isinstance(failure, known)
                assert len(stream._rest) + stream._held <= LONGEST
        except EventTooLarge:
            refused += 1
    assert refused
    assert read > 10_000
