"""What becomes of answers that are none, over real connections: each model's name is one such answer."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from aiohttp import web
from omnix_adapter_gemini.dialect import Service
from omnix_adapter_gemini.provider import GeminiProvider, opened
from omnix_adapter_gemini.upstream import Upstream
from omnix_kit.caller import Caller
from omnix_kit.errors import OmnixError, Reason
from omnix_provider.errors import ContentRefused, ModelNotFound
from omnix_provider.types import (
    Attempt,
    Batch,
    Chunk,
    Completion,
    CompletionRequest,
    EmbeddingRequest,
    FinishReason,
    Message,
    Role,
    Text,
    Usage,
)
from omnix_provider.vectors import unpacked
from pydantic import SecretStr

USER = Message(Role.USER, (Text("Hi"),))
HELLO = CompletionRequest("m", (USER,))
CACHED = CompletionRequest("m", (USER,), vendor_parameters={"cachedContent": '"cachedContents/x"'})


def said(*parts: Any, **more: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP", **more}]}


_ANSWERS: MappingProxyType[str, tuple[int, Any]] = MappingProxyType(
    {
        "plain": (
            200,
            {**said({"text": "Hello"}), "usageMetadata": {"promptTokenCount": 2, "candidatesTokenCount": 1}},
        ),
        "blocked": (200, {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 7}}),
        "filtered": (200, said(finishReason="RECITATION")),
        "malformed-call": (200, said(finishReason="MALFORMED_FUNCTION_CALL")),
        "lost-signature": (200, said(finishReason="MISSING_THOUGHT_SIGNATURE")),
        "picture": (200, said({"inlineData": {"mimeType": "image/png", "data": "eA=="}})),
        "page": (200, b"<html>Log in.</html>"),
        "no-text": (200, b'{"candidates": [{"content": {"parts": [{"text": "\xff"}]}}]}'),
        "error": (200, {"error": {"code": 429, "message": "Slow.", "status": "RESOURCE_EXHAUSTED"}}),
        "refused": (403, {"error": {"message": "No.", "status": "PERMISSION_DENIED"}}),
        "moved": (302, b"elsewhere"),
        "vectors": (200, {"embeddings": [{"values": [1.0]}]}),
        "no-vectors": (200, {}),
        "no-numbers": (200, {"embeddings": [{"values": [1e300]}]}),
    }
)


@dataclass
class Vendor:
    url: str = ""
    connections: set[Any] = field(default_factory=set)
    headers: list[Any] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.connections.add(request.transport)
        self.headers.append(request.headers)
        await request.read()
        status, told = _ANSWERS[request.match_info["model"]]
        body = (
            told if isinstance(told, bytes) else told.encode() if isinstance(told, str) else msgspec.json.encode(told)
        )
        if status == 200 and request.query.get("alt") == "sse" and body[:1] != b"<":
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            await response.write(b"data: %s\r\n\r\n" % body)
            await response.write_eof()
            return response
        return web.Response(status=status, body=body)


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    playing = Vendor()
    app = web.Application()
    app.router.add_post("/v1/models/{model}:{method}", playing.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    playing.url = f"http://{host}:{port}"
    yield playing
    await runner.cleanup()


@pytest.fixture
async def gemini(vendor: Vendor) -> AsyncIterator[GeminiProvider]:
    async with AsyncExitStack() as stack:
        upstream = Upstream(Service.DEVELOPER, SecretStr("k"), base_url=vendor.url)
        yield await stack.enter_async_context(opened(upstream, None))


def attempt(model: str) -> Attempt:
    return Attempt("a" * 32, "c" * 32, 1, Caller("t1"), "gemini", model)


async def streamed(
    gemini: GeminiProvider, model: str, request: CompletionRequest = HELLO
) -> tuple[list[Batch], OmnixError | None]:
    batches: list[Batch] = []
    try:
        async with aclosing(gemini.stream(request, attempt(model), lambda: None)) as stream:  # type: ignore[type-var]
            async for batch in stream:
                batches.append(batch)
    except OmnixError as exc:
        return batches, exc
    return batches, None


async def test_answers_come_whole_and_streamed_over_one_connection(vendor: Vendor, gemini: GeminiProvider) -> None:
    for _ in range(3):
        answer = await gemini.complete(HELLO, attempt("plain"), lambda: None)
        batches, error = await streamed(gemini, "plain")
        assert isinstance(answer, Completion)
        assert (answer.choices[0].message.parts, answer.usage) == ((Text("Hello"),), Usage(2, 1))
        assert error is None
        assert batches == [
            Batch([Chunk("Hello", finish_reason=FinishReason.STOP)], None, Usage(2, 1)),
            Batch(done=True),
        ]
    assert len(vendor.connections) == 1
    assert {headers["x-goog-api-key"] for headers in vendor.headers} == {"k"}
    assert {headers["X-Client-Request-Id"] for headers in vendor.headers} == {"a" * 32}


@pytest.mark.parametrize(
    ("model", "reason", "status", "param"),
    [
        ("blocked", Reason.CONTENT_REFUSED, 200, "messages"),
        ("filtered", Reason.CONTENT_REFUSED, 200, "messages"),
        ("malformed-call", Reason.PROVIDER_MALFORMED, None, None),
        ("lost-signature", Reason.INVALID_REQUEST, 200, "messages"),
        ("picture", Reason.UNSUPPORTED_PARAMETER, 200, "model"),
        ("page", Reason.PROVIDER_MALFORMED, None, None),
        ("no-text", Reason.PROVIDER_MALFORMED, None, None),
        ("refused", Reason.PROVIDER_AUTH_FAILED, 403, None),
        ("moved", Reason.PROVIDER_UNAVAILABLE, 302, None),
    ],
)
async def test_what_is_no_answer_is_told_by_its_reason(
    gemini: GeminiProvider, model: str, reason: Reason, status: int | None, param: str | None
) -> None:
    with pytest.raises(OmnixError) as refused:
        await gemini.complete(HELLO, attempt(model), lambda: None)
    _, failed = await streamed(gemini, model)
    assert failed is not None
    for error in (refused.value, failed):
        assert (error.reason, error.provider_status, error.param) == (reason, status, param)


async def test_prompt_that_is_blocked_is_counted_as_google_counted_it(gemini: GeminiProvider) -> None:
    batches, _ = await streamed(gemini, "blocked")
    assert [batch.usage for batch in batches] == [Usage(7)]
    with pytest.raises(ContentRefused) as refused:
        await gemini.complete(HELLO, attempt("blocked"), lambda: None)
    assert refused.value.usage == Usage(7)


async def test_error_inside_a_stream_is_told_without_a_status(gemini: GeminiProvider) -> None:
    _, error = await streamed(gemini, "error")
    assert error is not None
    assert (error.reason, error.provider_status, error.message) == (Reason.RATE_LIMITED, None, "Slow.")


async def test_cached_prompt_of_another_does_not_cost_the_credential_its_name(gemini: GeminiProvider) -> None:
    _, error = await streamed(gemini, "refused", CACHED)
    assert error is not None
    assert (error.reason, error.param) == (Reason.INVALID_REQUEST, "cachedContent")


async def test_vectors_of_the_gemini_api_come_in_one_call(gemini: GeminiProvider) -> None:
    embeddings = await gemini.embed(EmbeddingRequest("m", ("a",)), attempt("vectors"), lambda: None)
    assert [unpacked(each) for each in embeddings.vectors] == [(1.0,)]


@pytest.mark.parametrize("model", ["no-vectors", "no-numbers", "page"])
async def test_answer_without_vectors_is_malformed(gemini: GeminiProvider, model: str) -> None:
    with pytest.raises(OmnixError) as failed:
        await gemini.embed(EmbeddingRequest("m", ("a",)), attempt(model), lambda: None)
    assert failed.value.reason is Reason.PROVIDER_MALFORMED


async def test_path_in_place_of_a_model_is_sent_to_nobody(vendor: Vendor, gemini: GeminiProvider) -> None:
    request = EmbeddingRequest("m", ("a",))
    for call in (gemini.complete(HELLO, attempt("../x"), _never), gemini.embed(request, attempt("a/b"), _never)):
        with pytest.raises(ModelNotFound):
            await call
    assert not vendor.headers


def _never() -> None:
    pytest.fail("nothing was handed over")
