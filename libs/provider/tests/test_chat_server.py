"""The calls of a server that speaks the format, over real connections: what is no answer may have cost all the same."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from omnix_kit.caller import Caller
from omnix_kit.errors import OmnixError
from omnix_provider import connections
from omnix_provider.chatcompletions.dialect import Dialect
from omnix_provider.chatcompletions.server import Server
from omnix_provider.errors import Malformed, RateLimited
from omnix_provider.exchange import Exchange
from omnix_provider.types import Attempt, CompletionRequest, EmbeddingRequest, Message, Role, Text, Usage

ATTEMPT = Attempt("a" * 32, "c" * 32, 1, Caller("t1"), "openai", "m")
REQUEST = CompletionRequest("m", (Message(Role.USER, (Text("Hi"),)),))
COUNT = '"usage":{"prompt_tokens":9,"completion_tokens":3,"completion_tokens_details":{"reasoning_tokens":2}}'
COUNTED = Usage(9, 3, reasoning_tokens=2)


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> OmnixError:
    raise AssertionError(status)


@asynccontextmanager
async def server(answer: bytes) -> AsyncIterator[Server]:
    async def serve(request: web.Request) -> web.Response:
        return web.Response(body=answer)

    app = web.Application()
    app.router.add_post("/{path:.*}", serve)
    async with TestServer(app) as standing:
        url = f"http://127.0.0.1:{standing.port}/v1/chat/completions"
        async with connections.opened(url, {}, timedelta(seconds=5)) as pool:
            yield Server(Exchange("openai", pool), "/v1/embeddings", refusal)


@pytest.mark.parametrize(
    ("answer", "usage"),
    [
        (f'{{"choices":[],{COUNT}}}', COUNTED),
        (f"{{{COUNT}}}", COUNTED),
        (f'{{"choices":[{{"message":{{"content":"Hel"}},"finish_reason":"abort"}}],{COUNT}}}', COUNTED),
        (f'{{"choices":[{{"message":{{"content":"Hel"}},"finish_reason":null}}],{COUNT}}}', COUNTED),
        (f'{{"choices":[{{"index":-1,"message":{{"content":"x"}},"finish_reason":"stop"}}],{COUNT}}}', COUNTED),
        (f'{{"choices":"none",{COUNT}}}', COUNTED),
        ('{"choices":[]}', None),
        ('{"choices":[],"usage":{"prompt_tokens":9}}', None),
        ('{"choices":[],"usage":"much"}', None),
        (f'{{"choices":[],{COUNT}', None),
        ("[" * 100_000, None),
        ("<html>", None),
    ],
)
async def test_count_of_an_answer_that_is_none_is_kept_where_it_can_be_read(answer: str, usage: Usage | None) -> None:
    async with server(answer.encode()) as standing:
        with pytest.raises(Malformed) as failed:
            await standing.complete(REQUEST, ATTEMPT, Dialect(), lambda: None)
    assert failed.value.usage == usage


async def test_count_beside_an_error_in_place_of_an_answer_is_kept() -> None:
    answer = f'{{"error":{{"message":"Slower.","code":429}},{COUNT}}}'
    async with server(answer.encode()) as standing:
        with pytest.raises(RateLimited, match="Slower") as failed:
            await standing.complete(REQUEST, ATTEMPT, Dialect(), lambda: None)
    assert failed.value.usage == COUNTED


@pytest.mark.parametrize(
    ("answer", "usage"),
    [
        (b'{"data":[{"index":1,"embedding":[1]}],"usage":{"prompt_tokens":3,"total_tokens":3}}', Usage(3)),
        (b'{"data":[{"embedding":"x"}],"usage":{"prompt_tokens":3,"total_tokens":3}}', Usage(3)),
        (b'{"usage":{"prompt_tokens":3}}', Usage(3)),
        (b'{"data":3}', None),
    ],
)
async def test_count_of_vectors_that_are_none_is_kept(answer: bytes, usage: Usage | None) -> None:
    async with server(answer) as standing:
        with pytest.raises(Malformed) as failed:
            await standing.embed(EmbeddingRequest("e", ("a",)), ATTEMPT, Dialect(), lambda: None)
    assert failed.value.usage == usage
