"""Vectors by hf-inference's pipeline, which has a format of its own.

https://huggingface.co/docs/inference-providers/tasks/feature-extraction, read 2026-11-22; ``dimensions`` is
huggingface_hub's word for it.
"""

from typing import Any

import msgspec
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined] # lazy
from omnix_provider import vectors
from omnix_provider.chatcompletions.errors import unsupported
from omnix_provider.errors import ModelNotFound
from omnix_provider.types import EmbeddingRequest, Embeddings

PROVIDER = "hf-inference"
_decode = msgspec.json.Decoder(list[list[float]]).decode


def pipeline_path(root: str, model: str) -> str:
    """The path of the model's pipeline.

    :param root: the router's path, without the slash at its end.
    :param model: may end in ``:hf-inference``.
    :raises UnsupportedParameter: for a provider that has no such pipeline.
    :raises ModelNotFound: when it is no name, such as a path to what else the operator's token can be used for.
    """
    name, _, provider = model.partition(":")
    if provider not in ("", PROVIDER):
        raise unsupported("model")
    try:
        validate_repo_id(name)
    except HFValidationError as exc:
        raise ModelNotFound("This is no name of a model at Hugging Face.", param="model") from exc
    return f"{root}/{PROVIDER}/models/{name}/pipeline/feature-extraction"


def pipeline_body(request: EmbeddingRequest) -> bytes:
    """The JSON body.

    :raises UnsupportedParameter: naming what the pipeline cannot be told.
    """
    if request.purpose is not None:
        raise unsupported("purpose")  # it knows prompts, whose names each model chooses
    if not all(isinstance(each, str) for each in request.inputs):
        raise unsupported("input")
    body: dict[str, Any] = {"inputs": request.inputs}
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    return msgspec.json.encode(body)


def embeddings_from_pipeline(body: bytes) -> Embeddings:
    """Read an answer. The pipeline does not count tokens.

    :raises msgspec.DecodeError: when it is none, as that of a model which gives a vector for each token.
    """
    try:
        return Embeddings(tuple(vectors.packed(numbers) for numbers in _decode(body)))
    except ValueError as exc:  # msgspec's own among them
        raise msgspec.ValidationError(f"a vector cannot be read: {exc}") from exc
