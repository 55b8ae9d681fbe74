"""Vectors by TEI, on its own path and on its OpenAI-like one, and by hf-inference's feature extraction.

https://github.com/huggingface/text-embeddings-inference/blob/main/router/src/http/types.rs,
https://huggingface.co/docs/inference-providers/tasks/feature-extraction (2026-11)
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from omnix_sandbox import vectors
from omnix_sandbox.faults import Fault
from omnix_sandbox.formats import Asked, Making, Refusal
from omnix_sandbox.huggingface import errors
from omnix_sandbox.record import Operation
from omnix_sandbox.script import count_tokens
from omnix_sandbox.steering import Steering, steering_of_model

MAX_BATCH: Final = 32
MAX_TOKENS: Final = 8_192

Read = TypeVar("Read", bound=msgspec.Struct)
Dimensions = Annotated[int, Meta(ge=0)]


class EmbedRequest(msgspec.Struct):
    inputs: str | list[str]
    truncate: bool | None = None
    truncation_direction: Literal["Left", "Right", "left", "right"] = "Right"
    prompt_name: str | None = None
    normalize: bool = True
    dimensions: Dimensions | None = None


class OpenAIRequest(msgspec.Struct):
    input: str | list[str]
    model: str | None = None
    user: str | None = None
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Dimensions | None = None


class AskedVectors(Asked):
    """A request for the vectors of some texts, answered as a bare list."""

    operation = Operation.EMBEDDINGS

    def __init__(self, model: str, texts: str | list[str], dimensions: int, *, flat: bool = False) -> None:
        """With `flat` the vector of a text that came alone is not in a list."""
        self.model = model
        self.texts = [texts] if isinstance(texts, str) else texts
        self._dimensions = dimensions
        self._flat = flat and isinstance(texts, str)

    @property
    def steering(self) -> Steering:
        return steering_of_model(self.model)

    def input_tokens(self) -> int:
        return sum(count_tokens(text) for text in self.texts)

    def head_fields(self, making: Making) -> Mapping[str, str]:
        fields = {
            "x-compute-type": "cpu+optimized",
            "x-compute-time": str(making.latency_ms),
            "x-compute-characters": str(sum(len(text) for text in self.texts)),
        }
        if making.billing is not None:
            fields["x-compute-tokens"] = str(making.billing.input_tokens)
        return fields

    def vectors(self) -> list[list[float]]:
        return [vectors.vector(text, self._dimensions) for text in self.texts]

    def unary(self, making: Making) -> bytes:
        made = self.vectors()
        return msgspec.json.encode(made[0] if self._flat else made)


class AskedLikeOpenAI(AskedVectors):
    """The same, answered as OpenAI does."""

    def __init__(self, request: OpenAIRequest, model: str, dimensions: int) -> None:
        super().__init__(model, request.input, dimensions)
        self._packs = request.encoding_format == "base64"

    def refusal(self, fault: Fault) -> Refusal:
        return errors.openai_of_tei(errors.of_tei(fault))

    def unary(self, making: Making) -> bytes:
        data = [
            {"object": "embedding", "embedding": vectors.packed(made) if self._packs else made, "index": at}
            for at, made in enumerate(self.vectors())
        ]
        told: dict[str, Any] = {"object": "list", "data": data, "model": self.model}
        if making.billing is not None:
            tokens = making.billing.input_tokens
            told["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
        return msgspec.json.encode(told)


def of_tei(body: bytes, model: str, most: int, *, flat: bool = False) -> AskedVectors:
    """Read `/embed`'s body, or hf-inference's of the same form, whose answer to one text is `flat`.

    Raises:
        Refusal: TEI would not take it.
    """
    request = _decode(body, EmbedRequest)
    _check(request.inputs, truncate=bool(request.truncate))
    return AskedVectors(model, request.inputs, _dimensions(request.dimensions, most), flat=flat)


def like_openai(body: bytes, hosted: str, most: int) -> AskedLikeOpenAI:
    """Read `/v1/embeddings`' body; the server cuts texts that are too long.

    Raises:
        Refusal: TEI would not take it.
    """
    request = _decode(body, OpenAIRequest)
    try:
        _check(request.input, truncate=True)
        dimensions = _dimensions(request.dimensions, most)
    except Refusal as refusal:
        raise errors.openai_of_tei(refusal) from refusal
    return AskedLikeOpenAI(request, request.model or hosted, dimensions)


def _decode(body: bytes, kind: type[Read]) -> Read:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as exc:
        raise errors.plain(422, f"Failed to deserialize the JSON body into the target type: {exc}") from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise errors.plain(400, f"Failed to parse the request body as JSON: {exc}") from exc


def _check(texts: str | Sequence[str], *, truncate: bool) -> None:
    given = [texts] if isinstance(texts, str) else texts
    if not given:
        raise errors.typed(400, "`inputs` cannot be empty", "Empty")
    if len(given) > MAX_BATCH:
        raise errors.typed(422, f"batch size {len(given)} > maximum allowed batch size {MAX_BATCH}", "Validation")
    for text in given:
        if not text:
            raise errors.typed(400, "`inputs` cannot be empty", "Empty")
        if (tokens := count_tokens(text)) > MAX_TOKENS and not truncate:
            message = f"`inputs` must have less than {MAX_TOKENS} tokens. Given: {tokens}"
            raise errors.typed(413, message, "Validation")


def _dimensions(wanted: int | None, most: int) -> int:
    if wanted is not None and not 1 <= wanted <= most:
        message = f"`dimensions` should be positive and less than or equal to {most}. Given: {wanted}"
        raise errors.typed(422, message, "Validation")
    return wanted or most
