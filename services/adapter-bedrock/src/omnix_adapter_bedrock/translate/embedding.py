"""Embeddings, which each vendor has its own body for.

- Titan takes one text a call, the second version with a choice of dimensions:
  https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html
- Nova takes one text a call, and knows what it is for:
  https://docs.aws.amazon.com/nova/latest/userguide/embeddings-schema.html
- Cohere takes up to 96 texts and must know what they are for:
  https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed-v3.html and ``-v4.html``
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import assert_never

import msgspec
from omnix_provider.errors import InvalidRequest, UnsupportedParameter
from omnix_provider.types import Attempt, EmbeddingRequest, Embeddings, Purpose, Usage
from omnix_provider.vectors import packed

from omnix_adapter_bedrock import wire
from omnix_adapter_bedrock.translate.saying import Body, unsupported

_MOST_TEXTS = 96
_TITAN_DIMENSIONS = frozenset({256, 512, 1024})
_COHERE_DIMENSIONS = frozenset({256, 512, 1024, 1536})
_NOVA_DIMENSIONS = frozenset({256, 384, 1024, 3072})
_NOVA_DEFAULT = 3072
_NOVA_PURPOSES: Mapping[Purpose | None, str] = MappingProxyType(
    {
        None: "GENERIC_INDEX",
        Purpose.DOCUMENT: "GENERIC_INDEX",
        Purpose.QUERY: "GENERIC_RETRIEVAL",
        Purpose.CLASSIFICATION: "CLASSIFICATION",
        Purpose.CLUSTERING: "CLUSTERING",
    }
)
_INPUT_TYPES: Mapping[Purpose | None, str] = MappingProxyType(
    {
        None: "search_document",
        Purpose.DOCUMENT: "search_document",
        Purpose.QUERY: "search_query",
        Purpose.CLASSIFICATION: "classification",
        Purpose.CLUSTERING: "clustering",
    }
)

_encode = msgspec.json.Encoder().encode
_decode_titan = msgspec.json.Decoder(wire.TitanEmbedding).decode
_decode_nova = msgspec.json.Decoder(wire.NovaEmbeddings).decode
_decode_cohere = msgspec.json.Decoder(wire.CohereEmbeddings).decode


class _Kind(Enum):
    TITAN_1 = "titan-1"
    TITAN_2 = "titan-2"
    NOVA = "nova"
    COHERE_3 = "cohere-3"
    COHERE_4 = "cohere-4"


_NAMES = (
    ("amazon.titan-embed-text-v2", _Kind.TITAN_2),
    ("amazon.titan-embed-text-v1", _Kind.TITAN_1),
    ("amazon.titan-embed-g1-text", _Kind.TITAN_1),
    ("amazon.nova-2-multimodal-embeddings", _Kind.NOVA),
    ("cohere.embed-v4", _Kind.COHERE_4),
    ("cohere.embed-", _Kind.COHERE_3),
)


def embedding_body(request: EmbeddingRequest, attempt: Attempt) -> bytes:
    """The JSON body for InvokeModel.

    :raises UnsupportedParameter: naming what the model cannot honour.
    """
    kind = _kind(attempt.model)
    texts = [_text(each, position) for position, each in enumerate(request.inputs)]
    if not texts:
        raise InvalidRequest("There is nothing to embed.", param="input")
    match kind:
        case _Kind.TITAN_1 | _Kind.TITAN_2:
            body = _titan(request, texts, kind)
        case _Kind.NOVA:
            body = _nova(request, texts)
        case _Kind.COHERE_3 | _Kind.COHERE_4:
            body = _cohere(request, texts, kind)
        case _:
            assert_never(kind)
    try:
        return _encode(body)
    except UnicodeEncodeError as exc:
        raise InvalidRequest("The input holds text that is none.", param="input") from exc


def _kind(model: str) -> _Kind:
    for name, kind in _NAMES:
        if name in model:
            return kind
    raise UnsupportedParameter("This model's embeddings are not known here.", param="model")


def _text(given: str | tuple[int, ...], position: int) -> str:
    if not isinstance(given, str):
        raise unsupported(f"input.{position}", "It takes texts, and no tokens.")
    return given


def _titan(request: EmbeddingRequest, texts: list[str], kind: _Kind) -> Body:
    """What its vectors are for makes no difference to it."""
    if len(texts) > 1:
        raise unsupported("input", "Titan takes one text a call.")
    body: Body = {"inputText": texts[0]}
    if request.dimensions is not None:
        if kind is _Kind.TITAN_1 or request.dimensions not in _TITAN_DIMENSIONS:
            raise unsupported("dimensions")
        body["dimensions"] = request.dimensions
    return body


def _nova(request: EmbeddingRequest, texts: list[str]) -> Body:
    if len(texts) > 1:
        raise unsupported("input", "Nova takes one text a call.")
    purpose = _NOVA_PURPOSES.get(request.purpose)
    if purpose is None:
        raise unsupported("purpose")
    if request.dimensions is not None and request.dimensions not in _NOVA_DIMENSIONS:
        raise unsupported("dimensions")
    return {
        "taskType": "SINGLE_EMBEDDING",
        "singleEmbeddingParams": {
            "embeddingPurpose": purpose,
            "embeddingDimension": _NOVA_DEFAULT if request.dimensions is None else request.dimensions,
            "text": {"truncationMode": "NONE", "value": texts[0]},
        },
    }


def _cohere(request: EmbeddingRequest, texts: list[str], kind: _Kind) -> Body:
    if len(texts) > _MOST_TEXTS:
        raise unsupported("input", f"Cohere takes at most {_MOST_TEXTS} texts a call.")
    input_type = _INPUT_TYPES.get(request.purpose)
    if input_type is None:
        raise unsupported("purpose")
    body: Body = {"texts": texts, "input_type": input_type, "embedding_types": ["float"]}
    if request.dimensions is not None:
        if kind is _Kind.COHERE_3 or request.dimensions not in _COHERE_DIMENSIONS:
            raise unsupported("dimensions")
        body["output_dimension"] = request.dimensions
    return body


def embeddings_from_wire(body: bytes, model: str, input_tokens: int | None) -> Embeddings:
    """Read an answer of InvokeModel.

    :param input_tokens: as the header ``x-amzn-bedrock-input-token-count`` told, which is all that Cohere tells.
    :raises msgspec.DecodeError: when it is none.
    :raises ValueError: when a vector is none.
    """
    counted = input_tokens
    match _kind(model):
        case _Kind.TITAN_1 | _Kind.TITAN_2:
            titan = _decode_titan(body)
            vectors = [titan.embedding]
            counted = input_tokens if titan.input_text_token_count is None else titan.input_text_token_count
        case _Kind.NOVA:
            vectors = [each.embedding for each in _decode_nova(body).embeddings]
        case _Kind.COHERE_3 | _Kind.COHERE_4:
            told = _decode_cohere(body).embeddings
            vectors = told.floats if isinstance(told, wire.CohereFloats) else told
    return Embeddings(
        tuple(packed(vector) for vector in vectors), None if counted is None else Usage(input_tokens=counted)
    )
