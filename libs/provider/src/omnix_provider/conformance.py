"""The promises that every adapter keeps, as tests over a real process, a real NATS server and the sandbox.

An adapter's suite imports the tests of this module by ``*`` and provides two fixtures of module scope: ``place``, a
``Place`` whose adapter calls the sandbox, and ``sandbox``, the running sandbox. The models' names are those by which
every one of the sandbox's wire formats is steered.
"""

# ruff: noqa: S101 - these are tests

import asyncio
import time
from datetime import timedelta

import pytest
from nats.aio.msg import Msg
from omnix.completion.v1 import completion_pb2 as pb
from omnix.provider.v1.heartbeat_pb2 import SenderHeartbeat
from omnix.usage.v1 import usage_pb2
from omnix_kit import subjects
from omnix_kit.convert import error_from_proto
from omnix_kit.errors import OmnixError, Reason
from omnix_kit.testing import eventually
from omnix_sandbox.testing import Sandbox

from omnix_provider.testing import Place, asking, attempt


async def test_unary_answer_comes_whole_and_is_metered_as_the_vendor_counted(place: Place, sandbox: Sandbox) -> None:
    made = attempt("sandbox-tokens-40")
    answer = await place.adapter.complete(made)
    call = await sandbox.wait_for_call(request_id=made.attempt_id)
    [choice] = answer.completion.choices
    assert choice.finish_reason == pb.FINISH_REASON_STOP
    assert answer.completion.completion_id == made.completion_id
    assert answer.sandbox
    event = await place.readers.usage_of(made)
    assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_SUCCEEDED
    assert event.usage == answer.completion.usage
    assert (event.usage.input_tokens, event.usage.output_tokens) == (call.input_tokens, 40)
    assert answer.cost_micros == (call.input_tokens * 5 + 1) // 2 + 400


async def test_stream_is_numbered_digested_and_metered(place: Place, sandbox: Sandbox) -> None:
    made = attempt("sandbox-tokens-60")
    streamed = await place.stream(made)
    call = await sandbox.wait_for_call(request_id=made.attempt_id)
    assert streamed.start is not None
    assert streamed.end is not None
    assert (streamed.start.model, streamed.start.tenant_id, streamed.start.key_id) == (
        f"openai/{made.model}",
        "t1",
        "k1",
    )
    assert not streamed.end.HasField("error")
    assert streamed.end.count == len(streamed.chunks) == 61
    assert streamed.end.usage.output_tokens == call.output_tokens == 60
    event = await place.readers.usage_of(made)
    assert event.streamed
    assert event.usage == streamed.end.usage
    assert event.first_content_us == streamed.end.first_content_us > 0


async def test_streamed_and_unary_answers_are_equal_to_the_byte(place: Place, sandbox: Sandbox) -> None:
    """In many scripts, and when every byte arrives alone, characters cut in the middle."""
    request = asking("The same words. [[tokens=120]]")
    whole = await place.adapter.complete(attempt(), request)
    text = whole.completion.choices[0].message.parts[0].text
    assert not text.isascii()
    assert (await place.stream(attempt(), request)).text == text
    made = attempt()
    await sandbox.order_fault("drip", match={"request_id": made.attempt_id}, count=1)
    assert (await place.stream(made, request)).text == text


async def test_huge_delta_is_cut_into_messages_that_the_broker_takes(place: Place) -> None:
    streamed = await place.stream(attempt("sandbox-huge-size-3m"))
    assert len(streamed.text.encode()) >= 3_000_000
    assert streamed.messages > 40


