"""A real router between a caller and adapters that fail on purpose."""

import asyncio
import time
from datetime import timedelta

import pytest
from omnix.completion.v1 import completion_pb2
from omnix.router.v1 import router_service_pb2
from omnix_kit import subjects
from omnix_kit.errors import OmnixError, PlatformError, ProviderError, Reason
from omnix_kit.ids import uuid7
from omnix_kit.testing import NatsServer, connected, eventually

from .fakes import Call, FakeAdapter, Router, asked, fail, hang

pytestmark = pytest.mark.asyncio(loop_scope="module")


def told(response: router_service_pb2.CompleteResponse | router_service_pb2.StartCompletionResponse) -> list[str]:
    return [f"{a.number} {a.provider}/{a.model} {a.error_reason}".rstrip() for a in response.attempts]


async def test_request_is_passed_on_untouched_with_the_price_in_force(router: Router, openai: FakeAdapter) -> None:
    response = await router.complete("gpt-4o")
    [call] = openai.calls
    assert call.request == asked("gpt-4o")
    attempt = call.attempt
    assert (attempt.provider, attempt.model, attempt.number, attempt.route) == ("openai", "gpt-4o", 1, "")
    assert (attempt.caller.tenant_id, attempt.caller.key_id) == ("t", "k")
    assert (attempt.price.currency, attempt.price.input_micros_per_million) == ("USD", 2_500_000)
    assert response.completion.vendor_model == "gpt-4o-vendor"
    assert (response.model, response.cost_micros, response.sandbox) == ("openai/gpt-4o", 42, False)
    assert told(response) == ["1 openai/gpt-4o"]


async def test_unary_fails_over_to_the_next_target(router: Router, openai: FakeAdapter, other: FakeAdapter) -> None:
    openai.script = [fail(Reason.PROVIDER_UNAVAILABLE, status=500)] * 2
    response = await router.complete("pair")
    assert told(response) == [
        "1 openai/gpt-4o PROVIDER_UNAVAILABLE",
        "2 openai/gpt-4o PROVIDER_UNAVAILABLE",
        "3 other/model",
    ]
    assert (response.model, response.HasField("cost_micros"), response.sandbox) == ("other/model", False, True)
    assert other.calls[0].attempt.route == "pair"
    attempts = [call.attempt for call in openai.calls + other.calls]
    assert len({attempt.attempt_id for attempt in attempts}) == 3
    assert len({attempt.completion_id for attempt in attempts}) == 1
    assert await router.metric('omnix_router_failovers_total{provider="openai",reason="PROVIDER_UNAVAILABLE"}') == 1
    assert await router.metric('omnix_router_retries_total{provider="openai",reason="PROVIDER_UNAVAILABLE"}') == 1
    assert await router.metric('omnix_router_attempts_total{outcome="succeeded",provider="other",reason=""}') == 1


async def test_stream_fails_over_before_the_first_content(
    router: Router, openai: FakeAdapter, other: FakeAdapter
) -> None:
    openai.script = [fail(Reason.PROVIDER_AUTH_FAILED, status=401)]
    response = await router.start("pair")
    assert told(response) == ["1 openai/gpt-4o PROVIDER_AUTH_FAILED", "2 other/model"]
    assert (response.attempt, response.model, response.sender_id) == (2, "other/model", f"sender-{other.port}")
    assert response.sandbox
    stream = other.calls[0].stream
    assert stream is not None
    assert stream.chunk_subject == "omnix.v1.completion.chunk.g.c"
    assert stream.first_content_timeout.ToTimedelta() == timedelta(seconds=60)
    assert stream.idle_timeout.ToTimedelta() == response.idle_timeout.ToTimedelta() == timedelta(seconds=60)
    refused = 'omnix_router_credential_failures_total{provider="openai",reason="PROVIDER_AUTH_FAILED"}'
    assert await router.metric(refused) == 1
    assert await router.metric('omnix_router_first_content_seconds_count{provider="other"}') == 1


