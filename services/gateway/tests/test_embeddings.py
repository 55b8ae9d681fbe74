"""Embeddings through the official SDK, and what is refused."""

import asyncio
import base64
import struct
from datetime import timedelta
from typing import Any

import openai
import pytest
from omnix.embedding.v1 import embedding_pb2
from omnix_kit.errors import Reason, error_for
from omnix_kit.testing import eventually

from .conftest import Gateway, Start
from .fakes import Backends, vector

PATH = "/v1/embeddings"
MODEL = "text-embedding-3-small"


async def test_the_sdk_reads_the_same_numbers_in_either_form(gateway: Gateway, behind: Backends) -> None:
    behind.router.vectors = [vector(0.1, -2.5, 3e-8), vector(1, 2, 3)]
    numbers = [list(struct.unpack("<3f", each)) for each in behind.router.vectors]
    for form in ({}, {"encoding_format": "float"}, {"encoding_format": "base64"}):
        told = await gateway.openai.embeddings.create(model=MODEL, input=["a", "b"], **form)  # type: ignore[arg-type]
        found: list[object] = [each.embedding for each in told.data]
        if form == {"encoding_format": "base64"}:
            assert found == [base64.b64encode(each).decode() for each in behind.router.vectors]
        else:
            assert found == numbers
        assert [each.index for each in told.data] == [0, 1]
        assert (told.model, told.usage.prompt_tokens, told.usage.total_tokens) == (MODEL, 5, 5)


async def test_the_answer_tells_who_answered_and_what_it_cost(gateway: Gateway, behind: Backends) -> None:
    behind.router.sandbox = True
    answer = await gateway.http.post(PATH, json={"model": MODEL, "input": "a"})
    assert answer.json() == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -1.0]}],
        "model": MODEL,
        "usage": {"prompt_tokens": 5, "total_tokens": 5, "cost": "0.000007", "cost_micros": 7, "estimated": False},
    }
    asked = behind.router.embedded[0]
    headers = answer.headers
    assert headers["x-omnix-completion-id"] == f"embd-{asked.completion_id}"
    assert (headers["x-omnix-model"], headers["x-omnix-attempts"]) == (f"openai/{MODEL}", "1")
    assert (headers["x-omnix-cost"], headers["x-omnix-cost-micros"]) == ("0.000007", "7")
    assert headers["x-omnix-sandbox"] == "true"
    assert (asked.caller.tenant_id, asked.caller.key_id) == ("default", "member")


async def test_everything_asked_arrives(gateway: Gateway, behind: Backends) -> None:
    body = {
        "model": "m",
        "input": ["a", "ü"],
        "dimensions": 256,
        "user": "u",
        "metadata": {"k": "v"},
        "input_type": "search_query",
    }
    assert (await gateway.http.post(PATH, json=body)).status_code == 200
    request = behind.router.embedded[0].request
    assert [each.text for each in request.inputs] == ["a", "ü"]
    assert (request.dimensions, request.end_user, dict(request.metadata)) == (256, "u", {"k": "v"})
    assert request.purpose == embedding_pb2.PURPOSE_QUERY
    for tokens, lists in (([1, 2, 3], [[1, 2, 3]]), ([[1], [2, 3]], [[1], [2, 3]])):
        assert (await gateway.http.post(PATH, json={"model": "m", "input": tokens})).status_code == 200
        request = behind.router.embedded[-1].request
        assert [list(each.tokens.ids) for each in request.inputs] == lists
        assert not request.HasField("dimensions")
        assert not request.HasField("purpose")