@pytest.mark.parametrize(
    ("fault", "reason", "status"),
    [
        ("400", Reason.INVALID_REQUEST, 400),
        ("401", Reason.PROVIDER_AUTH_FAILED, 401),
        ("403", Reason.PROVIDER_AUTH_FAILED, 403),
        ("404", Reason.MODEL_NOT_FOUND, 404),
        ("429-retry-2s", Reason.RATE_LIMITED, 429),
        ("quota", Reason.PROVIDER_QUOTA_EXHAUSTED, 429),
        ("context", Reason.CONTEXT_TOO_LONG, 400),
        ("filter", Reason.CONTENT_REFUSED, 400),
        ("500", Reason.PROVIDER_UNAVAILABLE, 500),
        ("503", Reason.PROVIDER_OVERLOADED, 503),
        ("529", Reason.PROVIDER_OVERLOADED, 529),
    ],
)
@pytest.mark.parametrize("streamed", [False, True], ids=["unary", "streamed"])
async def test_refusal_is_told_by_its_reason_and_metered_as_nothing(
    place: Place, fault: str, reason: Reason, status: int, streamed: bool
) -> None:
    made = attempt(f"sandbox-{fault}")
    error = await place.refused(made, streamed=streamed)
    assert (error.reason, error.provider, error.provider_status) == (reason, "openai", status)
    assert error.retry_after == (timedelta(seconds=2) if "retry" in fault else None)
    event = await place.readers.usage_of(made)
    assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_FAILED
    assert event.error.provider_status == status
    assert event.usage == pb.Usage()
    assert made.completion_id not in place.readers.begun


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("reset", Reason.PROVIDER_UNAVAILABLE),
        ("cut-after-0", Reason.PROVIDER_CUT),
        ("malformed-after-0", Reason.PROVIDER_MALFORMED),
        ("error-after-0", Reason.PROVIDER_UNAVAILABLE),
        ("html", Reason.PROVIDER_MALFORMED),
        ("silence", Reason.PROVIDER_TIMEOUT),
        ("slow-5s", Reason.PROVIDER_TIMEOUT),
        ("stall-after-0", Reason.PROVIDER_TIMEOUT),
    ],
)
async def test_stream_that_fails_before_its_first_content_publishes_nothing(
    place: Place, fault: str, reason: Reason
) -> None:
    made = attempt(f"sandbox-{fault}")
    error = await place.refused(made, streamed=True, first_content=0.3)
    assert error.reason is reason
    event = await place.readers.usage_of(made)
    assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_FAILED
    assert event.usage.estimated
    assert event.usage.input_tokens > 0
    assert made.completion_id not in place.readers.begun


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("cut-after-5", Reason.PROVIDER_CUT),
        ("cut-after-5-rst", Reason.PROVIDER_CUT),
        ("stall-after-5", Reason.PROVIDER_TIMEOUT),
        ("malformed-after-5", Reason.PROVIDER_MALFORMED),
        ("error-after-5", Reason.PROVIDER_UNAVAILABLE),
        ("no-finish", Reason.PROVIDER_CUT),
    ],
)
async def test_stream_that_fails_in_the_middle_ends_with_the_error_and_an_estimate(
    place: Place, fault: str, reason: Reason
) -> None:
    made = attempt(f"sandbox-tokens-20-{fault}")
    streamed = await place.stream(made, idle=0.3)
    assert streamed.end is not None
    assert error_from_proto(streamed.end.error).reason is reason
    event = await place.readers.usage_of(made)
    assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_FAILED
    assert event.usage == streamed.end.usage
    if fault != "no-finish":
        assert event.usage.estimated
        assert 5 <= event.usage.output_tokens <= 25


@pytest.mark.parametrize("fault", ["no-done", "no-usage", "hang", "hang-done"])
async def test_stream_with_a_finish_reason_is_whole_whatever_comes_after(place: Place, fault: str) -> None:
    made = attempt(f"sandbox-tokens-20-{fault}")
    streamed = await place.stream(made)
    assert streamed.end is not None
    assert not streamed.end.HasField("error")
    event = await place.readers.usage_of(made)
    assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_SUCCEEDED
    assert event.usage.output_tokens >= 20
    assert event.usage.estimated == (fault == "no-usage")


