"""Embeddings of the format, asked and answered."""

import struct
from base64 import b64encode
from typing import Any

import msgspec
import pytest
from omnix_kit.caller import Caller
from omnix_provider.chatcompletions.dialect import Dialect
from omnix_provider.chatcompletions.embeddings import embedding_body, embeddings_from_wire
from omnix_provider.errors import UnsupportedParameter
from omnix_provider.types import Attempt, EmbeddingRequest, Embeddings, Purpose, Usage

ATTEMPT = Attempt("a" * 32, "c" * 32, 1, Caller("t1"), "openai", "text-embedding-3-small")
FIRST, SECOND = struct.pack("<2f", 1.0, -0.5), struct.pack("<2f", 0.0, 2.0)


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (EmbeddingRequest("e", ("a", "b")), {"input": ["a", "b"]}),
        (EmbeddingRequest("e", ((1, 2), (3,))), {"input": [[1, 2], [3]]}),
        (
            EmbeddingRequest("e", ("a",), dimensions=256, end_user="u1", metadata={"a": "b"}),
            {"input": ["a"], "dimensions": 256, "user": "u1"},
        ),
    ],
)
def test_embeddings_are_asked_for_in_base64(request_: EmbeddingRequest, fields: dict[str, Any]) -> None:
    asked = msgspec.json.decode(embedding_body(request_, ATTEMPT, Dialect()))
    assert asked == {"model": ATTEMPT.model, "encoding_format": "base64"} | fields


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (EmbeddingRequest("e", ("a",), purpose=Purpose.QUERY), "purpose"),
        (EmbeddingRequest("e", ("a", (1,))), "input"),
    ],
)
def test_what_the_format_cannot_say_is_refused(request_: EmbeddingRequest, param: str) -> None:
    with pytest.raises(UnsupportedParameter) as told:
        embedding_body(request_, ATTEMPT, Dialect())
    assert told.value.param == param


def answered(*data: Any, **more: Any) -> bytes:
    return msgspec.json.encode({"object": "list", "data": list(data), **more})


def vector(of: bytes, index: int) -> dict[str, Any]:
    return {"object": "embedding", "index": index, "embedding": b64encode(of).decode()}


def test_vectors_come_in_the_order_of_their_inputs() -> None:
    body = answered(vector(SECOND, 1), vector(FIRST, 0), model="m", usage={"prompt_tokens": 5, "total_tokens": 5})
    assert embeddings_from_wire(body) == Embeddings((FIRST, SECOND), Usage(5), "m")


def test_server_that_answers_with_numbers_in_spite_is_understood() -> None:
    assert embeddings_from_wire(answered({"embedding": [1.0, -0.5]}, {"embedding": [0, 2]})) == Embeddings(
        (FIRST, SECOND)
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        answered(vector(FIRST, 1)),
        answered(vector(FIRST, 0), vector(FIRST, 0)),
        answered(vector(b"", 0)),
        answered(vector(b"abc", 0)),
        answered(vector(struct.pack("<f", float("nan")), 0)),
        answered(vector(struct.pack("<2f", float("inf"), float("-inf")), 0)),
        answered({"embedding": "not base64"}),
        answered({"embedding": []}),
        answered({"embedding": [1e300]}),
    ],
)
def test_what_is_no_vector_is_an_error(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        embeddings_from_wire(body)
