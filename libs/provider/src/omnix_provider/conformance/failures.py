"""Failures before the answer: what they are told as, what is metered, and that nothing is published."""

# ruff: noqa: S101 - these are tests

from dataclasses import dataclass
from datetime import timedelta

import pytest
from omnix.completion.v1 import completion_pb2 as pb
from omnix.provider.v1 import provider_pb2
from omnix.usage.v1 import usage_pb2
from omnix_kit.errors import OmnixError, Reason

from omnix_provider.conformance.behaviours import group
from omnix_provider.conformance.vendor import Vendor
from omnix_provider.testing import asking

behaviour = group("Failures")


@dataclass(frozen=True, slots=True)
class Failure:
    reason: Reason
    status: int


REFUSALS = {
    "400": Failure(Reason.INVALID_REQUEST, 400),
    "401": Failure(Reason.PROVIDER_AUTH_FAILED, 401),
    "403": Failure(Reason.PROVIDER_AUTH_FAILED, 403),
    "404": Failure(Reason.MODEL_NOT_FOUND, 404),
    "413": Failure(Reason.PAYLOAD_TOO_LARGE, 413),
    "429": Failure(Reason.RATE_LIMITED, 429),
    "quota": Failure(Reason.PROVIDER_QUOTA_EXHAUSTED, 429),
    "context": Failure(Reason.CONTEXT_TOO_LONG, 400),
    "500": Failure(Reason.PROVIDER_UNAVAILABLE, 500),
    "502": Failure(Reason.PROVIDER_UNAVAILABLE, 502),
    "503": Failure(Reason.PROVIDER_OVERLOADED, 503),
    "504": Failure(Reason.PROVIDER_UNAVAILABLE, 504),
    "529": Failure(Reason.PROVIDER_OVERLOADED, 529),
}


@behaviour("the vendor refuses, before anything is published, metered as nothing: {}", list(REFUSALS))
@pytest.mark.parametrize("streamed", [False, True], ids=["unary", "streamed"])
async def test_refused_by_the_vendor(vendor: Vendor, case: str, streamed: bool) -> None:
    made = vendor.attempt(case)
    error = await vendor.place.refused(made, asking(), streamed=streamed)
    told, known = vendor.told, REFUSALS[case]
    reason = told.reason if told is not None and told.reason is not None else known.reason
    status = told.status if told is not None and told.status is not None else known.status
    assert (error.reason, error.provider) == (reason, vendor.profile.provider)
    assert error.provider_status == (status or None)
    assert error.retry_after is None
    event = await _metered(vendor, made)
    assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_FAILED
    assert made.completion_id not in vendor.place.readers.begun
    if status >= 400:
        assert event.error.provider_status == status
        assert event.usage == pb.Usage()


@behaviour("`Retry-After` is kept, in the vendor's own way of telling it: {}", ["429", "503"])
@pytest.mark.parametrize("streamed", [False, True], ids=["unary", "streamed"])
async def test_retry_after(vendor: Vendor, case: str, streamed: bool) -> None:
    made = vendor.attempt(f"{case}-retry-2s")
    error = await vendor.place.refused(made, asking(), streamed=streamed)
    assert error.reason is REFUSALS[case].reason
    assert error.retry_after == timedelta(seconds=2)
    event = await _metered(vendor, made)
    assert event.usage == pb.Usage()
    assert len(await vendor.sandbox.calls(request_id=made.attempt_id)) == 1


@behaviour("a prompt that the vendor's filter stops")
async def test_filtered_prompt(vendor: Vendor) -> None:
    for way in (False, True):
        made = vendor.attempt("filter")
        error = await vendor.place.refused(made, asking(), streamed=way)
        assert (error.reason, error.provider) == (Reason.CONTENT_REFUSED, vendor.profile.provider)
        assert (await _metered(vendor, made)).outcome == usage_pb2.ATTEMPT_OUTCOME_FAILED
        assert made.completion_id not in vendor.place.readers.begun


BROKEN = {
    "reset": Reason.PROVIDER_UNAVAILABLE,
    "cut-after-0": Reason.PROVIDER_CUT,
    "malformed-after-0": Reason.PROVIDER_MALFORMED,
    "error-after-0": Reason.PROVIDER_UNAVAILABLE,
    "html": Reason.PROVIDER_MALFORMED,
    "silence": Reason.PROVIDER_TIMEOUT,
    "slow-5s": Reason.PROVIDER_TIMEOUT,
    "stall-after-0": Reason.PROVIDER_TIMEOUT,
}


@behaviour("a stream that fails before its first content publishes nothing: {}", list(BROKEN))
async def test_failed_before_content(vendor: Vendor, case: str) -> None:
    made = vendor.attempt(case)
    patience = 0.3 if BROKEN[case] is Reason.PROVIDER_TIMEOUT else 5.0
    error = await vendor.place.refused(made, asking(), streamed=True, first_content=patience)
    _expect(vendor, error, BROKEN[case])
    event = await _metered(vendor, made)
    assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_FAILED
    assert event.usage.estimated
    assert event.usage.input_tokens > 0
    assert made.completion_id not in vendor.place.readers.begun


WHOLE = {
    "reset": Reason.PROVIDER_UNAVAILABLE,
    "cut-after-5": Reason.PROVIDER_CUT,
    "malformed-after-5": Reason.PROVIDER_MALFORMED,
    "html": Reason.PROVIDER_MALFORMED,
}


@behaviour("a whole answer that fails on its way: {}", list(WHOLE))
async def test_failed_whole(vendor: Vendor, case: str) -> None:
    made = vendor.attempt(case)
    error = await vendor.place.refused(made, asking(), streamed=False)
    _expect(vendor, error, WHOLE[case])
    event = await _metered(vendor, made)
    assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_FAILED
    assert event.usage.estimated
    assert event.usage.input_tokens > 0


@behaviour("an adapter calls a failing vendor once")
async def test_never_retries(vendor: Vendor) -> None:
    for streamed in (False, True):
        made = vendor.attempt("503")
        await vendor.place.refused(made, asking(), streamed=streamed)
        await vendor.sandbox.wait_for_call(request_id=made.attempt_id)
        assert len(await vendor.sandbox.calls(request_id=made.attempt_id)) == 1


def _expect(vendor: Vendor, error: OmnixError, reason: Reason) -> None:
    told = vendor.told
    expected = told.reason if told is not None and told.reason is not None else reason
    assert (error.reason, error.provider) == (expected, vendor.profile.provider)


async def _metered(vendor: Vendor, made: provider_pb2.Attempt) -> usage_pb2.UsageRecorded:
    return await vendor.place.readers.usage_of(made)


__all__ = [name for name in dir() if name.startswith("test_")]
