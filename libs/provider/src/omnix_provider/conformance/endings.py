"""Answers that do not come to their end: broken in the middle, or given up by the caller."""

# ruff: noqa: S101 - these are tests

import asyncio
import time
from datetime import timedelta

import pytest
from omnix.completion.v1 import completion_pb2 as pb
from omnix.usage.v1 import usage_pb2
from omnix_kit import subjects
from omnix_kit.convert import error_from_proto
from omnix_kit.errors import OmnixError, Reason
from omnix_kit.testing import eventually
from omnix_sandbox import script

from omnix_provider.conformance.asking import in_script, question, with_tools
from omnix_provider.conformance.behaviours import group
from omnix_provider.conformance.vendor import Vendor

behaviour = group("Endings")

MIDDLE = {
    "cut-after-5": Reason.PROVIDER_CUT,
    "cut-after-5-rst": Reason.PROVIDER_CUT,
    "stall-after-5": Reason.PROVIDER_TIMEOUT,
    "malformed-after-5": Reason.PROVIDER_MALFORMED,
    "error-after-5": Reason.PROVIDER_UNAVAILABLE,
    "no-finish": Reason.PROVIDER_CUT,
}


@behaviour("a stream that fails in the middle ends with the error, metered by what came: {}", list(MIDDLE))
async def test_failed_in_the_middle(vendor: Vendor, case: str) -> None:
    made = vendor.attempt(f"tokens-20-{case}")
    streamed = await vendor.place.stream(made, idle=0.3 if MIDDLE[case] is Reason.PROVIDER_TIMEOUT else 5.0)
    assert streamed.end is not None
    told = vendor.told
    expected = told.reason if told is not None and told.reason is not None else MIDDLE[case]
    assert error_from_proto(streamed.end.error).reason is expected
    event = await vendor.place.readers.usage_of(made)
    assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_FAILED
    assert event.usage == streamed.end.usage
    if case != "no-finish":
        assert event.usage.estimated
        assert 5 <= event.usage.output_tokens <= 25


@behaviour("a call of a tool that breaks off is not passed off as whole")
async def test_cut_call(vendor: Vendor) -> None:
    made = vendor.attempt()
    request = with_tools(question('The weather? [[tool=weather {"city":"Zürich","days":3}]]'), "weather")
    await vendor.sandbox.order_fault("cut-after-2", match={"request_id": made.attempt_id}, count=1)
    streamed = await vendor.place.stream(made, request)
    assert streamed.end is not None
    assert error_from_proto(streamed.end.error).reason is Reason.PROVIDER_CUT
    assert not any(chunk.finish_reason for chunk in streamed.chunks.values())


@behaviour("an error told within a stream, by its kind")
async def test_rate_limit_in_the_middle(vendor: Vendor) -> None:
    made = vendor.attempt("tokens-20-error-429-after-5")
    streamed = await vendor.place.stream(made)
    assert streamed.end is not None
    error = error_from_proto(streamed.end.error)
    assert error.reason is Reason.RATE_LIMITED


@behaviour("a stream with a finish reason is whole, whatever comes after: {}", ["no-done", "hang", "hang-done"])
async def test_whole_without_an_end(vendor: Vendor, case: str) -> None:
    made = vendor.attempt(f"tokens-20-{case}")
    streamed = await vendor.place.stream(made)
    assert streamed.end is not None
    assert not streamed.end.HasField("error")
    event = await vendor.place.readers.usage_of(made)
    assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_SUCCEEDED
    assert event.usage.output_tokens >= 20
    assert not event.usage.estimated


