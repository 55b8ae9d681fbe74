"""Embeddings go the way of completions: names, routes, failover, costs."""

import asyncio
from datetime import timedelta

import pytest
from omnix.embedding.v1 import embedding_pb2
from omnix_kit.errors import OmnixError, Reason
from omnix_kit.testing import eventually

from .fakes import FakeAdapter, Router, fail, hang

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_request_is_passed_on_untouched_and_priced(router: Router, other: FakeAdapter) -> None:
    response = await router.embed("vectors", 256)
    [call] = other.calls
    assert isinstance(call.request, embedding_pb2.EmbeddingRequest)
    assert [one.text for one in call.request.inputs] == ["Grüße", "b"]
    assert (call.request.model, call.request.dimensions) == ("vectors", 256)
    attempt = call.attempt
    assert (attempt.provider, attempt.model, attempt.number, attempt.caller.tenant_id) == ("lab", "vectors", 1, "t")
    assert attempt.price.input_micros_per_million == 100_000
    assert not attempt.HasField("reasoning")
    assert list(response.embeddings.vectors) == [b"\0\0\x80?"] * 2
    assert (response.model, response.cost_micros, response.sandbox) == ("lab/vectors", 7, True)
    assert [(a.number, a.provider, a.model, a.error_reason) for a in response.attempts] == [(1, "lab", "vectors", "")]


async def test_failure_moves_to_the_next_target_of_the_route(router: Router, other: FakeAdapter) -> None:
    other.script = [fail(Reason.PROVIDER_UNAVAILABLE, status=500)] * 2
    response = await router.embed("points")
    assert [(a.model, a.error_reason) for a in response.attempts] == [
        ("vectors", "PROVIDER_UNAVAILABLE"),
        ("vectors", "PROVIDER_UNAVAILABLE"),
        ("vectors", ""),
    ]
    assert [call.attempt.provider for call in other.calls] == ["lab", "lab", "other"]
    assert {call.attempt.route for call in other.calls} == {"points"}
    assert (response.model, response.HasField("cost_micros")) == ("other/vectors", False)


async def test_length_that_the_model_does_not_make_is_refused(router: Router, other: FakeAdapter) -> None:
    with pytest.raises(OmnixError) as caught:
        await router.embed("lab/vectors", 300)
    assert (caught.value.reason, caught.value.param) == (Reason.UNSUPPORTED_PARAMETER, "dimensions")
    assert caught.value.message == "The model lab/vectors makes vectors of 256 or 512 numbers, not of 300."
    assert other.calls == []
    # Of the route's other target nothing is known.
    assert (await router.embed("points", 300)).model == "other/vectors"


@pytest.mark.parametrize(
    ("model", "dimensions", "reason", "param", "told"),
    [
        ("lab/vectors", 0, Reason.INVALID_REQUEST, "dimensions", "must be at least 1"),
        ("lab/named", None, Reason.INVALID_REQUEST, "model", "chats and makes no embeddings"),
        ("vectors:think", None, Reason.INVALID_REQUEST, "model", "leave ':think' out"),
        ("vectorz", None, Reason.MODEL_NOT_FOUND, "model", "Did you mean"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(
    router: Router, other: FakeAdapter, model: str, dimensions: int | None, reason: Reason, param: str, told: str
) -> None:
    with pytest.raises(OmnixError) as caught:
        await router.embed(model, dimensions)
    assert (caught.value.reason, caught.value.param) == (reason, param)
    assert told in caught.value.message
    assert other.calls == []


async def test_model_of_unknown_capabilities_may_embed(router: Router, other: FakeAdapter) -> None:
    assert (await router.embed("lab/unknown", 3)).model == "lab/unknown"


async def test_caller_that_leaves_ends_the_attempt(router: Router, other: FakeAdapter) -> None:
    other.script = [hang]
    going = asyncio.create_task(router.embed("vectors"))
    await eventually(lambda: len(other.calls) == 1)
    going.cancel()
    async with asyncio.timeout(5):
        await other.calls[0].cancelled.wait()
    await asyncio.gather(going, return_exceptions=True)
    assert len(other.calls) == 1


async def test_deadline_of_the_caller_ends_the_attempt(router: Router, other: FakeAdapter) -> None:
    other.script = [hang]
    with pytest.raises(OmnixError) as caught:
        await router.embed("vectors", timeout=timedelta(seconds=0.3))
    assert caught.value.reason is Reason.DEADLINE_EXCEEDED
