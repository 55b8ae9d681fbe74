"""The plugin as OmniX calls it: a real process, real gRPC."""

import json

import grpc
import pytest
from omnix.completion.v1 import completion_pb2 as pb
from omnix.plugin.v1 import plugin_pb2
from omnix.plugin.v1 import plugin_service_pb2 as wire

from .conftest import Plugin, new_id

pytestmark = pytest.mark.asyncio(loop_scope="module")


def asking(text: str, **more: object) -> pb.CompletionRequest:
    request = pb.CompletionRequest(model="gpt-4o", **more)  # type: ignore[arg-type]
    request.messages.add(role=pb.ROLE_USER).parts.add(text=text)
    return request


def answered(text: str, arguments: str = "") -> pb.Completion:
    completion = pb.Completion()
    choice = completion.choices.add(finish_reason=pb.FINISH_REASON_STOP)
    choice.message.role = pb.ROLE_ASSISTANT
    choice.message.parts.add(text=text)
    choice.logprobs.add(token="x")
    if arguments:
        choice.message.tool_calls.add(name="send", arguments_json=arguments)
    return completion


def told(responses: list[wire.TransformChunksResponse]) -> list[pb.Chunk]:
    return [chunk for response in responses for chunk in response.chunks]


def text_of(chunks: list[pb.Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


async def test_says_when_it_is_called(plugin: Plugin) -> None:
    said = await plugin.stub.Describe(wire.DescribeRequest(), timeout=10, metadata=plugin.metadata)
    assert said.name == "redact"
    assert list(said.hooks) == [plugin_pb2.HOOK_REQUEST, plugin_pb2.HOOK_ANSWER, plugin_pb2.HOOK_END]


async def test_wrong_token_is_refused(plugin: Plugin) -> None:
    for metadata in ((), (("authorization", "Bearer wrong"),)):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await plugin.stub.Describe(wire.DescribeRequest(), timeout=10, metadata=metadata)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_nothing_personal_is_left_in_a_request(plugin: Plugin) -> None:
    request = asking("Write to ann@example.org.", end_user="ann@example.org", metadata={"of": "ann@example.org"})
    request.vendor_parameters["note"] = '["ann@example.org"]'
    call = request.messages.add(role=pb.ROLE_ASSISTANT).tool_calls.add(name="send")
    call.arguments_json = '{"to":"ann\\u0040example.org","card":4111111111111111,"n":3}'
    request.messages.add(role=pb.ROLE_TOOL).parts.add(text="sent to bob@example.org and ann@example.org")
    changed = (await plugin.request(new_id(), request)).request
    assert changed.messages[0].parts[0].text == "Write to [EMAIL_1]."
    assert json.loads(changed.messages[1].tool_calls[0].arguments_json) == {
        "to": "[EMAIL_1]",
        "card": "[CARD_1]",
        "n": 3,
    }
    assert changed.messages[2].parts[0].text == "sent to [EMAIL_2] and [EMAIL_1]"
    assert (changed.metadata["of"], changed.vendor_parameters["note"]) == ("[EMAIL_1]", '["[EMAIL_1]"]')
    assert b"example.org" not in changed.SerializeToString()
    again = (await plugin.request(new_id(), asking("x", end_user="ann@example.org"))).request
    assert changed.end_user == again.end_user
    assert changed.end_user.startswith("user-")


async def test_whole_answer_gets_the_values_back(plugin: Plugin) -> None:
    completion_id = new_id()
    await plugin.request(completion_id, asking("I am ann@example.org"))
    answer = await plugin.completion(completion_id, answered("Hi [EMAIL_1]!", '{"to":"[EMAIL_1]"}'))
    [choice] = answer.choices
    assert choice.message.parts[0].text == "Hi ann@example.org!"
    assert choice.message.tool_calls[0].arguments_json == '{"to":"ann@example.org"}'
    assert not choice.logprobs


async def test_stream_gets_the_values_back_across_chunks(plugin: Plugin) -> None:
    completion_id = new_id()
    await plugin.request(completion_id, asking("I am ann@example.org"))
    pieces = ["Hi ", "[EM", "AIL", "_1", "]", "! [", "x] [EMA"]
    responses = await plugin.chunks(
        completion_id,
        *([pb.Chunk(text=piece)] for piece in pieces),
        [pb.Chunk(finish_reason=pb.FINISH_REASON_STOP)],
    )
    chunks = told(responses)
    assert text_of(chunks) == "Hi ann@example.org! [x] [EMA"
    assert text_of(list(responses[2].held)) == "[EMAIL"
    assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == [pb.FINISH_REASON_STOP]
    assert chunks[-1].finish_reason == pb.FINISH_REASON_STOP, "it comes after the text"


async def test_alternatives_and_calls_flow_apart(plugin: Plugin) -> None:
    completion_id = new_id()
    await plugin.request(completion_id, asking("I am ann@example.org"))

    def piece(text: str, arguments: str) -> list[pb.Chunk]:
        return [
            pb.Chunk(text=text),
            pb.Chunk(choice_index=1, text=text),
            pb.Chunk(tool_calls=[pb.ToolCallDelta(index=0, arguments_json=arguments)]),
        ]

    chunks = told(await plugin.chunks(completion_id, piece("[EMAIL", '"[EMA'), piece("_1]", 'IL_1]"')))
    for index in (0, 1):
        assert text_of([chunk for chunk in chunks if chunk.choice_index == index]) == "ann@example.org"
    arguments = "".join(call.arguments_json for chunk in chunks for call in chunk.tool_calls)
    assert arguments == '"ann@example.org"'


async def test_values_that_are_not_known_any_more_are_a_failure(plugin: Plugin) -> None:
    for call in (plugin.completion(new_id(), answered("[EMAIL_1]")), plugin.chunks(new_id(), [pb.Chunk(text="x")])):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_answers_alone_may_be_redacted(plugin: Plugin) -> None:
    plugin.settings = {"mode": "answers", "kinds": "email, phone"}
    completion_id = new_id()
    unchanged = await plugin.request(completion_id, asking("I am ann@example.org"))
    assert not unchanged.HasField("request")
    answer = await plugin.completion(completion_id, answered("Ask bob@example.org at 10.0.0.1"))
    assert answer.choices[0].message.parts[0].text == "Ask [EMAIL] at 10.0.0.1"
    chunks = told(await plugin.chunks(completion_id, [pb.Chunk(text="Ask bob@exa")], [pb.Chunk(text="mple.org now")]))
    assert text_of(chunks) == "Ask [EMAIL] now"


async def test_placeholders_may_stay_in_answers(plugin: Plugin) -> None:
    plugin.settings = {"mode": "requests"}
    completion_id = new_id()
    changed = await plugin.request(completion_id, asking("I am ann@example.org"))
    assert changed.request.messages[0].parts[0].text == "I am [EMAIL_1]"
    assert text_of(told(await plugin.chunks(completion_id, [pb.Chunk(text="Hi [EMAIL_1]")]))) == "Hi [EMAIL_1]"


async def test_attachments_are_refused_where_the_operator_says_so(plugin: Plugin) -> None:
    request = asking("What is this?")
    request.messages[0].parts.add().image.url = "https://example.org/x.png"
    assert not (await plugin.request(new_id(), request)).HasField("refusal")
    plugin.settings = {"attachments": "refuse"}
    refused = await plugin.request(new_id(), request)
    assert "Images" in refused.refusal.message
    assert not (await plugin.request(new_id(), asking("x"))).HasField("refusal")


@pytest.mark.parametrize("settings", [{"mode": "nothing"}, {"kinds": "email,shoe-size"}, {"modes": "answers"}])
async def test_setting_that_is_not_understood_is_a_failure(plugin: Plugin, settings: dict[str, str]) -> None:
    plugin.settings = settings
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await plugin.request(new_id(), asking("x"))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_large_request_is_redacted(plugin: Plugin) -> None:
    text = "word " * 50_000 + "ann@example.org"
    changed = (await plugin.request(new_id(), asking(text))).request
    assert changed.messages[0].parts[0].text.endswith("word [EMAIL_1]")


async def test_end_is_heard_although_nothing_is_known(plugin: Plugin) -> None:
    await plugin.end(new_id())
