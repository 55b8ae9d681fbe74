"""Answers that another attempt began, and that go on here."""

# ruff: noqa: S101 - these are tests

import pytest
from omnix.completion.v1 import completion_pb2 as pb
from omnix.provider.v1 import provider_pb2
from omnix.provider.v1.provider_service_pb2 import Continuation
from omnix.usage.v1 import usage_pb2
from omnix_kit.errors import OmnixError, Reason
from omnix_kit.testing import eventually
from omnix_sandbox import script

from omnix_provider.conformance.asking import in_script, question, with_tools
from omnix_provider.conformance.behaviours import group
from omnix_provider.conformance.vendor import Vendor, choices_of, expect_refusal
from omnix_provider.testing import Streamed

behaviour = group("Endings")

QUESTION = "Tell me a tale. [[tokens=40]]"
WHOLE = script.answer(in_script(question(QUESTION))).text
HALF = WHOLE[: len(WHOLE) // 2]


@behaviour(
    "a vendor that is given the beginning of an answer continues it, and only the rest is told: cut {}",
    ["in a word", "after white space"],
)
async def test_continued(vendor: Vendor, case: str) -> None:
    had = HALF if case == "in a word" else HALF[: HALF.rindex(" ") + 1]
    streamed = await _goes_on(vendor, _following(vendor), Continuation(kind=Continuation.KIND_PREFIX, text=had))
    assert had + streamed.text == WHOLE
    assert streamed.start is not None
    assert streamed.start.continued_attempt == 1


@behaviour("a model that does not take the beginning of an answer refuses the request, before anything is published")
async def test_beginning_not_taken(vendor: Vendor) -> None:
    made = _following(vendor, "no-prefix")
    with pytest.raises(OmnixError) as told:
        await _start(vendor, made, Continuation(kind=Continuation.KIND_PREFIX, text=HALF))
    if vendor.refused is not None:
        await vendor.unheard(made)
        expect_refusal(told.value, vendor.refused)
    assert told.value.reason is Reason.INVALID_REQUEST
    assert told.value.provider_status in (400, 422)
    event = await vendor.place.readers.usage_of(made)
    assert event.usage == pb.Usage()
    assert made.completion_id not in vendor.place.readers.begun


@behaviour("an answer begun anew is told from where the other broke off, and all of it is metered")
async def test_begun_anew(vendor: Vendor) -> None:
    made = _following(vendor)
    streamed = await _goes_on(vendor, made, Continuation(kind=Continuation.KIND_RESTART, text=HALF))
    assert HALF + streamed.text == WHOLE
    event = await vendor.place.readers.usage_of(made)
    assert not event.usage.estimated
    assert event.usage.output_tokens >= 40


@behaviour("an answer begun anew that is another one is not told at all")
async def test_departed(vendor: Vendor) -> None:
    made = _following(vendor)
    with pytest.raises(OmnixError) as told:
        await _start(vendor, made, Continuation(kind=Continuation.KIND_RESTART, text=f"{HALF}, or was it?"))
    assert (told.value.reason, told.value.provider) == (Reason.PROVIDER_DEPARTED, vendor.profile.provider)
    event = await vendor.place.readers.usage_of(made)
    assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_FAILED
    assert event.usage.output_tokens > 0
    assert made.completion_id not in vendor.place.readers.begun


@behaviour("a call of a tool that broke off goes on in its arguments, by the id that the caller has")
async def test_call_begun_anew(vendor: Vendor) -> None:
    request = with_tools(question('The weather? [[tool=weather {"city":"Zürich","days":3}]]'), "weather")
    [call] = (await vendor.streamed(request)).first.calls
    had = pb.ToolCall(id=call.id, name=call.name, arguments_json=call.arguments[:9], signature=call.signature)
    continuation = Continuation(kind=Continuation.KIND_RESTART, tool_calls=[had])
    streamed = await _goes_on(vendor, _following(vendor), continuation, request)
    [choice] = choices_of(streamed)
    [rest] = choice.calls
    assert (rest.id, rest.name, had.arguments_json + rest.arguments) == ("", "", call.arguments)
    assert choice.finish == pb.FINISH_REASON_TOOL_CALLS


def _following(vendor: Vendor, words: str = "") -> provider_pb2.Attempt:
    made = vendor.attempt(words)
    made.number = 2
    return made


async def _start(
    vendor: Vendor, made: provider_pb2.Attempt, continuation: Continuation, request: pb.CompletionRequest | None = None
) -> Streamed:
    continuation.attempt = 1
    return await vendor.place.start_stream(made, request or question(QUESTION), continuation=continuation)


async def _goes_on(
    vendor: Vendor, made: provider_pb2.Attempt, continuation: Continuation, request: pb.CompletionRequest | None = None
) -> Streamed:
    try:
        streamed = await _start(vendor, made, continuation, request)
    except OmnixError as error:
        if vendor.refused is None:
            raise
        await vendor.unheard(made)
        expect_refusal(error, vendor.refused)
        raise
    await eventually(streamed.whole)
    assert streamed.end is not None
    assert not streamed.end.HasField("error")
    return streamed


__all__ = [name for name in dir() if name.startswith("test_")]
