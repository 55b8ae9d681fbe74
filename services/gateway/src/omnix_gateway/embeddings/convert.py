"""Requests for embeddings to protobuf, and vectors to JSON, piece by piece."""

import struct
from binascii import b2a_base64
from collections.abc import Iterator
from typing import Final

import msgspec
from omnix.embedding.v1 import embedding_pb2 as pb
from omnix.router.v1 import router_service_pb2
from omnix_kit.errors import Reason, error_for
from omnix_kit.rpc import MAX_MESSAGE_BYTES

from omnix_gateway.chat.answer import decimal
from omnix_gateway.embeddings import translate
from omnix_gateway.embeddings.schema import EmbeddingRequest, EmbeddingUsage
from omnix_gateway.errors import invalid
from omnix_gateway.preferences.convert import preferences_to_proto

EmbedResponse = router_service_pb2.EmbedResponse
ProtoRequest = pb.EmbeddingRequest

_PURPOSES: Final = {
    "query": pb.PURPOSE_QUERY,
    "document": pb.PURPOSE_DOCUMENT,
    "similarity": pb.PURPOSE_SIMILARITY,
    "classification": pb.PURPOSE_CLASSIFICATION,
    "clustering": pb.PURPOSE_CLUSTERING,
}
_MOST_BYTES: Final = MAX_MESSAGE_BYTES - 1024 * 1024
_encode = msgspec.json.Encoder().encode


def request_to_proto(request: EmbeddingRequest) -> pb.EmbeddingRequest:
    """:raises CallerError: for what is empty, mixed, too much, or no Unicode."""
    inputs = translate.inputs(request)
    translate.refuse_what_is_not_honoured(request, len(inputs), _MOST_BYTES)
    purpose = translate.purpose(request)
    try:
        return pb.EmbeddingRequest(
            model=request.model,
            inputs=[
                pb.EmbeddingInput(text=each)
                if isinstance(each, str)
                else pb.EmbeddingInput(tokens=pb.TokenList(ids=each))
                for each in inputs
            ],
            dimensions=request.dimensions,
            purpose=None if purpose is None else _PURPOSES[purpose],
            metadata=request.metadata or {},
            end_user=request.user or "",
            provider_preferences=None if request.provider is None else preferences_to_proto(request.provider),
        )
    except UnicodeEncodeError:
        raise invalid("A text contains half of a surrogate pair, which is not valid Unicode.", "input") from None


def refuse_wrong_count(response: router_service_pb2.EmbedResponse, asked: pb.EmbeddingRequest) -> None:
    """A vector too few would give the next input's to somebody."""
    if len(response.embeddings.vectors) != len(asked.inputs):
        raise error_for(Reason.PROVIDER_MALFORMED, "The provider did not answer with one vector for each input.")


def pieces(response: router_service_pb2.EmbedResponse, *, base64: bool) -> Iterator[bytes]:
    """The body of the answer; a piece has one vector at most.

    Vectors travel as they came from the vendor: base64 is of the very bytes, and numbers are those of 32 bits.
    """
    embeddings = response.embeddings
    yield b'{"object":"list","data":['
    for index, vector in enumerate(embeddings.vectors):
        head = b'%b{"object":"embedding","index":%d,"embedding":' % (b"," if index else b"", index)
        told = b'"' + b2a_base64(vector, newline=False) + b'"' if base64 else _encode(_numbers(vector))
        yield head + told + b"}"
    model = _encode(embeddings.vendor_model or response.model.partition("/")[2])
    yield b'],"model":' + model + b',"usage":' + _encode(_usage(response)) + b"}"


def _numbers(vector: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(vector) // 4}f", vector)


def _usage(response: router_service_pb2.EmbedResponse) -> EmbeddingUsage:
    usage = response.embeddings.usage
    cost = response.cost_micros if response.HasField("cost_micros") else None
    return EmbeddingUsage(
        prompt_tokens=usage.input_tokens,
        total_tokens=usage.input_tokens + usage.output_tokens,
        cost=None if cost is None else decimal(cost),
        cost_micros=cost,
        estimated=usage.estimated,
    )