@behaviour("a stream that is cancelled closes the vendor's connection within a second, by {}", ["rpc", "message"])
async def test_cancelled_stream(vendor: Vendor, case: str) -> None:
    made = vendor.attempt("tokens-2000-pace-50")
    streamed = await vendor.place.start_stream(made)
    began = time.time()
    if case == "rpc":
        assert await vendor.place.cancel(made)
    else:
        asked = pb.CancelRequested(completion_id=made.completion_id, cause="client")
        await vendor.place.messaging.publish(subjects.cancel(made.completion_id), asked.SerializeToString())
    call = await vendor.sandbox.wait_for_call(lambda call: call.closed_time is not None, request_id=made.attempt_id)
    assert call.closed_time is not None
    assert call.closed_time - began < 1
    await eventually(streamed.whole)
    assert streamed.end is not None
    assert error_from_proto(streamed.end.error).reason is Reason.CANCELLED
    event = await vendor.place.readers.usage_of(made)
    assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_CANCELLED
    assert event.usage.estimated
    assert event.usage.output_tokens >= streamed.end.count
    assert not await vendor.place.cancel(made)


@behaviour("a whole answer that is cancelled closes the vendor's connection within a second")
async def test_cancelled_whole(vendor: Vendor) -> None:
    made = vendor.attempt("silence")
    call = asyncio.create_task(vendor.place.refused(made, question("Wait."), streamed=False))
    await vendor.sandbox.wait_for_call(lambda call: True, request_id=made.attempt_id)
    began = time.time()
    assert await vendor.place.cancel(made)
    assert (await call).reason is Reason.CANCELLED
    seen = await vendor.sandbox.wait_for_call(lambda call: call.closed_time is not None, request_id=made.attempt_id)
    assert seen.closed_time is not None
    assert seen.closed_time - began < 1
    event = await vendor.place.readers.usage_of(made)
    assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_CANCELLED


@behaviour(
    "a caller who leaves before the answer closes the vendor's connection within a second: {}", ["unary", "streamed"]
)
async def test_caller_leaves(vendor: Vendor, case: str) -> None:
    made = vendor.attempt("silence")
    call = asyncio.create_task(vendor.place.refused(made, streamed=case == "streamed"))
    await vendor.sandbox.wait_for_call(lambda call: True, request_id=made.attempt_id)
    began = time.time()
    call.cancel()
    seen = await vendor.sandbox.wait_for_call(lambda call: call.closed_time is not None, request_id=made.attempt_id)
    assert seen.closed_time is not None
    assert seen.closed_time - began < 1
    event = await vendor.place.readers.usage_of(made)
    assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_CANCELLED
    assert event.usage.input_tokens > 0
    assert event.usage.output_tokens == 0
    assert made.completion_id not in vendor.place.readers.begun


@behaviour("a whole answer ends at the caller's deadline")
async def test_deadline(vendor: Vendor) -> None:
    made = vendor.attempt("silence")
    with pytest.raises(OmnixError) as told:
        await vendor.place.adapter.complete(made, timeout=timedelta(seconds=0.3))
    assert told.value.reason is Reason.DEADLINE_EXCEEDED
    event = await vendor.place.readers.usage_of(made)
    assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_CANCELLED


@behaviour("attempts side by side keep apart; one that is cancelled does not touch the other")
async def test_side_by_side(vendor: Vendor) -> None:
    left, stays = vendor.attempt("tokens-2000-pace-50"), vendor.attempt("tokens-30-pace-100")
    given_up = await vendor.place.start_stream(left, question("One."))
    kept = await vendor.place.start_stream(stays, question("Other."))
    assert await vendor.place.cancel(left)
    await eventually(given_up.whole)
    await eventually(kept.whole)
    assert kept.end is not None
    assert not kept.end.HasField("error")
    assert kept.text == script.answer(script.user("Other.", model=stays.model)).text
    event = await vendor.place.readers.usage_of(stays)
    assert event.usage.output_tokens == 30


@behaviour("thirty streams at once, each its own")
async def test_many_at_once(vendor: Vendor) -> None:
    requests = [question(f"Number {number}. [[tokens=20]] [[pace=200]]") for number in range(30)]
    made = [vendor.attempt() for _ in requests]
    streams = await asyncio.gather(*map(vendor.place.stream, made, requests))
    for streamed, request in zip(streams, requests, strict=True):
        assert streamed.end is not None
        assert not streamed.end.HasField("error")
        assert streamed.text == script.answer(in_script(request)).text


__all__ = [name for name in dir() if name.startswith("test_")]
