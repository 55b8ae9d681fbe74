"""What comes back: whole and streamed, short and long, in any script."""

# ruff: noqa: S101 - these are tests

from omnix.completion.v1 import completion_pb2 as pb
from omnix.usage.v1 import usage_pb2

from omnix_provider.conformance.asking import question
from omnix_provider.conformance.behaviours import group
from omnix_provider.conformance.vendor import Vendor

behaviour = group("Answers")
LONG = 20_000


@behaviour("a whole answer, metered and priced as the vendor counted")
async def test_whole_answer(vendor: Vendor) -> None:
    """The proviso: the vendor does not say which model answered."""
    made = vendor.attempt("tokens-40")
    answer = await vendor.place.adapter.complete(made)
    call = await vendor.sandbox.wait_for_call(request_id=made.attempt_id)
    [choice] = answer.completion.choices
    assert choice.finish_reason == pb.FINISH_REASON_STOP
    assert choice.message.role == pb.ROLE_ASSISTANT
    assert answer.completion.completion_id == made.completion_id
    assert bool(answer.completion.vendor_model) != vendor.has_proviso
    event = await vendor.place.readers.usage_of(made)
    assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_SUCCEEDED
    assert event.usage == answer.completion.usage
    assert (event.usage.input_tokens, event.usage.output_tokens) == (call.input_tokens, 40)
    assert answer.cost_micros == (call.input_tokens * 5 + 1) // 2 + 400


@behaviour("a streamed answer: numbered, digested, metered; the owner and the model are told first")
async def test_streamed_answer(vendor: Vendor) -> None:
    made = vendor.attempt("tokens-60")
    streamed = await vendor.place.stream(made)
    call = await vendor.sandbox.wait_for_call(request_id=made.attempt_id)
    start, end = streamed.start, streamed.end
    assert start is not None
    assert end is not None
    assert (start.model, start.tenant_id, start.key_id) == (f"{made.provider}/{made.model}", "t1", "k1")
    assert not end.HasField("error")
    assert end.count == len(streamed.chunks)
    assert end.usage.output_tokens == call.output_tokens == 60
    event = await vendor.place.readers.usage_of(made)
    assert event.streamed
    assert event.usage == end.usage
    assert event.first_content_us == end.first_content_us > 0
    assert end.cost_micros == (call.input_tokens * 5 + 1) // 2 + 600


@behaviour("streamed and whole answers equal to the byte")
async def test_equal_to_the_byte(vendor: Vendor) -> None:
    answer = await vendor.answer(question("The same words. [[tokens=120]]"))
    assert not answer.first.text.isascii()


@behaviour("characters cut anywhere, each byte arriving alone")
async def test_cut_characters(vendor: Vendor) -> None:
    request = question("Cut anywhere. [[tokens=80]]")
    whole = await vendor.whole(request)
    made = vendor.attempt()
    await vendor.sandbox.order_fault("drip", match={"request_id": made.attempt_id}, count=1)
    assert (await vendor.place.stream(made, request)).text == whole.first.text
    again = vendor.attempt()
    await vendor.sandbox.order_fault("drip", match={"request_id": again.attempt_id}, count=1)
    completion = (await vendor.place.adapter.complete(again, request)).completion
    assert completion.choices[0].message.parts[0].text == whole.first.text
    assert not whole.first.text.isascii()


@behaviour("an empty answer is an answer")
async def test_empty_answer(vendor: Vendor) -> None:
    answer = await vendor.answer(question("Be silent. [[empty]]"))
    assert answer.first.text == ""
    assert answer.first.finish == pb.FINISH_REASON_STOP


@behaviour("a very long answer (20,000 tokens)")
async def test_very_long_answer(vendor: Vendor) -> None:
    answer = await vendor.answer(question(f"Tell everything. [[tokens={LONG}]]"))
    assert answer.usage.output_tokens == LONG
    assert answer.first.finish == pb.FINISH_REASON_STOP


@behaviour("a delta of 3 MB, cut into messages that the broker takes")
async def test_huge_delta(vendor: Vendor) -> None:
    streamed = await vendor.place.stream(vendor.attempt("huge-size-3m"))
    assert len(streamed.text.encode()) >= 3_000_000
    assert streamed.messages > 40


@behaviour("several alternatives (`n`)")
async def test_alternatives(vendor: Vendor) -> None:
    request = question("Say it in two ways. [[tokens=20]]")
    request.candidate_count = 2
    answer = await vendor.answer(request)
    one, other = answer.choices
    assert one.text != other.text


@behaviour("log probabilities of the answer's tokens, with the likeliest ones")
async def test_log_probabilities(vendor: Vendor) -> None:
    request = question("How sure are you? [[tokens=12]]")
    request.logprobs = True
    request.top_logprobs = 2
    answer = await vendor.answer(request)
    told = answer.first.logprobs
    assert "".join(token for token, _, _ in told) == answer.first.text
    assert all(logprob <= 0 and len(top) == 2 for _, logprob, top in told)


FINISHES = {
    "stop": pb.FINISH_REASON_STOP,
    "length": pb.FINISH_REASON_LENGTH,
    "content_filter": pb.FINISH_REASON_CONTENT_FILTER,
}


@behaviour("finish reason `{}`", list(FINISHES))
async def test_finish_reason(vendor: Vendor, case: str) -> None:
    answer = await vendor.answer(question(f"End so. [[tokens=9]] [[finish={case}]]"))
    assert answer.first.finish == FINISHES[case]


@behaviour("a finish reason that nobody knows ends the answer all the same")
async def test_unknown_finish_reason(vendor: Vendor) -> None:
    answer = await vendor.answer(question("End strangely. [[tokens=9]] [[finish_as=no_such_reason]]"))
    assert answer.first.finish == pb.FINISH_REASON_OTHER


@behaviour("a refusal by the model is told as one, or as the text that it is")
async def test_refusal(vendor: Vendor) -> None:
    """The proviso: the format has no word for it, so it is text."""
    answer = await vendor.answer(question("Do what is forbidden. [[refuse]]"))
    told = answer.first
    assert (told.text, told.refusal)[0 if vendor.has_proviso else 1]
    assert bool(told.text) != bool(told.refusal)


__all__ = [name for name in dir() if name.startswith("test_")]