async def test_affordable_retry_after_is_waited_for(router: Router, openai: FakeAdapter) -> None:
    openai.script = [fail(Reason.RATE_LIMITED, retry_after=0.7, status=429)]
    began = time.monotonic()
    response = await router.complete("pair")
    assert told(response) == ["1 openai/gpt-4o RATE_LIMITED", "2 openai/gpt-4o"]
    assert time.monotonic() - began >= 0.7


async def test_last_error_goes_to_the_caller_whole(router: Router, openai: FakeAdapter) -> None:
    openai.script = [fail(Reason.RATE_LIMITED, retry_after=30, status=429)]
    with pytest.raises(ProviderError) as caught:
        await router.complete("gpt-4o")
    error = caught.value
    assert (error.reason, error.provider, error.provider_status) == (Reason.RATE_LIMITED, "openai", 429)
    assert error.retry_after == timedelta(seconds=30)
    assert len(openai.calls) == 1


async def test_bad_request_is_not_tried_elsewhere(router: Router, openai: FakeAdapter, other: FakeAdapter) -> None:
    openai.script = [fail(Reason.CONTENT_REFUSED, status=400)]
    with pytest.raises(OmnixError) as caught:
        await router.complete("pair")
    assert caught.value.reason is Reason.CONTENT_REFUSED
    assert (len(openai.calls), len(other.calls)) == (1, 0)


async def test_prompt_that_is_too_long_goes_to_the_larger_context(router: Router, openai: FakeAdapter) -> None:
    openai.script = [fail(Reason.CONTEXT_TOO_LONG, status=400)]
    assert told(await router.complete("larger")) == ["1 openai/gpt-4o CONTEXT_TOO_LONG", "2 openai/gpt-4.1"]


async def test_silent_attempt_is_ended_and_the_next_target_tried(
    router: Router, openai: FakeAdapter, other: FakeAdapter
) -> None:
    openai.script = [hang]
    response = await router.start("quick")
    assert told(response) == ["1 openai/gpt-4o PROVIDER_TIMEOUT", "2 other/model"]
    assert response.idle_timeout.ToTimedelta() == timedelta(seconds=7)
    async with asyncio.timeout(5):
        await openai.calls[0].cancelled.wait()
        await openai.calls[0].ended.wait()


async def test_deadline_of_the_caller_ends_the_attempt(router: Router, openai: FakeAdapter, other: FakeAdapter) -> None:
    openai.script = [hang]
    began = time.monotonic()
    with pytest.raises(PlatformError) as caught:
        await router.start("pair", timeout=timedelta(seconds=0.5))
    assert caught.value.reason is Reason.DEADLINE_EXCEEDED
    assert time.monotonic() - began < 3
    async with asyncio.timeout(5):
        await openai.calls[0].ended.wait()
    assert other.calls == []


@pytest.mark.parametrize("streamed", [False, True])
async def test_caller_that_leaves_ends_the_attempt(router: Router, openai: FakeAdapter, streamed: bool) -> None:
    openai.script = [hang]
    going = asyncio.create_task(_call(router, streamed))
    await eventually(lambda: len(openai.calls) == 1)
    going.cancel()
    async with asyncio.timeout(5):
        await openai.calls[0].cancelled.wait()
        if streamed:
            await openai.calls[0].ended.wait()
    await asyncio.gather(going, return_exceptions=True)
    assert len(openai.calls) == 1


async def _call(router: Router, streamed: bool) -> object:
    return await (router.start("pair") if streamed else router.complete("pair"))


async def test_adapter_that_dies_with_a_call_in_hand_is_a_failed_attempt(
    router: Router, openai: FakeAdapter, other: FakeAdapter
) -> None:
    async def die(_: Call) -> None:
        stopping.append(asyncio.create_task(openai.stop()))
        await asyncio.sleep(60)

    stopping: list[asyncio.Task[None]] = []
    openai.script = [die]
    response = await router.start("pair")
    # There is no second try at an adapter that is away while another target is there.
    assert told(response) == ["1 openai/gpt-4o UNAVAILABLE", "2 other/model"]
    await asyncio.gather(*stopping)
    assert told(await router.complete("pair")) == ["1 openai/gpt-4o UNAVAILABLE", "2 other/model"]
    await openai.start()

    async def is_back() -> bool:
        response = await router.complete("pair")
        return response.model == "openai/gpt-4o" and len(response.attempts) == 1

    await eventually(is_back, within=20)


