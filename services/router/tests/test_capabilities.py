"""What a model cannot do is refused by name before anybody is called."""

import pytest
from omnix.completion.v1 import completion_pb2 as pb
from omnix_kit.errors import OmnixError, Reason

from .fakes import FakeAdapter, Router

pytestmark = pytest.mark.asyncio(loop_scope="module")


def message(role: pb.Role.ValueType = pb.ROLE_USER, **fields: object) -> pb.CompletionRequest:
    return pb.CompletionRequest(messages=[pb.Message(role=role, **fields)])  # type: ignore[arg-type]


def part(**kind: object) -> pb.CompletionRequest:
    return message(parts=[pb.Part(text="see"), pb.Part(**kind)])  # type: ignore[arg-type]


IMAGE = part(image=pb.Image(data=b"x", media_type="image/png"))
FILE = part(file=pb.File(data=b"x", media_type="application/pdf"))
JSON = pb.CompletionRequest(response_format=pb.ResponseFormat(kind=pb.ResponseFormat.KIND_JSON))
SCHEMA = pb.CompletionRequest(response_format=pb.ResponseFormat(kind=pb.ResponseFormat.KIND_JSON_SCHEMA))
TOOLS = pb.CompletionRequest(tools=[pb.Tool(name="f")])

NEEDS = {
    "image": (IMAGE, "messages.1.content", "takes no images"),
    "audio": (part(audio=pb.Audio(data=b"x", format="wav")), "messages.1.content", "takes no sound"),
    "video": (part(file=pb.File(data=b"x", media_type="video/mp4")), "messages.1.content", "takes no films"),
    "file": (FILE, "messages.1.content", "takes no files"),
    "system": (message(pb.ROLE_SYSTEM), "messages.1.role", "takes no system messages"),
    "developer": (message(pb.ROLE_DEVELOPER), "messages.1.role", "takes no system messages"),
    "tools": (TOOLS, "tools", "takes no tools"),
    "tool call": (
        message(pb.ROLE_ASSISTANT, tool_calls=[pb.ToolCall(id="a", name="f")]),
        "messages.1.tool_calls",
        "takes no tools",
    ),
    "tool result": (message(pb.ROLE_TOOL, tool_call_id="a"), "messages.1.role", "takes no tools"),
    "json": (JSON, "response_format", "cannot be held to JSON."),
    "json_schema": (SCHEMA, "response_format", "cannot be held to a JSON schema"),
    "logprobs": (pb.CompletionRequest(logprobs=True), "logprobs", "tells no log probabilities"),
    "top_logprobs": (pb.CompletionRequest(top_logprobs=2), "top_logprobs", "tells no log probabilities"),
}


@pytest.mark.parametrize(("request_", "param", "told"), NEEDS.values(), ids=NEEDS)
async def test_what_the_model_cannot_do_is_refused_by_name(
    router: Router, other: FakeAdapter, request_: pb.CompletionRequest, param: str, told: str
) -> None:
    with pytest.raises(OmnixError) as caught:
        await router.complete("plain", request=request_)
    assert (caught.value.reason, caught.value.param) == (Reason.UNSUPPORTED_PARAMETER, param)
    assert caught.value.message.startswith(f"The model lab/plain {told}")
    assert other.calls == []


async def test_model_that_does_not_stream_answers_whole_only(router: Router, other: FakeAdapter) -> None:
    assert (await router.complete("plain")).model == "lab/plain"
    with pytest.raises(OmnixError) as caught:
        await router.start("plain")
    assert (caught.value.reason, caught.value.param) == (Reason.UNSUPPORTED_PARAMETER, "stream")


@pytest.mark.parametrize("model", ["lab/unknown", "lab/nowhere", "other/model"])
async def test_model_of_unknown_capabilities_is_not_judged(router: Router, other: FakeAdapter, model: str) -> None:
    for request, _, _ in NEEDS.values():
        await router.complete(model, request=request)
    assert len(other.calls) == len(NEEDS)


async def test_targets_of_a_route_that_cannot_are_skipped(router: Router, other: FakeAdapter) -> None:
    skipped = 'omnix_router_skipped_targets_total{lacks="tools"}'
    before = await router.metric(skipped)
    response = await router.complete("thoughtful", request=TOOLS)
    assert [call.attempt.model for call in other.calls] == ["named"]
    assert [(a.number, a.model) for a in response.attempts] == [(1, "named")]
    assert await router.metric(skipped) == before + 2


async def test_route_without_an_able_target_is_refused_with_every_reason(router: Router, other: FakeAdapter) -> None:
    refused = 'omnix_router_refused_total{lacks="image"}'
    before = await router.metric(refused)
    with pytest.raises(OmnixError) as caught:
        await router.complete("unable", request=IMAGE)
    assert (caught.value.reason, caught.value.param) == (Reason.UNSUPPORTED_PARAMETER, "messages.1.content")
    assert caught.value.message == (
        "No target of the route 'unable' can do what is asked: "
        "lab/plain takes no images. lab/vectors makes embeddings and does not chat."
    )
    assert other.calls == []
    assert await router.metric(refused) == before + 1


async def test_embedding_model_does_not_chat(router: Router, other: FakeAdapter) -> None:
    with pytest.raises(OmnixError) as caught:
        await router.complete("lab/vectors")
    assert (caught.value.reason, caught.value.param) == (Reason.INVALID_REQUEST, "model")
    assert caught.value.message == "The model lab/vectors makes embeddings and does not chat."
    assert other.calls == []


async def test_more_output_than_the_model_can_do_is_left_to_the_vendor(router: Router, other: FakeAdapter) -> None:
    await router.complete("lab/named", request=pb.CompletionRequest(max_output_tokens=1_000_000))
    assert len(other.calls) == 1