BAD: list[tuple[dict[str, Any] | bytes, str | None]] = [
    ({"input": "a"}, "model"),
    ({"model": "m"}, "input"),
    ({"model": "m", "input": ""}, "input"),
    ({"model": "m", "input": []}, "input"),
    ({"model": "m", "input": ["a", ""]}, "input.1"),
    ({"model": "m", "input": ["a", 1]}, "input"),
    ({"model": "m", "input": ["a", [1]]}, "input"),
    ({"model": "m", "input": [[1], []]}, "input.1"),
    ({"model": "m", "input": [-1]}, "input.0"),
    ({"model": "m", "input": ["a"] * 2049}, "input"),
    (b'{"model":"m","input":"\\ud800"}', None),
    ({"model": "m", "input": ["a"] * 2048, "dimensions": 65_536}, "input"),
    ({"model": "m", "input": "a", "dimensions": 0}, "dimensions"),
    ({"model": "m", "input": "a", "encoding_format": "hex"}, "encoding_format"),
    ({"model": "m", "input": "a", "purpose": "query", "input_type": "document"}, "input_type"),
    ({"model": "m", "input": "a", "metadata": {"a": "b" * 513}}, "metadata.a"),
    ({"model": "m", "input": "a", "colour": 1}, "colour"),
]


async def test_bad_requests_are_named(gateway: Gateway, behind: Backends) -> None:
    for body, param in BAD:
        sent: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body}
        refused = await gateway.http.post(PATH, **sent)
        error = refused.json()["error"]
        assert (refused.status_code, error["param"], error["code"]) == (400, param, "invalid_request"), error
        assert len(error["message"]) < 300
    assert behind.router.embedded == []


async def test_keys_methods_and_sizes_are_checked(start: Start, behind: Backends) -> None:
    gateway: Gateway = await start(embedding_limit=2_000_000)
    refused = await gateway.http.post(PATH, json={"model": "m", "input": "a"}, headers={"authorization": "Bearer x"})
    assert refused.status_code == 401
    assert (await gateway.http.get(PATH)).status_code == 405
    assert (await gateway.http.post(PATH, json={"model": "m", "input": "a" * 1_900_000})).status_code == 200
    refused = await gateway.http.post(PATH, json={"model": "m", "input": "a" * 2_000_000})
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "payload_too_large")
    assert len(behind.router.embedded) == 1


async def test_errors_of_the_router_keep_their_meaning(gateway: Gateway, behind: Backends) -> None:
    wait = timedelta(seconds=2)
    behind.router.error = error_for(Reason.RATE_LIMITED, "Slow.", provider="openai", retry_after=wait)
    with pytest.raises(openai.RateLimitError) as told:
        await gateway.openai.embeddings.create(model="m", input="a")
    assert told.value.response.headers["retry-after"] == "2"
    assert told.value.response.headers["x-omnix-completion-id"].startswith("embd-")
    behind.router.error = error_for(Reason.UNSUPPORTED_PARAMETER, "No inputs[3].", param="inputs[3]")
    with pytest.raises(openai.BadRequestError) as named:
        await gateway.openai.embeddings.create(model="m", input="a")
    assert named.value.code == "unsupported_parameter"


async def test_a_vector_too_few_is_no_answer(gateway: Gateway, behind: Backends) -> None:
    behind.router.vectors = [vector(1)]
    refused = await gateway.http.post(PATH, json={"model": "m", "input": ["a", "b"]})
    assert (refused.status_code, refused.json()["error"]["code"]) == (502, "provider_malformed")


async def test_a_client_that_leaves_cancels_the_call(gateway: Gateway, behind: Backends) -> None:
    behind.router.hold = asyncio.Event()
    with pytest.raises(openai.APITimeoutError):
        await gateway.openai.embeddings.create(model="m", input="a", timeout=0.4)
    await eventually(lambda: len(behind.router.cancelled) == 1)


async def test_the_largest_answer_arrives_whole_and_others_are_answered_meanwhile(
    gateway: Gateway, behind: Backends
) -> None:
    """2,048 inputs of 3,072 dimensions: 24 MiB of vectors."""
    behind.router.vectors = [vector(*([0.1] * 3071), position) for position in range(2048)]
    asking = asyncio.create_task(
        gateway.openai.embeddings.create(model="m", input=["a"] * 2048, encoding_format="base64")
    )
    await eventually(lambda: len(behind.router.embedded) == 1)
    while not asking.done():
        async with asyncio.timeout(2):
            assert (await gateway.http.get("/livez")).status_code == 200
    told = (await asking).data
    found: list[object] = [each.embedding for each in told]
    assert found == [base64.b64encode(each).decode() for each in behind.router.vectors]