async def test_cancellation_is_published_and_stops_further_attempts(
    router: Router, nats: NatsServer, openai: FakeAdapter
) -> None:
    heard: list[completion_pb2.CancelRequested] = []
    completion_id = uuid7()
    async with connected(nats) as messaging:

        async def on_cancel(message: object) -> None:
            heard.append(completion_pb2.CancelRequested.FromString(message.data))  # type: ignore[attr-defined]

        await messaging.subscribe(subjects.CANCEL_REQUESTED, on_cancel)
        await messaging.client.flush()
        openai.script = [fail(Reason.RATE_LIMITED, retry_after=1)]
        going = asyncio.create_task(router.start("pair", completion_id=completion_id))
        await eventually(lambda: len(openai.calls) == 1)
        await router.cancel(completion_id, "owner")
        with pytest.raises(PlatformError) as caught:
            await going
        await eventually(lambda: bool(heard))
    assert caught.value.reason is Reason.CANCELLED
    assert heard == [completion_pb2.CancelRequested(completion_id=completion_id, cause="owner")]
    assert len(openai.calls) == 1


async def test_id_that_is_none_never_becomes_a_subject(router: Router) -> None:
    for call in (router.cancel("*", "owner"), router.start("pair", completion_id="a.b")):
        with pytest.raises(OmnixError) as caught:
            await call
        assert (caught.value.reason, caught.value.param) == (Reason.INVALID_REQUEST, "completion_id")


NO_MODE, FLASH, THINK, ULTRA = (
    None,
    completion_pb2.COMPUTE_MODE_FLASH,
    completion_pb2.COMPUTE_MODE_THINK,
    completion_pb2.COMPUTE_MODE_ULTRA_THINK,
)


@pytest.mark.parametrize(
    ("model", "mode", "seconds"),
    [
        # What the catalogue does not know is believed to reason as it is asked to.
        ("other/model", NO_MODE, 60),
        ("other/model", FLASH, 20),
        ("other/model", THINK, 120),
        ("other/model", ULTRA, 300),
        ("lab/counted", NO_MODE, 120),
        ("lab/counted", FLASH, 20),
        ("lab/counted", ULTRA, 300),
        ("lab/dull", NO_MODE, 60),
        ("lab/dull", FLASH, 20),
        # It cannot think, and it cannot but think.
        ("lab/dull", ULTRA, 60),
        ("lab/named", FLASH, 120),
        ("patient", FLASH, 5),
        ("patient", ULTRA, 150),
        # The route says nothing of it.
        ("patient", NO_MODE, 120),
    ],
)
async def test_thinking_is_waited_for_as_long_as_it_takes(
    router: Router, other: FakeAdapter, model: str, mode: "completion_pb2.ComputeMode.ValueType | None", seconds: int
) -> None:
    await router.start(model, request=completion_pb2.CompletionRequest(compute_mode=mode))
    stream = other.calls[-1].stream
    assert stream is not None
    assert stream.first_content_timeout.ToTimedelta() == timedelta(seconds=seconds)


async def test_explicit_effort_is_waited_for_whatever_the_mode(router: Router, other: FakeAdapter) -> None:
    efforts = completion_pb2.Reasoning
    for effort, seconds in ((efforts.EFFORT_EXTRA_HIGH, 300), (efforts.EFFORT_LOW, 120), (efforts.EFFORT_NONE, 20)):
        request = completion_pb2.CompletionRequest(reasoning=efforts(effort=effort), compute_mode=FLASH)
        await router.start("other/model", request=request)
        stream = other.calls[-1].stream
        assert stream is not None
        assert stream.first_content_timeout.ToTimedelta() == timedelta(seconds=seconds)
