"""The promises that every adapter keeps, as tests over a real process, a real NATS server and the sandbox.

An adapter's suite imports the tests of this module by ``*`` and provides two fixtures of module scope: ``place``, a
``Place`` whose adapter calls the sandbox, and ``sandbox``, the running sandbox. The models' names are those by which
every one of the sandbox's wire formats is steered.
"""

# ruff: noqa: S101 - these are tests

from omnix.completion.v1 import completion_pb2 as pb
from omnix.usage.v1 import usage_pb2
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


async def test_streamed_and_unary_answers_are_equal_to_the_byte(place: Place) -> None:
    request = asking("The same words. [[tokens=300]]")
    whole = await place.adapter.complete(attempt(), request)
    streamed = await place.stream(attempt(), request)
    dripped = await place.stream(attempt("sandbox-drip"), asking("The same words. [[tokens=300]]"))
    assert not whole.completion.choices[0].message.parts[0].text.isascii()
    assert streamed.text == whole.completion.choices[0].message.parts[0].text
    assert dripped.text  # one byte at a time
