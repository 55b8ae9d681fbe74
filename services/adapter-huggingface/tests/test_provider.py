"""The calls of the router and of endpoints, against a server that answers what the test says."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from omnix_adapter_huggingface.dialects import ENDPOINTS, ROUTER, Abilities
from omnix_adapter_huggingface.places import Place
from omnix_adapter_huggingface.provider import HuggingFaceProvider, opened
from omnix_kit.caller import Caller
from omnix_kit.errors import OmnixError, Reason
from omnix_kit.testing import eventually
from omnix_provider.types import (
    Attempt,
    Batch,
    CompletionRequest,
    EmbeddingRequest,
    Message,
    Role,
    ServedModel,
    Text,
)
from pydantic import SecretStr

ASKING = CompletionRequest("fast", (Message(Role.USER, (Text("Hi"),)),))
ATTEMPT = Attempt("a" * 32, "c" * 32, 1, Caller("t1"), "huggingface", "BAAI/bge-m3")
ANSWER = b'{"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]}'


@dataclass
class Vendor:
    """Answers every request alike and keeps what it was asked."""

    status: int = 200
    answer: bytes = ANSWER
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)

    async def serve(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        if request.method == "POST":
            self.asked.append((request.raw_path, headers, msgspec.json.decode(body)))
        return web.Response(status=self.status, body=self.answer, headers=self.headers)


@asynccontextmanager
async def called(
    vendor: Vendor, abilities: Abilities = ROUTER, *, models: Sequence[str] = ("m",)
) -> AsyncIterator[HuggingFaceProvider]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", vendor.serve)
    async with TestServer(app) as server:
        url = f"http://127.0.0.1:{server.port}/base/v1"
        place = Place("huggingface", url, SecretStr("hf_secret"), abilities, models, bill_to="acme")
        async with opened([place]) as [provider]:
            yield provider


def nothing() -> None:
    pass


async def streamed(provider: HuggingFaceProvider, into: list[Batch]) -> None:
    async for batch in provider.stream(ASKING, ATTEMPT, nothing):
        into.append(batch)


async def test_chat_goes_to_the_router_with_token_payer_and_id() -> None:
    vendor = Vendor()
    async with called(vendor) as provider:
        completion = await provider.complete(ASKING, ATTEMPT, nothing)
    assert completion.choices[0].message.parts == (Text("Hello"),)
    [(path, headers, body)] = vendor.asked
    assert path == "/base/v1/chat/completions"
    assert headers["authorization"] == "Bearer hf_secret"
    assert headers["x-hf-bill-to"] == "acme"
    assert headers["x-client-request-id"] == ATTEMPT.attempt_id
    assert headers["content-type"] == "application/json"
    assert body == {"model": "BAAI/bge-m3", "messages": [{"role": "user", "content": "Hi"}]}


async def test_embeddings_go_to_the_pipeline_of_the_model() -> None:
    vendor = Vendor(answer=b"[[1.0, 2.0]]")
    async with called(vendor) as provider:
        embeddings = await provider.embed(EmbeddingRequest("e", ("a",)), ATTEMPT, nothing)
    assert [len(vector) for vector in embeddings.vectors] == [8]
    assert [(path, body) for path, _, body in vendor.asked] == [
        ("/base/hf-inference/models/BAAI/bge-m3/pipeline/feature-extraction", {"inputs": ["a"]})
    ]


async def test_embeddings_of_an_endpoint_are_asked_for_in_openais_format() -> None:
    vendor = Vendor(answer=b'{"data":[{"index":0,"embedding":"AACAPw=="}],"usage":{"prompt_tokens":3}}')
    async with called(vendor, ENDPOINTS["tei"]) as provider:
        embeddings = await provider.embed(EmbeddingRequest("e", ((1, 2),)), ATTEMPT, nothing)
    assert embeddings.usage is not None
    assert embeddings.usage.input_tokens == 3
    [(path, _, body)] = vendor.asked
    assert (path, body["input"], body["encoding_format"]) == ("/base/v1/embeddings", [[1, 2]], "base64")


async def test_what_a_kind_of_server_does_not_do_is_refused_unasked() -> None:
    vendor = Vendor()
    async with called(vendor, ENDPOINTS["tei"]) as provider:
        with pytest.raises(OmnixError) as unary:
            await provider.complete(ASKING, ATTEMPT, nothing)
        with pytest.raises(OmnixError) as stream:
            await streamed(provider, [])
    async with called(vendor, ENDPOINTS["tgi"]) as provider:
        with pytest.raises(OmnixError) as embedding:
            await provider.embed(EmbeddingRequest("e", ("a",)), ATTEMPT, nothing)
    assert [each.value.param for each in (unary, stream, embedding)] == ["messages", "messages", "input"]
    assert {each.value.reason for each in (unary, stream, embedding)} == {Reason.UNSUPPORTED_PARAMETER}
    assert not vendor.asked


async def test_refusal_keeps_reason_status_and_delay() -> None:
    vendor = Vendor(429, b'{"error":"Model is overloaded","error_type":"overloaded"}', {"Retry-After": "3"})
    async with called(vendor, ENDPOINTS["tgi"]) as provider:
        with pytest.raises(OmnixError) as told:
            await streamed(provider, [])
    error = told.value
    assert (error.reason, error.provider_status, error.message) == (
        Reason.PROVIDER_OVERLOADED,
        429,
        "Model is overloaded",
    )
    assert error.retry_after is not None
    assert error.retry_after.total_seconds() == 3
    assert len(vendor.asked) == 1


async def test_error_inside_a_stream_comes_after_the_content_before_it() -> None:
    vendor = Vendor(
        answer=b'data: {"choices":[{"delta":{"content":"Hel"}}]}\n\n'
        b'data: {"error":{"message":"Request failed during generation: out of memory","http_status_code":422}}\n\n'
    )
    batches: list[Batch] = []
    async with called(vendor, ENDPOINTS["tgi"]) as provider:
        with pytest.raises(OmnixError) as told:
            await streamed(provider, batches)
    assert [chunk.text for batch in batches for chunk in batch.chunks] == ["Hel"]
    # text-generation-inference says 422 of every failure in a stream, so the number tells nothing.
    assert (told.value.reason, told.value.provider_status) == (Reason.PROVIDER_UNAVAILABLE, None)


@pytest.mark.parametrize("answer", [b"", b"<html>", b"\xff", b"{}"])
async def test_answer_that_is_none_is_malformed(answer: bytes) -> None:
    async with called(Vendor(answer=answer)) as provider:
        with pytest.raises(OmnixError) as told:
            await provider.complete(ASKING, ATTEMPT, nothing)
        with pytest.raises(OmnixError) as vectors:
            await provider.embed(EmbeddingRequest("e", ("a",)), ATTEMPT, nothing)
    assert told.value.reason is Reason.PROVIDER_MALFORMED
    assert vectors.value.reason is Reason.PROVIDER_MALFORMED


async def test_models_are_those_of_the_configuration_or_of_the_server() -> None:
    async with called(Vendor()) as provider:
        assert provider.list_models() == [ServedModel("m")]
    vendor = Vendor(answer=b'{"data":[{"id":"a/b","owned_by":"a","providers":[]},{"id":"c"}]}')
    async with called(vendor, models=()) as provider:
        await eventually(lambda: bool(provider.list_models()))
        assert provider.list_models() == [ServedModel("a/b", "a"), ServedModel("c")]


async def test_list_of_models_that_cannot_be_read_is_asked_for_again() -> None:
    vendor = Vendor(answer=b"\xff")
    async with called(vendor, models=()) as provider:
        await eventually(lambda: True)
        vendor.answer = b'{"data":[{"id":"a/b"}]}'
        await eventually(lambda: bool(provider.list_models()), 15)
