"""Answers on their way through plugins: real gRPC, a real broker; vendor and plugins do as they are told."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from omnix.completion.v1 import completion_pb2 as pb
from omnix.plugin.v1 import plugin_pb2
from omnix.plugin.v1 import plugin_service_pb2 as wire
from omnix.provider.v1 import provider_service_pb2 as calls_pb
from omnix.usage.v1 import usage_pb2
from omnix_kit.convert import error_from_proto
from omnix_kit.errors import OmnixError, Reason
from omnix_kit.recording import Recording
from omnix_kit.testing import NatsServer, eventually, nats_server
from omnix_provider.errors import Cut
from omnix_provider.plugins.clients import plugins_connected
from omnix_provider.plugins.plugin import Failure, Why
from omnix_provider.testing import TEN, Streamed, asking, attempt
from omnix_provider.types import Chunk, FinishReason, Reasoned, TokenLogprob, ToolCallDelta

from .plugged import COUNTED, STOP, TOKEN, Act, Ends, Scene, plugged_scene, refused, said, shouting, unchanged


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest_asyncio.fixture
async def scene(nats: NatsServer, tmp_path: Path) -> AsyncIterator[Scene]:
    async with plugged_scene(nats, tmp_path) as made:
        yield made


def silent(_: wire.TransformChunksRequest) -> None:
    """Never answers."""


def ends(code: grpc.StatusCode | None) -> Act:
    def act(_: wire.TransformChunksRequest) -> wire.TransformChunksResponse:
        raise Ends(code)

    return act


def error_of(streamed: Streamed) -> OmnixError:
    assert streamed.end is not None
    assert streamed.end.HasField("error")
    return error_from_proto(streamed.end.error)


def finish_reasons(streamed: Streamed) -> list[int]:
    return [chunk.finish_reason for _, chunk in sorted(streamed.chunks.items()) if chunk.finish_reason]


async def test_what_is_published_and_recorded_is_what_the_plugin_let_through(scene: Scene) -> None:
    scene.plugin.acts = (shouting,)
    made = attempt()
    scene.vendor.say("Hello", " world", whole=True)
    streamed = await scene.start(made, scene.plugin.plugin(closes=True, words="all"))
    await eventually(streamed.whole)
    assert streamed.text == "HELLO WORLD"
    assert finish_reasons(streamed) == [pb.FINISH_REASON_STOP]
    assert streamed.end is not None
    assert streamed.end.usage.output_tokens == COUNTED.output_tokens
    recorded = [data async for data in Recording(scene.messaging).read(made.completion_id)]
    assert b"HELLO" in b"".join(recorded)
    assert b"Hello" not in b"".join(recorded)
    first, *others = scene.plugin.heard
    assert (first.context.completion_id, first.context.route, first.context.streamed) == (
        made.completion_id,
        "fast",
        True,
    )
    assert (first.context.caller, dict(first.context.settings)) == (made.caller, {"words": "all"})
    assert [each.HasField("context") for each in others] == [False] * len(others)
    assert [each.last for each in scene.plugin.heard] == [False] * len(others) + [True]
    assert scene.plugin.tokens == [f"Bearer {TOKEN}"]
    await eventually(lambda: scene.plugin.ended == 1)


async def test_plugins_are_asked_in_their_order(scene: Scene) -> None:
    def bracketing(request: wire.TransformChunksRequest) -> wire.TransformChunksResponse:
        return said(*[f"[{chunk.text}]" for chunk in request.chunks if chunk.text])

    scene.plugin.acts = (bracketing,)
    second = await scene.another(shouting, name="second")
    third = await scene.another(bracketing, name="third")
    scene.vendor.say("a", "b", whole=True)
    streamed = await scene.start(attempt(), *(each.plugin(closes=True) for each in (scene.plugin, second, third)))
    await eventually(streamed.whole)
    assert streamed.text == "[[A]][[B]]"


async def test_text_held_back_is_told_before_the_finish_reason_that_cannot_get_lost(scene: Scene) -> None:
    def until_the_end(request: wire.TransformChunksRequest) -> wire.TransformChunksResponse:
        return said("all ", "at once") if request.last else said()

    scene.plugin.acts = (until_the_end,)
    scene.vendor.say("Hello", " world", whole=True)
    streamed = await scene.start(attempt(), scene.plugin.plugin(closes=True))
    await eventually(streamed.whole)
    assert [(chunk.text, chunk.finish_reason) for _, chunk in sorted(streamed.chunks.items())] == [
        ("all ", 0),
        ("at once", 0),
        ("", pb.FINISH_REASON_STOP),
    ]


RICH = (
    Chunk("Hello", logprobs=(TokenLogprob("Hello", -0.5, b"Hello", (TokenLogprob("Hi", -1.0),)),)),
    Chunk("Other", choice_index=1),
    Chunk(reasoning=Reasoned("Hm.", b"signed", b"secret", "openai")),
    Chunk(tool_calls=(ToolCallDelta(0, "call-1", "get", '{"city":', b"proof"), ToolCallDelta(1, "call-2", "put"))),
    Chunk(choice_index=1, refusal="No.", refusal_logprobs=(TokenLogprob("No.", -0.1),)),
    Chunk(tool_calls=(ToolCallDelta(0, arguments_json='"Rome"}'),)),
    Chunk(finish_reason=FinishReason.TOOL_CALLS),
    Chunk(choice_index=1, finish_reason=FinishReason.LENGTH),
)


async def test_plugin_that_changes_nothing_changes_nothing(scene: Scene) -> None:
    told = []
    second = await scene.another(unchanged, name="second")
    for plugins in ((), (scene.plugin, second)):
        scene.vendor.say(*RICH)
        scene.vendor.says.put_nowait(None)
        request = asking(candidate_count=2)
        streamed = await scene.start(attempt(), *(each.plugin(closes=True) for each in plugins), request=request)
        await eventually(streamed.whole)
        assert streamed.end is not None
        assert not streamed.end.HasField("error")
        told.append([chunk for _, chunk in sorted(streamed.chunks.items())])
    assert told[0] == told[1]


async def test_finish_reason_may_be_changed(scene: Scene) -> None:
    def filtering(request: wire.TransformChunksRequest) -> wire.TransformChunksResponse:
        answer = unchanged(request)
        for chunk in answer.chunks:
            if chunk.finish_reason:
                chunk.text, chunk.finish_reason = "…", pb.FINISH_REASON_CONTENT_FILTER
        return answer

    scene.plugin.acts = (filtering,)
    scene.vendor.say("Hello", whole=True)
    streamed = await scene.start(attempt(), scene.plugin.plugin(closes=True))
    await eventually(streamed.whole)
    assert (streamed.text, finish_reasons(streamed)) == ("Hello…", [pb.FINISH_REASON_CONTENT_FILTER])


@pytest.mark.parametrize("when", ["at once", "in the middle", "with the last chunk", "at the end"])
async def test_refused_answer_breaks_off_with_the_plugin_s_sentence(scene: Scene, when: str) -> None:
    no = refused("This is nothing to talk about.")
    acts: dict[str, tuple[Act, ...]] = {
        "at once": (lambda _: no,),
        "in the middle": (unchanged, lambda _: no),
        "with the last chunk": (unchanged, unchanged, lambda _: no),
        "at the end": (lambda request: no if request.last else unchanged(request),),
    }
    scene.plugin.acts = acts[when]
    made = attempt()
    scene.vendor.say("Hello", " world", whole=True)
    if when == "at once":
        with pytest.raises(OmnixError) as caught:
            await scene.start(made, scene.plugin.plugin(closes=False))
        error = caught.value
        assert made.completion_id not in scene.readers.begun
    else:
        streamed = await scene.start(made, scene.plugin.plugin(closes=False))
        await eventually(streamed.whole)
        error = error_of(streamed)
        assert streamed.end is not None
        assert not streamed.end.may_go_on
        assert not finish_reasons(streamed)
    assert (error.reason, error.message) == (Reason.CONTENT_REFUSED, "This is nothing to talk about.")
    event = await scene.readers.usage_of(made)
    assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_FAILED
    assert event.usage.output_tokens > 0


FAILURES: dict[str, Act] = {
    "silence": silent,
    "an error": ends(grpc.StatusCode.INTERNAL),
    "away": ends(grpc.StatusCode.UNAVAILABLE),
    "its own cancellation": ends(grpc.StatusCode.CANCELLED),
    "an early end": ends(None),
    "an alternative that is none": lambda _: wire.TransformChunksResponse(chunks=[pb.Chunk(choice_index=7, text="x")]),
    "a tool call that is none": lambda _: wire.TransformChunksResponse(
        chunks=[pb.Chunk(tool_calls=[pb.ToolCallDelta(index=-1)])]
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_failure_that_closes_publishes_nothing_untransformed(scene: Scene, failure: str) -> None:
    scene.plugin.acts = (shouting, FAILURES[failure])
    made = attempt()
    scene.vendor.say("Hello", " world", whole=True)
    streamed = await scene.start(made, scene.plugin.plugin(closes=True, timeout=0.3))
    await eventually(streamed.whole)
    error = error_of(streamed)
    assert (error.reason, error.param, error.provider) == (Reason.UNAVAILABLE, "plugins.script", None)
    assert error.message.startswith("The plugin script ")
    assert streamed.text == "HELLO"
    assert not finish_reasons(streamed)
    assert streamed.end is not None
    assert not streamed.end.may_go_on


@pytest.mark.parametrize("failure", FAILURES)
async def test_failure_that_leaves_open_loses_nothing(scene: Scene, failure: str) -> None:
    scene.plugin.acts = (lambda _: said("HEL", held=["lo"]), lambda _: said(), FAILURES[failure])
    scene.vendor.say("Hello", " wo", "rld", "!", whole=True)
    streamed = await scene.start(attempt(), scene.plugin.plugin(closes=False, timeout=0.3))
    await eventually(streamed.whole)
    assert streamed.text == "HELlo world!"
    assert finish_reasons(streamed) == [pb.FINISH_REASON_STOP]
    assert len(scene.plugin.heard) == 3, "it is not asked again"


@pytest.mark.parametrize("closes", [True, False])
async def test_failure_at_the_very_end(scene: Scene, closes: bool) -> None:
    def forgetful(request: wire.TransformChunksRequest) -> wire.TransformChunksResponse | None:
        return None if request.last else said()

    scene.plugin.acts = (forgetful,)
    made = attempt()
    scene.vendor.say("Hello", " world", whole=True)
    plugin = scene.plugin.plugin(closes=closes, timeout=0.3)
    if closes:
        with pytest.raises(OmnixError) as caught:
            await scene.start(made, plugin)
        assert caught.value.param == "plugins.script"
        assert made.completion_id not in scene.readers.begun
    else:
        streamed = await scene.start(made, plugin)
        await eventually(streamed.whole)
        assert (streamed.text, finish_reasons(streamed)) == ("Hello world", [pb.FINISH_REASON_STOP])


async def test_chain_whose_first_plugin_is_left_out_goes_on_with_the_others(scene: Scene) -> None:
    def forgetful(request: wire.TransformChunksRequest) -> wire.TransformChunksResponse | None:
        return None if request.last else said()

    scene.plugin.acts = (forgetful,)
    second = await scene.another(shouting, name="second")
    scene.vendor.say("a", "b", whole=True)
    plugins = scene.plugin.plugin(closes=False, timeout=0.3), second.plugin(closes=True)
    streamed = await scene.start(attempt(), *plugins)
    await eventually(streamed.whole)
    assert (streamed.text, finish_reasons(streamed)) == ("AB", [pb.FINISH_REASON_STOP])


async def test_what_a_plugin_leaves_out_for_good_does_not_come_back(scene: Scene) -> None:
    left_out = wire.TransformChunksResponse(chunks=[pb.Chunk()])
    scene.plugin.acts = (unchanged, lambda _: left_out, silent)
    scene.vendor.say("Hello", " you", " there", whole=True)
    streamed = await scene.start(attempt(), scene.plugin.plugin(closes=False, timeout=0.3))
    await eventually(streamed.whole)
    assert streamed.text == "Hello there"


@pytest.mark.parametrize("closes", [True, False])
async def test_plugin_that_is_not_there(scene: Scene, closes: bool) -> None:
    await scene.plugin.stop()
    scene.vendor.say("Hello", whole=True)
    plugin = scene.plugin.plugin(closes=closes, timeout=0.3)
    if closes:
        with pytest.raises(OmnixError) as caught:
            await scene.start(attempt(), plugin)
        assert caught.value.param == "plugins.script"
    else:
        streamed = await scene.start(attempt(), plugin)
        await eventually(streamed.whole)
        assert streamed.text == "Hello"


async def test_plugin_s_time_is_not_the_vendor_s(scene: Scene) -> None:
    scene.plugin.acts = (unchanged, silent)
    scene.vendor.say("Hello", " world")
    streamed = await scene.start(attempt(), scene.plugin.plugin(closes=False, timeout=0.6), idle=0.4)
    await eventually(lambda: streamed.text == "Hello world")
    scene.vendor.say(whole=True)
    await eventually(streamed.whole)
    assert streamed.end is not None
    assert not streamed.end.HasField("error")


async def test_what_is_held_back_when_the_vendor_breaks_off_is_left_to_who_goes_on(scene: Scene) -> None:
    scene.plugin.acts = (unchanged, lambda _: said(held=[" wor"]))
    scene.vendor.say("Hello", " wor")
    streamed = await scene.start(attempt(), scene.plugin.plugin(closes=True))
    await eventually(lambda: len(scene.plugin.heard) == 2)
    scene.vendor.says.put_nowait(Cut("gone", provider="openai"))
    await eventually(streamed.whole)
    assert (streamed.text, error_of(streamed).reason) == ("Hello", Reason.PROVIDER_CUT)
    assert streamed.end is not None
    assert streamed.end.may_go_on
    assert not any(request.last for request in scene.plugin.heard)
    await eventually(lambda: scene.plugin.ended == 1)


async def test_restart_is_matched_with_what_the_plugin_made_of_it(scene: Scene) -> None:
    scene.plugin.acts = (shouting,)
    made = attempt()
    made.number = 2
    continuation = calls_pb.Continuation(attempt=1, kind=calls_pb.Continuation.KIND_RESTART, text="HELLO")
    scene.vendor.say("Hello world", whole=True)
    streamed = await scene.start(made, scene.plugin.plugin(closes=True), continuation=continuation)
    await eventually(streamed.whole)
    assert streamed.text == " WORLD"


async def test_what_the_caller_has_of_plugins_is_not_given_to_a_vendor(scene: Scene) -> None:
    made = attempt()
    made.number = 2
    continuation = calls_pb.Continuation(attempt=1, kind=calls_pb.Continuation.KIND_PREFIX, text="Dear Ann")
    with pytest.raises(OmnixError) as caught:
        await scene.start(made, scene.plugin.plugin(closes=True), continuation=continuation)
    assert (caught.value.reason, caught.value.param) == (Reason.UNSUPPORTED_PARAMETER, "prefix")
    assert scene.vendor.called == 0


async def test_cancelled_while_the_plugin_thinks_is_not_whole(scene: Scene) -> None:
    scene.plugin.acts = (unchanged, silent)
    made = attempt()
    scene.vendor.say("Hello", Chunk(" world", finish_reason=STOP.finish_reason))
    streamed = await scene.start(made, scene.plugin.plugin(closes=False, timeout=20))
    await eventually(lambda: len(scene.plugin.heard) == 2)
    asked = calls_pb.CancelCompletionRequest(completion_id=made.completion_id)
    await scene.remote.call(scene.stub.CancelCompletion, asked, timeout=TEN)
    await eventually(streamed.whole)
    assert (streamed.text, error_of(streamed).reason) == ("Hello", Reason.CANCELLED)


# Whole answers.


def answered(text: str, reason: "pb.FinishReason.ValueType" = pb.FINISH_REASON_STOP, index: int = 0) -> pb.Completion:
    completion = pb.Completion(vendor_model="another", usage=pb.Usage(output_tokens=1_000_000))
    choice = completion.choices.add(index=index, finish_reason=reason)
    choice.message.role = pb.ROLE_ASSISTANT
    choice.message.parts.add(text=text)
    return completion


def text_of(response: calls_pb.CompleteResponse) -> str:
    [choice] = response.completion.choices
    return "".join(part.text for part in choice.message.parts)


async def test_whole_answer_is_what_the_plugin_makes_of_it_and_its_usage_the_vendor_s(scene: Scene) -> None:
    scene.plugin.completion.completion.CopyFrom(answered("HELLO"))
    made = attempt()
    response = await scene.complete(made, scene.plugin.plugin(closes=True))
    assert text_of(response) == "HELLO"
    assert (response.completion.usage.output_tokens, response.completion.vendor_model) == (COUNTED.output_tokens, "")
    [heard] = scene.plugin.completions
    assert (heard.context.completion_id, heard.context.streamed) == (made.completion_id, False)
    assert text_of(calls_pb.CompleteResponse(completion=heard.completion)) == "Hello world"
    event = await scene.readers.usage_of(made)
    assert event.usage.output_tokens == COUNTED.output_tokens


async def test_refused_whole_answer_is_metered(scene: Scene) -> None:
    scene.plugin.completion.refusal.message = "No."
    made = attempt()
    with pytest.raises(OmnixError) as caught:
        await scene.complete(made, scene.plugin.plugin(closes=False))
    assert (caught.value.reason, caught.value.message) == (Reason.CONTENT_REFUSED, "No.")
    assert (await scene.readers.usage_of(made)).usage.output_tokens == COUNTED.output_tokens


@pytest.mark.parametrize("closes", [True, False])
@pytest.mark.parametrize("failure", ["error", "away", "no alternative", "no finish reason"])
async def test_failure_at_a_whole_answer(scene: Scene, failure: str, closes: bool) -> None:
    match failure:
        case "error":
            scene.plugin.fails = grpc.StatusCode.INTERNAL
        case "away":
            await scene.plugin.stop()
        case "no alternative":
            scene.plugin.completion.completion.CopyFrom(answered("x", index=3))
        case _:
            scene.plugin.completion.completion.CopyFrom(answered("x", pb.FINISH_REASON_UNSPECIFIED))
    plugin = scene.plugin.plugin(closes=closes, timeout=0.5)
    if closes:
        with pytest.raises(OmnixError) as caught:
            await scene.complete(attempt(), plugin)
        assert (caught.value.reason, caught.value.param) == (Reason.UNAVAILABLE, "plugins.script")
    else:
        assert text_of(await scene.complete(attempt(), plugin)) == "Hello world"


async def test_plugins_that_do_not_look_at_answers_are_not_called(scene: Scene) -> None:
    other = scene.plugin.plugin(closes=True)
    del other.hooks[:]
    other.hooks.append(plugin_pb2.HOOK_REQUEST)
    assert text_of(await scene.complete(attempt(), other)) == "Hello world"
    assert not scene.plugin.completions


def _broken(plugin: plugin_pb2.Plugin, fault: str) -> plugin_pb2.Plugin:
    match fault:
        case "timeout":
            plugin.ClearField("timeout")
        case "policy":
            plugin.on_failure = plugin_pb2.ON_FAILURE_UNSPECIFIED
        case _:
            plugin.address = ""
    return plugin


@pytest.mark.parametrize("fault", ["timeout", "policy", "address"])
async def test_plugin_that_cannot_be_called_as_it_says_is_refused(scene: Scene, fault: str) -> None:
    with pytest.raises(OmnixError) as caught:
        await scene.start(attempt(), _broken(scene.plugin.plugin(closes=True), fault))
    assert (caught.value.reason, caught.value.param) == (Reason.INVALID_REQUEST, "plugins")
    assert scene.vendor.called == 0


async def test_channels_are_bounded_and_those_in_use_stay() -> None:
    async with plugins_connected(None) as plugins:
        peers = [plugins.borrow(f"127.0.0.1:{port}") for port in range(1, 65)]
        with pytest.raises(Failure) as caught:
            plugins.borrow("127.0.0.1:99")
        assert caught.value.why is Why.TOO_MANY
        plugins.give_back(peers[3])
        plugins.borrow("127.0.0.1:99")
        assert plugins.borrow("127.0.0.1:1") is peers[0]
        with pytest.raises(Failure):
            plugins.borrow("127.0.0.1:4")
