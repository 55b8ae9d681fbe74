"""A stream is whole and in order, or ends with an error."""

import openai
import pytest
from omnix.completion.v1 import completion_pb2 as pb
from omnix_kit.errors import Reason, error_for

from .conftest import Gateway, Start
from .events import error_in, joined
from .fakes import Backends
from .publisher import Publisher
from .streamed import BODY, answer_of, assert_cut, assert_whole


async def test_ids_are_attempt_and_chunk_and_tool_calls_keep_their_form(gateway: Gateway, behind: Backends) -> None:
    async def play(publisher: Publisher) -> None:
        call = pb.ToolCallDelta(index=0, id="call_1", name="f")
        await publisher.chunks(pb.Chunk(tool_calls=[call]))
        await publisher.chunks(pb.Chunk(tool_calls=[pb.ToolCallDelta(index=0, arguments_json='{"a"')]))
        last = [pb.Chunk(tool_calls=[pb.ToolCallDelta(arguments_json=":1}")])]
        last.append(pb.Chunk(finish_reason=pb.FINISH_REASON_TOOL_CALLS))
        message = pb.CompletionChunks.FromString(publisher.message(*last))
        message.end.CopyFrom(publisher.end_of())
        await publisher.publish(message.SerializeToString())

    behind.router.play = play
    found = await answer_of(gateway)
    assert [event.id for event in found] == ["1.0", "1.1", "1.2", "1.3", None]
    deltas = [event.json["choices"][0]["delta"] for event in found[:-1]]
    assert deltas == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
            ],
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
        {},
    ]
    assert found[3].json["choices"][0]["finish_reason"] == "tool_calls"


async def test_chunks_before_the_commit_are_kept_and_other_attempts_dropped(gateway: Gateway, behind: Backends) -> None:
    async def before(publisher: Publisher) -> None:
        lost = Publisher(behind.messaging, publisher.request)
        await lost.text("of a dead attempt")
        publisher.attempt = 2
        await publisher.text("Right")

    async def play(publisher: Publisher) -> None:
        await publisher.text(" answer")
        await publisher.finish()

    behind.router.before, behind.router.play = before, play
    assert_whole(await answer_of(gateway), "Right answer")


async def test_duplicates_and_disorder_do_not_show(gateway: Gateway, behind: Backends) -> None:
    async def play(publisher: Publisher) -> None:
        messages = [publisher.message(pb.Chunk(text=text)) for text in "abcd"]
        for position in (0, 0, 2, 3, 2, 1, 1, 0):
            await publisher.publish(messages[position])
        await publisher.finish()

    behind.router.play = play
    found = await answer_of(gateway)
    assert_whole(found, "abcd")
    assert [event.id for event in found[:-1]] == ["1.0", "1.1", "1.2", "1.3", "1.4"]


async def test_a_gap_is_filled_from_the_recording(gateway: Gateway, behind: Backends) -> None:
    async def play(publisher: Publisher) -> None:
        await publisher.text("a")
        missed = publisher.message(pb.Chunk(text="b"))
        # Recorded, but on a subject that the gateway does not listen to.
        elsewhere = publisher.subject.split(".")
        elsewhere[-2] = "elsewhere"
        await behind.messaging.jetstream.publish(".".join(elsewhere), missed)
        await publisher.text("c")
        await publisher.finish()

    behind.router.play = play
    assert_whole(await answer_of(gateway), "abc")


async def test_a_gap_that_nobody_fills_ends_with_an_error(start: Start, behind: Backends) -> None:
    gateway: Gateway = await start(gap_timeout=0.5)

    async def play(publisher: Publisher) -> None:
        await publisher.text("a")
        publisher.message(pb.Chunk(text="lost"))
        await publisher.text("c")
        await publisher.finish()

    behind.router.play = play
    found = await answer_of(gateway)
    assert joined(found) == "a"
    assert_cut(found, "stream_lost")
    assert error_in(found)["resumable"] is True


async def test_a_wrong_digest_ends_with_an_error_and_without_a_finish_reason(
    gateway: Gateway, behind: Backends
) -> None:
    async def play(publisher: Publisher) -> None:
        await publisher.text("a")
        await publisher.chunks(pb.Chunk(finish_reason=pb.FINISH_REASON_STOP))
        await publisher.publish(publisher.message(end=publisher.end_of(wrong=1)))

    behind.router.play = play
    assert_cut(await answer_of(gateway), "stream_lost")


async def test_a_cut_answer_raises_api_error_in_the_sdk(gateway: Gateway, behind: Backends) -> None:
    async def play(publisher: Publisher) -> None:
        await publisher.text("half an ans")
        await publisher.finish(error_for(Reason.PROVIDER_CUT, "The provider broke off.", provider="openai"))

    behind.router.play = play
    stream = await gateway.openai.chat.completions.create(**BODY)  # type: ignore[call-overload]
    with pytest.raises(openai.APIError) as told:
        async for _ in stream:
            pass
    assert (told.value.code, told.value.message) == ("provider_cut", "The provider broke off.")


async def test_an_answer_that_has_ended_is_never_called_resumable(gateway: Gateway, behind: Backends) -> None:
    """Resuming would give the same end, again and again."""

    async def play(publisher: Publisher) -> None:
        await publisher.text("half an ans")
        await publisher.finish(error_for(Reason.SHUTTING_DOWN, "The adapter is being stopped."))

    async def other_play(publisher: Publisher) -> None:
        await publisher.text("a")
        await publisher.publish(publisher.message(end=publisher.end_of(wrong=1)))

    for how, code in ((play, "shutting_down"), (other_play, "stream_lost")):
        behind.router.play = how
        found = await answer_of(gateway)
        assert_cut(found, code)
        assert error_in(found)["resumable"] is False


async def test_an_error_before_the_first_content_is_an_http_error(gateway: Gateway, behind: Backends) -> None:
    behind.router.error = error_for(Reason.PROVIDER_OVERLOADED, "Too busy.", provider="openai")
    with pytest.raises(openai.InternalServerError) as told:
        await gateway.openai.chat.completions.create(**BODY)  # type: ignore[call-overload]
    assert told.value.status_code == 503
    assert told.value.response.headers["retry-after"] == "1"


async def test_a_burst_in_one_read_is_no_slow_client(gateway: Gateway, behind: Backends) -> None:
    async def play(publisher: Publisher) -> None:
        for _ in range(1500):
            await behind.messaging.publish(publisher.subject, publisher.message(pb.Chunk(text="a")))
        await publisher.finish()

    behind.router.play = play
    assert_whole(await answer_of(gateway), "a" * 1500)


async def test_alternatives_end_each_by_itself(gateway: Gateway, behind: Backends) -> None:
    async def play(publisher: Publisher) -> None:
        stop = pb.FINISH_REASON_STOP
        await publisher.chunks(pb.Chunk(text="a"), pb.Chunk(finish_reason=stop), pb.Chunk(choice_index=1, text="b"))
        last = publisher.message(pb.Chunk(choice_index=1, text="c", finish_reason=stop))
        await publisher.publish(last)
        await publisher.publish(publisher.message(end=publisher.end_of()))

    behind.router.play = play
    found = await answer_of(gateway)
    choices = [event.json["choices"][0] for event in found[:-1]]
    assert [(choice["index"], choice["delta"], choice["finish_reason"]) for choice in choices] == [
        (0, {"role": "assistant", "content": "a"}, None),
        (0, {}, "stop"),
        (1, {"role": "assistant", "content": "b"}, None),
        (1, {"content": "c"}, "stop"),
    ]
