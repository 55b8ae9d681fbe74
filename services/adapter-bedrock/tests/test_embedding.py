"""Tables of embeddings in OmniX's words and in each model's."""

from typing import Any

import msgspec
import pytest
from omnix_adapter_bedrock.translate import embedding_body, embeddings_from_wire
from omnix_kit.caller import Caller
from omnix_provider.errors import InvalidRequest, Refused, UnsupportedParameter
from omnix_provider.types import Attempt, EmbeddingRequest, Embeddings, Purpose, Usage
from omnix_provider.vectors import packed

TITAN_1 = "amazon.titan-embed-text-v1"
TITAN_2 = "amazon.titan-embed-text-v2:0"
COHERE_3 = "cohere.embed-english-v3"
COHERE_4 = "us.cohere.embed-v4:0"
NOVA = "amazon.nova-2-multimodal-embeddings-v1:0"
VECTOR = packed([0.5, 1.0])


def body(model: str, *inputs: str | tuple[int, ...], **more: Any) -> dict[str, Any]:
    attempt = Attempt("a" * 32, "c" * 32, 1, Caller("t1"), "bedrock", model)
    decoded: dict[str, Any] = msgspec.json.decode(embedding_body(EmbeddingRequest("e", inputs, **more), attempt))
    return decoded


@pytest.mark.parametrize(
    ("model", "inputs", "more", "made"),
    [
        (TITAN_1, ("a",), {}, {"inputText": "a"}),
        (TITAN_2, ("a",), {"dimensions": 256, "purpose": Purpose.SIMILARITY}, {"inputText": "a", "dimensions": 256}),
        (
            COHERE_3,
            ("a", "b"),
            {},
            {"texts": ["a", "b"], "input_type": "search_document", "embedding_types": ["float"]},
        ),
        (
            COHERE_4,
            ("a",),
            {"dimensions": 1536, "purpose": Purpose.QUERY},
            {"texts": ["a"], "input_type": "search_query", "embedding_types": ["float"], "output_dimension": 1536},
        ),
        (
            NOVA,
            ("a",),
            {"dimensions": 384, "purpose": Purpose.CLUSTERING},
            {
                "taskType": "SINGLE_EMBEDDING",
                "singleEmbeddingParams": {
                    "embeddingPurpose": "CLUSTERING",
                    "embeddingDimension": 384,
                    "text": {"truncationMode": "NONE", "value": "a"},
                },
            },
        ),
    ],
)
def test_request(model: str, inputs: tuple[str, ...], more: dict[str, Any], made: dict[str, Any]) -> None:
    assert body(model, *inputs, **more) == made


@pytest.mark.parametrize(
    ("model", "inputs", "more", "param"),
    [
        (TITAN_2, ("a", "b"), {}, "input"),
        (NOVA, ("a", "b"), {}, "input"),
        (COHERE_3, ("a",) * 97, {}, "input"),
        (TITAN_2, ((1, 2),), {}, "input.0"),
        (TITAN_1, ("a",), {"dimensions": 256}, "dimensions"),
        (TITAN_2, ("a",), {"dimensions": 3}, "dimensions"),
        (COHERE_3, ("a",), {"dimensions": 256}, "dimensions"),
        (COHERE_4, ("a",), {"dimensions": 255}, "dimensions"),
        (NOVA, ("a",), {"dimensions": 512}, "dimensions"),
        (COHERE_3, ("a",), {"purpose": Purpose.SIMILARITY}, "purpose"),
        (NOVA, ("a",), {"purpose": Purpose.SIMILARITY}, "purpose"),
        ("anthropic.claude-opus-5", ("a",), {}, "model"),
    ],
)
def test_what_a_model_cannot_honour_is_refused_by_name(
    model: str, inputs: tuple[str | tuple[int, ...], ...], more: dict[str, Any], param: str
) -> None:
    with pytest.raises(UnsupportedParameter) as refused:
        body(model, *inputs, **more)
    assert refused.value.param == param


def test_nothing_to_embed_is_invalid() -> None:
    with pytest.raises(InvalidRequest):
        body(TITAN_2)


def test_half_a_character_is_refused() -> None:
    with pytest.raises(Refused):
        body(TITAN_2, "\ud83d")


@pytest.mark.parametrize(
    ("model", "told", "header", "embeddings"),
    [
        (TITAN_2, {"embedding": [0.5, 1], "inputTextTokenCount": 3}, 9, Embeddings((VECTOR,), Usage(3))),
        (TITAN_1, {"embedding": [0.5, 1]}, None, Embeddings((VECTOR,))),
        (COHERE_4, {"embeddings": {"float": [[0.5, 1], [0.5, 1]]}}, 7, Embeddings((VECTOR, VECTOR), Usage(7))),
        (COHERE_3, {"embeddings": [[0.5, 1]]}, None, Embeddings((VECTOR,))),
        (NOVA, {"embeddings": [{"embeddingType": "TEXT", "embedding": [0.5, 1]}]}, 2, Embeddings((VECTOR,), Usage(2))),
    ],
)
def test_answer(model: str, told: dict[str, Any], header: int | None, embeddings: Embeddings) -> None:
    assert embeddings_from_wire(msgspec.json.encode(told), model, header) == embeddings


@pytest.mark.parametrize("told", [b"{}", b"[", b'{"embedding":[]}', b'{"embedding":[1e300]}', b'{"embedding":["a"]}'])
def test_what_is_no_vector_is_told_apart(told: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        embeddings_from_wire(told, TITAN_2, None)
