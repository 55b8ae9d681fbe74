"""Vectors of texts."""

# ruff: noqa: S101 - these are tests

import asyncio
import time
from datetime import timedelta

import pytest
from omnix.embedding.v1 import embedding_pb2
from omnix.provider.v1 import provider_service_pb2
from omnix.usage.v1 import usage_pb2
from omnix_kit.errors import OmnixError, Reason
from omnix_sandbox import vectors as sandboxs
from omnix_sandbox.record import Call

from omnix_provider import vectors
from omnix_provider.conformance.asking import values
from omnix_provider.conformance.behaviours import group
from omnix_provider.conformance.vendor import Vendor, expect_refusal

behaviour = group("Embeddings")

Request = embedding_pb2.EmbeddingRequest


@behaviour("the vector of a text")
async def test_embedding(vendor: Vendor) -> None:
    answer, call = await _embedded(vendor, _request("Grüezi 👋"))
    [vector] = answer.embeddings.vectors
    numbers = vectors.unpacked(vector)
    assert numbers == pytest.approx(sandboxs.vector("Grüezi 👋", len(numbers)), abs=1e-6)
    assert call.operation == "embeddings"


@behaviour("the vectors of thirty texts, in their order")
async def test_embeddings(vendor: Vendor) -> None:
    texts = [f"Nummer {number}" for number in range(30)]
    answer, _ = await _embedded(vendor, _request(*texts))
    for text, vector in zip(texts, answer.embeddings.vectors, strict=True):
        numbers = vectors.unpacked(vector)
        assert numbers == pytest.approx(sandboxs.vector(text, len(numbers)), abs=1e-6)


@behaviour("a shorter vector (`dimensions`)")
async def test_embedding_dimensions(vendor: Vendor) -> None:
    request = _request("kurz")
    request.dimensions = 256
    answer, _ = await _embedded(vendor, request)
    assert len(vectors.unpacked(answer.embeddings.vectors[0])) == 256


@behaviour("usage of embeddings, metered as the vendor counted")
async def test_embedding_usage(vendor: Vendor) -> None:
    """The proviso: the vendor does not count, so it is estimated."""
    request = _request("What does it take?")
    request.metadata["team"] = "blue"
    answer, call = await _embedded(vendor, request)
    [event] = [one for one in vendor.place.readers.usage if one.attempt_id == call.request_id]
    assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_SUCCEEDED
    assert event.operation == usage_pb2.OPERATION_EMBEDDINGS
    assert dict(event.metadata) == {"team": "blue"}
    assert event.usage == answer.embeddings.usage
    assert event.usage.estimated == vendor.has_proviso
    assert event.usage.output_tokens == 0
    if not vendor.has_proviso:
        assert event.usage.input_tokens == call.input_tokens


@behaviour("what vectors are for (`purpose`)")
async def test_embedding_purpose(vendor: Vendor) -> None:
    request = _request("Wo?")
    request.purpose = embedding_pb2.PURPOSE_QUERY
    _, call = await _embedded(vendor, request)
    assert any("query" in str(value).lower() for value in values(call.body or "{}", "taskType", "input_type"))


@behaviour("tokens in place of text")
async def test_embedding_of_tokens(vendor: Vendor) -> None:
    request = Request(model="any")
    request.inputs.add().tokens.ids.extend([101, 2023, 102])
    _, call = await _embedded(vendor, request)
    assert call.input_tokens == 3


@behaviour("embeddings that the vendor refuses")
async def test_embedding_refused_by_the_vendor(vendor: Vendor) -> None:
    made = vendor.attempt()
    await vendor.sandbox.order_fault("429-retry-2s", match={"request_id": made.attempt_id}, count=1)
    asked = provider_service_pb2.EmbedRequest(request=_request("Nein"), attempt=made)
    with pytest.raises(OmnixError) as told:
        await vendor.place.adapter.remote.call(vendor.place.adapter.stub.Embed, asked, timeout=timedelta(seconds=10))
    assert (told.value.reason, told.value.retry_after) == (Reason.RATE_LIMITED, timedelta(seconds=2))
    event = await vendor.place.readers.usage_of(made)
    assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_FAILED


@behaviour("an answer to embeddings that makes no sense")
async def test_malformed_embedding(vendor: Vendor) -> None:
    made = vendor.attempt()
    await vendor.sandbox.order_fault("html", match={"request_id": made.attempt_id}, count=1)
    asked = provider_service_pb2.EmbedRequest(request=_request("Wie?"), attempt=made)
    with pytest.raises(OmnixError) as told:
        await vendor.place.adapter.remote.call(vendor.place.adapter.stub.Embed, asked, timeout=timedelta(seconds=10))
    assert told.value.reason is Reason.PROVIDER_MALFORMED
    event = await vendor.place.readers.usage_of(made)
    assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_FAILED
    assert event.usage.estimated


@behaviour("who leaves before the vectors come closes the vendor's connection within a second")
async def test_left_embedding(vendor: Vendor) -> None:
    made = vendor.attempt()
    await vendor.sandbox.order_fault("silence", match={"request_id": made.attempt_id}, count=1)
    asked = provider_service_pb2.EmbedRequest(request=_request("Wann?"), attempt=made)
    adapter = vendor.place.adapter
    call = asyncio.create_task(adapter.remote.call(adapter.stub.Embed, asked, timeout=timedelta(seconds=10)))
    await vendor.sandbox.wait_for_call(lambda call: True, request_id=made.attempt_id)
    began = time.time()
    call.cancel()
    seen = await vendor.sandbox.wait_for_call(lambda call: call.closed_time is not None, request_id=made.attempt_id)
    assert seen.closed_time is not None
    assert seen.closed_time - began < 1
    event = await vendor.place.readers.usage_of(made)
    assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_CANCELLED


def _request(*texts: str) -> Request:
    request = Request(model="any")
    for text in texts:
        request.inputs.add(text=text)
    return request


async def _embedded(vendor: Vendor, request: Request) -> tuple[provider_service_pb2.EmbedResponse, Call]:
    made = vendor.attempt()
    asked = provider_service_pb2.EmbedRequest(request=request, attempt=made)
    adapter = vendor.place.adapter
    try:
        answer = await adapter.remote.call(adapter.stub.Embed, asked, timeout=timedelta(seconds=10))
    except OmnixError as exc:
        if vendor.refused is None:
            raise
        await vendor.unheard(made)
        expect_refusal(exc, vendor.refused)
        raise
    await vendor.place.readers.usage_of(made)
    return answer, await vendor.sandbox.wait_for_call(request_id=made.attempt_id)


__all__ = [name for name in dir() if name.startswith("test_")]
