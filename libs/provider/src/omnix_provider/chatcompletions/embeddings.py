"""Embeddings in the format's words and back."""

import math
from array import array
from base64 import b64decode
from binascii import Error as Base64Error

import msgspec

from omnix_provider import vectors
from omnix_provider.chatcompletions import wire
from omnix_provider.chatcompletions.answer import count_in
from omnix_provider.chatcompletions.dialect import Dialect
from omnix_provider.chatcompletions.errors import unsupported
from omnix_provider.chatcompletions.messages import Body
from omnix_provider.types import Attempt, EmbeddingRequest, Embeddings, Usage

_SIZE = 4
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(wire.EmbeddingAnswer).decode


def embedding_body(request: EmbeddingRequest, attempt: Attempt, dialect: Dialect) -> bytes:
    """The JSON body. Base64 is asked for, which is a third of the text of numbers.

    :raises UnsupportedParameter: naming what the format cannot say.
    """
    if request.purpose is not None:
        raise unsupported("purpose")
    if len({isinstance(each, str) for each in request.inputs}) > 1:
        raise unsupported("input")  # all texts, or all lists of tokens
    body: Body = {"model": attempt.model, "input": request.inputs, "encoding_format": "base64"}
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    if request.end_user and dialect.end_user:
        body["user"] = request.end_user
    return _encode(body)


def embeddings_from_wire(body: bytes) -> Embeddings:
    """Read an answer; a server that answers with numbers in spite is understood.

    :raises wire.UNREADABLE: one of them, when it is none.
    """
    answer = _decode(body)
    by_index = {
        position if each.index is None else each.index: each.embedding for position, each in enumerate(answer.data)
    }
    if sorted(by_index) != list(range(len(answer.data))):
        raise msgspec.ValidationError("the vectors are not numbered from 0 without a gap")
    return Embeddings(
        tuple(_vector(by_index[index]) for index in range(len(by_index))),
        _usage(answer.usage),
        answer.model or "",
    )


def embedding_usage_in(body: bytes) -> Usage | None:
    """The count of an answer that is none otherwise."""
    return _usage(count_in(body))


def _vector(embedding: str | list[float]) -> bytes:
    try:
        if not isinstance(embedding, str):
            return vectors.packed(embedding)
        data = b64decode(embedding, validate=True)
    except (Base64Error, ValueError) as exc:
        raise msgspec.ValidationError(f"a vector cannot be read: {exc}") from exc
    if not data or len(data) % _SIZE or len(data) > vectors.MAX_DIMENSIONS * _SIZE:
        raise msgspec.ValidationError("a vector has no whole number of numbers, or too many")
    # Numbers of 32 bits cannot add up beyond what 64 bits hold: the sum is finite if all of them are.
    if not math.isfinite(sum(array("f", data))):
        raise msgspec.ValidationError("a vector holds a number that is not finite")
    return data


def _usage(usage: wire.Usage | None) -> Usage | None:
    if usage is None or usage.prompt_tokens is None:
        return None
    return Usage(input_tokens=usage.prompt_tokens)
