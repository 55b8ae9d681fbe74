"""Texts to vectors: the three calls by which Google offers it. Pure.

The Gemini API takes any number of inputs in ``batchEmbedContents``. Google Cloud takes them in ``predict``, and for
models of the Gemini family in ``embedContent`` or ``batchEmbedContents``; there it is told not to cut off what is too
long. Vectors are handed on as they come: those that were shortened by ``dimensions`` may not have the length 1.
https://ai.google.dev/api/embeddings, https://docs.cloud.google.com/vertex-ai/generative-ai/docs/embeddings
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from omnix_provider.errors import UnsupportedParameter
from omnix_provider.types import EmbeddingRequest, Embeddings, Purpose, Usage
from omnix_provider.vectors import packed

from omnix_adapter_gemini import wire
from omnix_adapter_gemini.dialect import Service
from omnix_adapter_gemini.media import unsupported

Body = dict[str, Any]

PREDICT, EMBED, BATCH = "predict", "embedContent", "batchEmbedContents"

_TASKS: Mapping[Purpose, str] = MappingProxyType(
    {
        Purpose.QUERY: "RETRIEVAL_QUERY",
        Purpose.DOCUMENT: "RETRIEVAL_DOCUMENT",
        Purpose.SIMILARITY: "SEMANTIC_SIMILARITY",
        Purpose.CLASSIFICATION: "CLASSIFICATION",
        Purpose.CLUSTERING: "CLUSTERING",
    }
)

_encode = msgspec.json.Encoder().encode
_decode_embedded = msgspec.json.Decoder(wire.Embedded).decode
_decode_predictions = msgspec.json.Decoder(wire.Predictions).decode


def method(request: EmbeddingRequest, model: str, service: Service) -> str:
    """Which call this request takes."""
    if service is Service.DEVELOPER:
        return BATCH
    if "gemini" not in model:
        return PREDICT
    return EMBED if len(request.inputs) == 1 else BATCH


def embedding_body(request: EmbeddingRequest, model: str, resource: str, service: Service) -> bytes:
    """The JSON body of ``method``'s call.

    :param resource: the model's name as the service spells it, such as ``models/gemini-embedding-001``.
    :raises UnsupportedParameter: for inputs that are tokens, and for a purpose that the model has no word for.
    """
    texts = [_text(each, f"input.{at}") for at, each in enumerate(request.inputs)]
    task = None if request.purpose is None else _TASKS[request.purpose]
    if task is not None and not _takes_task(model):
        raise unsupported("purpose")
    if service is Service.DEVELOPER:
        told = _without_none({"taskType": task, "outputDimensionality": request.dimensions})
        return _encode({"requests": [{"model": resource, "content": _content(text), **told} for text in texts]})
    if "gemini" not in model:
        instances = [_without_none({"content": text, "task_type": task}) for text in texts]
        parameters = {"outputDimensionality": request.dimensions, "autoTruncate": False}
        return _encode({"instances": instances, "parameters": _without_none(parameters)})
    config = _without_none({"taskType": task, "outputDimensionality": request.dimensions, "autoTruncate": False})
    asked = [{"content": _content(text), "embedContentConfig": config} for text in texts]
    return _encode(asked[0] if len(asked) == 1 else {"requests": asked})


def _takes_task(model: str) -> bool:
    """From the second Gemini on the task is part of the text: https://ai.google.dev/gemini-api/docs/embeddings."""
    name = model.rpartition("/")[2]
    return "gemini" not in name or name.startswith(("gemini-embedding-001", "gemini-embedding-exp"))


def _text(given: str | tuple[int, ...], where: str) -> str:
    if not isinstance(given, str):
        raise UnsupportedParameter("This provider takes texts and no tokens.", param=where)
    return given


def _content(text: str) -> Body:
    return {"parts": [{"text": text}]}


def _without_none(body: Body) -> Body:
    return {name: value for name, value in body.items() if value is not None}


def embeddings_from_wire(body: bytes, called: str) -> Embeddings:
    """Read the answer of the call ``called``.

    :raises ValueError: when it is none; msgspec's errors are of this kind.
    """
    if called == PREDICT:
        found = [each.embeddings for each in _decode_predictions(body).predictions]
        counts = [each.statistics.token_count for each in found if each.statistics is not None]
        known = [int(count) for count in counts if count is not None]
        usage = Usage(input_tokens=sum(known)) if len(known) == len(found) else None
        return Embeddings(tuple(packed(each.values) for each in found), usage)
    answer = _decode_embedded(body)
    vectors = answer.embeddings if answer.embedding is None else [answer.embedding]
    if not vectors:
        raise ValueError("the answer has no vectors")
    counted = None if answer.usage_metadata is None else answer.usage_metadata.prompt_token_count
    return Embeddings(
        tuple(packed(each.values) for each in vectors), None if counted is None else Usage(input_tokens=counted)
    )
