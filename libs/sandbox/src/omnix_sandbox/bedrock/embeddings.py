"""`InvokeModel` for embeddings: Amazon's Titan and Nova and Cohere's Embed, each in its own words.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html,
model-parameters-embed-v3.html and model-parameters-embed-v4.html, and
https://docs.aws.amazon.com/nova/latest/userguide/embeddings-schema.html, read 2026-11-22.
A model of the sandbox's own takes the words of either, by which it is asked.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, TypeVar
from uuid import UUID, uuid5

import msgspec
from msgspec import Meta

from omnix_sandbox.bedrock import models
from omnix_sandbox.bedrock.errors import invalid, invalid_for_model
from omnix_sandbox.formats import Asked, Making
from omnix_sandbox.record import Operation
from omnix_sandbox.script import count_tokens
from omnix_sandbox.steering import Steering, steering_of_model
from omnix_sandbox.vectors import vector

MOST_TITAN_TOKENS: Final = 8_192
MOST_TITAN_CHARACTERS: Final = 50_000
TITAN_V1_DIMENSIONS: Final = 1536
COHERE_V3_DIMENSIONS: Final = 1024
COHERE_V4_DIMENSIONS: Final = 1536

_NAMESPACE: Final = UUID("018f9c1e-7c3a-7b52-9d1f-2f6a1c0e4b77")
_PURPOSE: Final = "^(GENERIC_INDEX|((GENERIC|TEXT|IMAGE|VIDEO|DOCUMENT|AUDIO)_RETRIEVAL)|CLASSIFICATION|CLUSTERING)$"
_T = TypeVar("_T", bound=msgspec.Struct)


class TitanV1(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    input_text: str


class TitanV2(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    input_text: str
    dimensions: Literal[256, 512, 1024] = 1024
    normalize: bool = True
    embedding_types: list[Literal["float", "binary"]] | None = None


class _Part(msgspec.Struct):
    type: Literal["text", "image_url"]
    text: str = ""


class _Input(msgspec.Struct):
    content: list[_Part]


EmbeddingType = Literal["float", "int8", "uint8", "binary", "ubinary"]
Texts = Annotated[list[str], Meta(max_length=96)]


class CohereV3(msgspec.Struct, forbid_unknown_fields=True):
    input_type: Literal["search_document", "search_query", "classification", "clustering", "image"]
    texts: Texts | None = None
    images: Annotated[list[str], Meta(max_length=1)] | None = None
    truncate: Literal["NONE", "START", "END"] = "NONE"
    embedding_types: list[EmbeddingType] | None = None


class CohereV4(msgspec.Struct, forbid_unknown_fields=True):
    input_type: Literal["search_document", "search_query", "classification", "clustering", "image"]
    texts: Texts | None = None
    images: Annotated[list[str], Meta(max_length=96)] | None = None
    inputs: Annotated[list[_Input], Meta(max_length=96)] | None = None
    truncate: Literal["NONE", "LEFT", "RIGHT", "START", "END"] = "RIGHT"
    embedding_types: list[EmbeddingType] | None = None
    output_dimension: Literal[256, 512, 1024, 1536] = COHERE_V4_DIMENSIONS
    max_tokens: Annotated[int, Meta(ge=1, le=128_000)] | None = None


class _NovaText(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    truncation_mode: Literal["START", "END", "NONE"]
    value: Annotated[str, Meta(min_length=1)]


class _NovaParams(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    embedding_purpose: Annotated[str, Meta(pattern=_PURPOSE)]
    text: _NovaText
    embedding_dimension: Literal[256, 384, 1024, 3072] = 3072


class Nova(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """The sandbox embeds texts only."""

    task_type: Literal["SINGLE_EMBEDDING"]
    single_embedding_params: _NovaParams
    schema_version: Literal["nova-multimodal-embed-v1"] = "nova-multimodal-embed-v1"


class AskedVectors(Asked):
    """A request for the vectors of some texts."""

    operation = Operation.EMBEDDINGS

    def __init__(self, model: str, texts: Sequence[str]) -> None:
        self.model = model
        self.texts = texts

    @property
    def steering(self) -> Steering:
        return steering_of_model(models.base_of(self.model))

    def input_tokens(self) -> int:
        return sum(count_tokens(text) for text in self.texts)

    def head_fields(self, making: Making) -> Mapping[str, str]:
        """Cohere's answers tell their tokens nowhere else."""
        fields = {"X-Amzn-Bedrock-Invocation-Latency": str(max(1, making.latency_ms))}
        if making.billing is not None:
            fields["X-Amzn-Bedrock-Input-Token-Count"] = str(making.billing.input_tokens)
        return fields


