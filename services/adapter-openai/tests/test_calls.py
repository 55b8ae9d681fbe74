"""The calls of OpenAI's own models, against a server that answers what the test says."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from omnix_adapter_openai.provider import OpenAIProvider, Upstream, opened
from omnix_kit.caller import Caller
from omnix_kit.errors import OmnixError, Reason
from omnix_kit.testing import eventually
from omnix_provider import offered
from omnix_provider.types import (
    Attempt,
    CacheBreakpoint,
    CompletionRequest,
    Control,
    Effort,
    EmbeddingRequest,
    Message,
    Purpose,
    ReasoningPlan,
    Role,
    ServedModel,
    Text,
    Usage,
)
from pydantic import SecretStr

CHAT = b'{"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]}'
VECTORS = b'{"data":[{"index":0,"embedding":"AACAPwAAAMA="}],"model":"m","usage":{"prompt_tokens":3,"total_tokens":3}}'


@dataclass
class Vendor:
    answer: bytes
    asked: list[tuple[str, Any]] = field(default_factory=list)
    listed: int = 0
    """How often it was asked for its models."""

    async def serve(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            self.asked.append((request.raw_path, msgspec.json.decode(await request.read())))
        else:
            self.listed += 1
        return web.Response(body=self.answer)


@asynccontextmanager
async def called(vendor: Vendor) -> AsyncIterator[OpenAIProvider]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", vendor.serve)
    async with TestServer(app) as server:
        upstream = Upstream("openai", f"http://127.0.0.1:{server.port}/v1", SecretStr("sk-x"))
        async with opened([upstream]) as [provider]:
            yield provider


def attempt(model: str, plan: ReasoningPlan | None = None) -> Attempt:
    return Attempt("a" * 32, "c" * 32, 1, Caller("t1"), "openai", model, reasoning=plan)


def nothing() -> None:
    pass


async def test_embeddings_pass_as_the_bytes_they_came_as() -> None:
    vendor = Vendor(VECTORS)
    async with called(vendor) as provider:
        request = EmbeddingRequest("e", ("a",), dimensions=2)
        embeddings = await provider.embed(request, attempt("text-embedding-3-small"), nothing)
    assert embeddings.vectors == (b"\x00\x00\x80\x3f\x00\x00\x00\xc0",)
    assert embeddings.usage == Usage(3)
    assert vendor.asked == [
        (
            "/v1/embeddings",
            {"model": "text-embedding-3-small", "input": ["a"], "encoding_format": "base64", "dimensions": 2},
        )
    ]


async def test_embeddings_for_a_purpose_are_refused_unasked() -> None:
    vendor = Vendor(VECTORS)
    async with called(vendor) as provider:
        with pytest.raises(OmnixError) as told:
            await provider.embed(EmbeddingRequest("e", ("a",), purpose=Purpose.QUERY), attempt("e"), nothing)
    assert (told.value.reason, told.value.param) == (Reason.UNSUPPORTED_PARAMETER, "purpose")
    assert not vendor.asked


@pytest.mark.parametrize(("model", "told"), [("gpt-5.6-luna", True), ("gpt-4o", False)])
async def test_breakpoint_is_told_to_models_that_know_it(model: str, told: bool) -> None:
    vendor = Vendor(CHAT)
    async with called(vendor) as provider:
        request = CompletionRequest("m", (Message(Role.USER, (Text("x", CacheBreakpoint()),)),))
        await provider.complete(request, attempt(model), nothing)
    [(path, body)] = vendor.asked
    assert path == "/v1/chat/completions"
    assert ("prompt_cache_breakpoint" in body["messages"][0]["content"][0]) is told


async def test_plan_and_limit_are_said_in_openais_words() -> None:
    vendor = Vendor(CHAT)
    async with called(vendor) as provider:
        request = CompletionRequest("m", (Message(Role.USER, (Text("x"),)),), max_output_tokens=9)
        plan = ReasoningPlan(Control.EFFORT, Effort.EXTRA_HIGH)
        await provider.complete(request, attempt("gpt-5.6", plan), nothing)
    [(_, body)] = vendor.asked
    assert (body["reasoning_effort"], body["max_completion_tokens"]) == ("xhigh", 9)


async def test_list_of_models_that_the_sdk_trips_over_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offered, "_SHORTEST_PAUSE", 0.01)
    vendor = Vendor(b"[" * 100_000)
    async with called(vendor) as provider:
        await eventually(lambda: vendor.listed > 1)
        vendor.answer = b'{"object":"list","data":[{"id":"m","object":"model","owned_by":"o"}]}'
        await eventually(lambda: list(provider.list_models()) == [ServedModel("m", "o")])
