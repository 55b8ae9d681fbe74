"""Vectors by hf-inference's pipeline."""

import struct
from typing import Any

import msgspec
import pytest
from omnix_adapter_huggingface.feature_extraction import embeddings_from_pipeline, pipeline_body, pipeline_path
from omnix_provider.chatcompletions.wire import UNREADABLE
from omnix_provider.errors import ModelNotFound, UnsupportedParameter
from omnix_provider.types import EmbeddingRequest, Embeddings, Purpose


@pytest.mark.parametrize("model", ["BAAI/bge-m3", "BAAI/bge-m3:hf-inference"])
def test_model_stands_in_the_path(model: str) -> None:
    assert pipeline_path("", model) == "/hf-inference/models/BAAI/bge-m3/pipeline/feature-extraction"


@pytest.mark.parametrize("model", ["a b?c#d", "..", "../../v1", "BAAI/../../fal-ai", "a/b/c", "", "/", "a/", "日本"])
def test_name_that_is_none_makes_no_path(model: str) -> None:
    with pytest.raises(ModelNotFound) as told:
        pipeline_path("/huggingface", model)
    assert (told.value.param, told.value.reached) == ("model", False)


def test_another_provider_is_refused() -> None:
    with pytest.raises(UnsupportedParameter) as told:
        pipeline_path("", "Qwen/Qwen3-Embedding-8B:scaleway")
    assert told.value.param == "model"


@pytest.mark.parametrize(
    ("request_", "asked"),
    [
        (EmbeddingRequest("e", ("a", "b"), end_user="u"), {"inputs": ["a", "b"]}),
        (EmbeddingRequest("e", ("a",), dimensions=64), {"inputs": ["a"], "dimensions": 64}),
    ],
)
def test_texts_are_asked_for(request_: EmbeddingRequest, asked: dict[str, Any]) -> None:
    assert msgspec.json.decode(pipeline_body(request_)) == asked


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (EmbeddingRequest("e", ("a",), purpose=Purpose.QUERY), "purpose"),
        (EmbeddingRequest("e", ((1, 2),)), "input"),
    ],
)
def test_what_the_pipeline_cannot_be_told_is_refused(request_: EmbeddingRequest, param: str) -> None:
    with pytest.raises(UnsupportedParameter) as told:
        pipeline_body(request_)
    assert told.value.param == param


def test_vectors_are_read() -> None:
    assert embeddings_from_pipeline(b"[[1, -0.5], [0.0, 2]]") == Embeddings(
        (struct.pack("<2f", 1.0, -0.5), struct.pack("<2f", 0.0, 2.0))
    )


@pytest.mark.parametrize("answer", [b"", b"{}", b"[1.0]", b"[[[1.0]]]", b"[[]]", b"[[1e300]]", b'[["a"]]', b"\xff"])
def test_what_is_no_vector_is_an_error(answer: bytes) -> None:
    with pytest.raises(UNREADABLE):
        embeddings_from_pipeline(answer)