@pytest.mark.parametrize("way", ["rpc", "message"])
async def test_cancelled_stream_closes_the_vendors_connection_and_is_metered_once(
    place: Place, sandbox: Sandbox, way: str
) -> None:
    made = attempt("sandbox-tokens-2000-pace-50")
    streamed = await place.start_stream(made)
    began = time.time()
    if way == "rpc":
        assert await place.cancel(made)
    else:
        asked = pb.CancelRequested(completion_id=made.completion_id, cause="client")
        await place.messaging.publish(subjects.cancel(made.completion_id), asked.SerializeToString())
    call = await sandbox.wait_for_call(lambda call: call.closed_time is not None, request_id=made.attempt_id)
    assert call.closed_time is not None
    assert call.closed_time - began < 1
    await eventually(streamed.whole)
    assert streamed.end is not None
    assert error_from_proto(streamed.end.error).reason is Reason.CANCELLED
    event = await place.readers.usage_of(made)
    assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_CANCELLED
    assert event.usage.estimated
    assert event.usage.output_tokens >= streamed.end.count
    assert not await place.cancel(made)


@pytest.mark.parametrize("streamed", [False, True], ids=["unary", "streamed"])
async def test_caller_that_leaves_before_the_answer_closes_the_vendors_connection(
    place: Place, sandbox: Sandbox, streamed: bool
) -> None:
    made = attempt("sandbox-silence")
    call = asyncio.create_task(place.refused(made, streamed=streamed))
    await sandbox.wait_for_call(lambda call: True, request_id=made.attempt_id)
    began = time.time()
    call.cancel()
    seen = await sandbox.wait_for_call(lambda call: call.closed_time is not None, request_id=made.attempt_id)
    assert seen.closed_time is not None
    assert seen.closed_time - began < 1
    event = await place.readers.usage_of(made)
    assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_CANCELLED
    assert event.usage.input_tokens > 0
    assert event.usage.output_tokens == 0
    assert made.completion_id not in place.readers.begun


async def test_unary_attempt_ends_at_the_callers_deadline(place: Place) -> None:
    made = attempt("sandbox-silence")
    with pytest.raises(OmnixError) as told:
        await place.adapter.complete(made, timeout=timedelta(seconds=0.3))
    assert told.value.reason is Reason.DEADLINE_EXCEEDED
    event = await place.readers.usage_of(made)
    assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_CANCELLED


async def test_unspecified_and_unknown_values_are_refused_by_name_before_anything_is_sent(
    place: Place, sandbox: Sandbox
) -> None:
    nameless = asking()
    nameless.messages[0].role = pb.ROLE_UNSPECIFIED
    strange = asking()
    strange.vendor_parameters["no_such_parameter"] = "1"
    for request, reason, param in (
        (nameless, Reason.INVALID_REQUEST, "messages.0.role"),
        (strange, Reason.UNSUPPORTED_PARAMETER, "no_such_parameter"),
    ):
        for streamed in (False, True):
            made = attempt()
            error = await place.refused(made, request, streamed=streamed)
            assert (error.reason, error.param) == (reason, param)
            assert not await sandbox.calls(request_id=made.attempt_id)
            assert not place.readers.of(made)


async def test_models_and_providers_are_told(place: Place) -> None:
    await eventually(place.knows_models)
    answer = await place.models()
    assert ("openai", True, "") in {(each.name, each.sandbox, each.problem) for each in answer.providers}


async def test_heartbeats_name_the_sender_of_the_chunks(place: Place) -> None:
    beats: list[str] = []

    async def on_beat(message: Msg) -> None:
        beats.append(SenderHeartbeat.FromString(message.data).sender_id)

    subscription = await place.messaging.subscribe(subjects.SENDER_HEARTBEATS, on_beat)
    streamed = await place.stream(attempt("sandbox-tokens-3"))
    await eventually(lambda: bool(beats))
    await subscription.unsubscribe()
    assert streamed.start is not None
    assert set(beats) == {streamed.start.sender_id}