class AskedTitan(AskedVectors):
    def __init__(self, model: str, asked: TitanV1 | TitanV2) -> None:
        super().__init__(model, [asked.input_text])
        self._asked = asked
        if not asked.input_text:
            raise invalid_for_model(
                "Malformed input request: #/inputText: expected minLength: 1, actual: 0, please reformat your input "
                "and try again."
            )
        if len(asked.input_text) > MOST_TITAN_CHARACTERS:
            raise invalid_for_model(
                f"Malformed input request: expected maxLength: {MOST_TITAN_CHARACTERS}, actual: "
                f"{len(asked.input_text)}, please reformat your input and try again."
            )
        if self.input_tokens() > MOST_TITAN_TOKENS:
            raise invalid(
                f"400 Bad Request: Too many input tokens. Max input tokens: {MOST_TITAN_TOKENS}, request input token "
                f"count: {self.input_tokens()}"
            )

    def unary(self, making: Making) -> bytes:
        asked = self._asked
        body: dict[str, Any] = {}
        if isinstance(asked, TitanV1):
            body["embedding"] = vector(asked.input_text, TITAN_V1_DIMENSIONS)
        else:
            made = vector(asked.input_text, asked.dimensions)
            if not asked.normalize:
                made = [2 * value for value in made]
            kinds = asked.embedding_types or ["float"]
            body["embeddingsByType"] = {kind: _as_type(made, kind) for kind in kinds}
            if "float" in kinds:
                body["embedding"] = made
        if making.billing is not None:
            body["inputTextTokenCount"] = making.billing.input_tokens
        return msgspec.json.encode(body)


class AskedNova(AskedVectors):
    def __init__(self, model: str, asked: Nova) -> None:
        self._params = asked.single_embedding_params
        super().__init__(model, [self._params.text.value])

    def unary(self, making: Making) -> bytes:
        made = vector(self._params.text.value, self._params.embedding_dimension)
        return msgspec.json.encode({"embeddings": [{"embeddingType": "TEXT", "embedding": made}]})


class AskedCohere(AskedVectors):
    def __init__(self, model: str, asked: CohereV3 | CohereV4) -> None:
        inputs = asked.inputs if isinstance(asked, CohereV4) else None
        given = [part for part in (asked.texts, asked.images, inputs) if part is not None]
        if len(given) != 1 or not given[0]:
            raise invalid_for_model("Malformed input request: one of texts, images and inputs must be given.")
        if inputs is not None:
            texts = ["".join(part.text for part in one.content) for one in inputs]
        else:
            texts = [*(asked.texts or ()), *(asked.images or ())]
        super().__init__(model, texts)
        self._asked = asked
        self._dimensions = asked.output_dimension if isinstance(asked, CohereV4) else COHERE_V3_DIMENSIONS

    def unary(self, making: Making) -> bytes:
        vectors = [vector(text, self._dimensions) for text in self.texts]
        kinds = self._asked.embedding_types
        made: object = vectors
        if kinds is not None:
            made = {kind: [_as_type(one, kind) for one in vectors] for kind in kinds}
        body: dict[str, Any] = {
            "embeddings": made,
            "id": str(uuid5(_NAMESPACE, making.call)),
            "response_type": "embeddings_floats" if kinds is None else "embeddings_by_type",
        }
        if self._asked.texts is not None:
            body["texts"] = self._asked.texts
        return msgspec.json.encode(body)


def take(model: str, body: bytes) -> AskedVectors:
    """Read a body of `InvokeModel` for an embedding model.

    Raises:
        Refusal: the model would not take it, or answers with something else than vectors.
    """
    base = models.base_of(model)
    if base.startswith(("amazon.titan-embed-text-v1", "amazon.titan-embed-g1")):
        return AskedTitan(model, _read(body, TitanV1))
    if base.startswith("amazon.titan-embed-text-v2"):
        return AskedTitan(model, _read(body, TitanV2))
    if base.startswith("amazon.nova-2-multimodal-embeddings"):
        return AskedNova(model, _read(body, Nova))
    if base.startswith("cohere.embed-v4"):
        return AskedCohere(model, _read(body, CohereV4))
    if base.startswith("cohere.embed"):
        return AskedCohere(model, _read(body, CohereV3))
    if base in models.CHAT:
        raise invalid("The sandbox invokes embedding models only. Use the Converse API for this model.")
    if b'"inputText"' in body:
        return AskedTitan(model, _read(body, TitanV2))
    if b'"singleEmbeddingParams"' in body:
        return AskedNova(model, _read(body, Nova))
    return AskedCohere(model, _read(body, CohereV4))


def _read(body: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as exc:
        raise invalid_for_model(f"Malformed input request: {exc}, please reformat your input and try again.") from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise invalid_for_model("Malformed input request, please reformat your input and try again.") from exc


def _as_type(values: list[float], kind: str) -> Sequence[float]:
    """The numbers in one of the models' types; binary ones are packed, eight to a byte, where Cohere packs them."""
    match kind:
        case "int8":
            return [max(-128, min(127, round(value * 127))) for value in values]
        case "uint8":
            return [max(0, min(255, round(value * 127) + 128)) for value in values]
        case "ubinary":
            return _packed(values)
        case "binary":
            return [byte - 128 for byte in _packed(values)]
        case _:
            return values


def _packed(values: list[float]) -> list[int]:
    return [
        sum((value > 0) << (7 - bit) for bit, value in enumerate(values[at : at + 8]))
        for at in range(0, len(values), 8)
    ]
