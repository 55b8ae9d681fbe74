"""Compute modes, reasoning and its proofs: asked, told, and handed back."""

from base64 import b64encode
from typing import Any

from omnix.completion.v1 import completion_pb2 as pb
from openai.types.chat import ChatCompletionMessageParam

from .conftest import Gateway
from .events import all_events
from .fakes import Backends, answer
from .publisher import Publisher

PATH = "/v1/chat/completions"
HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]
Plan = pb.ReasoningPlan

PLANS: list[tuple[pb.ReasoningPlan | None, dict[str, str]]] = [
    (None, {}),
    (Plan(control=Plan.CONTROL_NONE), {}),
    (Plan(control=Plan.CONTROL_FIXED, mode=pb.COMPUTE_MODE_THINK), {"mode": "think", "reasoning": "fixed"}),
    (Plan(control=Plan.CONTROL_EFFORT), {}),
    (
        Plan(control=Plan.CONTROL_EFFORT, effort=pb.Reasoning.EFFORT_EXTRA_HIGH, mode=pb.COMPUTE_MODE_ULTRA_THINK),
        {"mode": "ultra-think", "reasoning": "xhigh"},
    ),
    (Plan(control=Plan.CONTROL_BUDGET, budget_tokens=2048), {"reasoning": "2048"}),
    (
        Plan(control=Plan.CONTROL_BUDGET, budget_tokens=0, mode=pb.COMPUTE_MODE_FLASH),
        {"mode": "flash", "reasoning": "none"},
    ),
    (
        Plan(control=Plan.CONTROL_SWITCH, effort=pb.Reasoning.EFFORT_HIGH, note="Only on or off:\r\nx: wörd."),
        {"reasoning": "on", "reasoning-note": "Only on or off:?x: w?rd."},
    ),
    (Plan(control=Plan.CONTROL_SWITCH, effort=pb.Reasoning.EFFORT_NONE), {"reasoning": "none"}),
]


async def test_the_headers_tell_what_was_used(gateway: Gateway, behind: Backends) -> None:
    for plan, told in PLANS:
        behind.router.plan = plan
        for stream in (False, True):
            body = {"model": "m:think", "messages": HELLO, "stream": stream, "mode": "think"}
            response = await gateway.http.post(PATH, json=body)
            assert response.status_code == 200
            found = {
                name: response.headers[f"x-omnix-{name}"]
                for name in ("mode", "reasoning", "reasoning-note")
                if f"x-omnix-{name}" in response.headers
            }
            assert found == told
    assert behind.router.asked[-1].request.model == "m:think"
    assert behind.router.asked[-1].request.compute_mode == pb.COMPUTE_MODE_THINK


def reasoned(text: str = "", signature: bytes = b"", redacted: bytes = b"", provider: str = "") -> pb.Chunk:
    piece = pb.ReasoningPart(text=text, signature=signature, redacted=redacted, provider=provider)
    return pb.Chunk(reasoning=piece)


async def thinking(publisher: Publisher) -> None:
    await publisher.chunks(reasoned("Let ", provider="bedrock"), reasoned("me", provider="bedrock"))
    await publisher.chunks(reasoned(" see.", provider="bedrock"), reasoned(signature=b"\x01a", provider="bedrock"))
    await publisher.chunks(reasoned(redacted=b"\x02b", provider="bedrock"))
    await publisher.chunks(reasoned("Now", provider="bedrock"), reasoned(signature=b"\x03c", provider="bedrock"))
    await publisher.chunks(pb.Chunk(text="Hm"))
    call = pb.ToolCallDelta(index=0, id="c1", name="f", signature=b"\x04d")
    await publisher.chunks(pb.Chunk(tool_calls=[call]))
    await publisher.chunks(pb.Chunk(tool_calls=[pb.ToolCallDelta(index=0, arguments_json='{"a":1}')]))
    last = publisher.message(pb.Chunk(finish_reason=pb.FINISH_REASON_TOOL_CALLS))
    await publisher.publish(last)
    await publisher.publish(publisher.message(end=publisher.end_of()))


BLOCKS = [
    pb.ReasoningPart(text="Let me see.", signature=b"\x01a", provider="bedrock"),
    pb.ReasoningPart(redacted=b"\x02b", provider="bedrock"),
    pb.ReasoningPart(text="Now", signature=b"\x03c", provider="bedrock"),
]
CALL = pb.ToolCall(id="c1", name="f", arguments_json='{"a":1}', signature=b"\x04d")


async def test_a_streamed_answer_is_handed_back_as_it_was(gateway: Gateway, behind: Backends) -> None:
    """Added up by OpenAI's own SDK, which keeps what it does not know."""
    behind.router.play = thinking
    async with gateway.openai.chat.completions.stream(model="m", messages=HELLO) as stream:
        async for _ in stream:
            pass
        message = (await stream.get_final_completion()).choices[0].message
    given: list[Any] = [*HELLO, message, {"role": "tool", "tool_call_id": "c1", "content": "2"}]
    await gateway.openai.chat.completions.create(model="m", messages=given)
    handed = behind.router.asked[0].request.messages[1]
    assert list(handed.reasoning) == BLOCKS
    assert list(handed.tool_calls) == [CALL]
    assert [part.text for part in handed.parts] == ["Hm"]


async def test_a_stream_resumed_within_its_reasoning_numbers_it_alike(gateway: Gateway, behind: Backends) -> None:
    behind.router.play = thinking
    whole = await gateway.http.post(PATH, json={"model": "m", "messages": HELLO, "stream": True})
    completion_id = whole.headers["x-omnix-completion-id"]
    all_of_it = whole.text.split("\n\n")
    for last in range(8):
        headers = {"last-event-id": str(last)}
        async with gateway.http.stream("GET", f"/v1/streams/{completion_id}", headers=headers) as response:
            assert [event.raw for event in await all_events(response)] == all_of_it[last + 1 : -1]


async def test_reasoning_without_proofs_is_told_as_text_alone(gateway: Gateway, behind: Backends) -> None:
    async def play(publisher: Publisher) -> None:
        await publisher.chunks(reasoned("Let"), reasoned(" me"))
        await publisher.text("Hi")
        await publisher.finish()

    behind.router.play = play
    told = await gateway.http.post(PATH, json={"model": "m", "messages": HELLO, "stream": True})
    assert "reasoning_content" in told.text
    assert "reasoning_details" not in told.text


async def handed_back(gateway: Gateway, behind: Backends, message: dict[str, Any]) -> pb.Message:
    messages = [*HELLO, {"role": "assistant", **message}, {"role": "tool", "tool_call_id": "c1", "content": "2"}]
    response = await gateway.http.post(PATH, json={"model": "m", "messages": messages})
    assert response.status_code == 200, response.text
    return behind.router.asked[-1].request.messages[1]


async def test_text_and_proofs_that_were_kept_apart_come_together(gateway: Gateway, behind: Backends) -> None:
    proof = {"signature": b64encode(b"p").decode(), "provider": "x"}
    for details, reasoning in (
        (None, [pb.ReasoningPart(text="hm")]),
        ([proof], [pb.ReasoningPart(text="hm", signature=b"p", provider="x")]),
        ([{"text": "", **proof}], [pb.ReasoningPart(text="hm", signature=b"p", provider="x")]),
        ([{"text": "own", **proof}], [pb.ReasoningPart(text="own", signature=b"p", provider="x")]),
        ([{"redacted": "AAA="}], [pb.ReasoningPart(text="hm"), pb.ReasoningPart(redacted=b"\0\0")]),
    ):
        message = {"content": "a", "reasoning_content": "hm", "reasoning_details": details}
        assert list((await handed_back(gateway, behind, message)).reasoning) == reasoning


async def test_proofs_of_calls_come_back_in_googles_words_too(gateway: Gateway, behind: Backends) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    extra = {"google": {"thought_signature": b64encode(b"\x04d").decode()}}
    told = await handed_back(gateway, behind, {"content": "a", "tool_calls": [{**call, "extra_content": extra}]})
    assert list(told.tool_calls) == [CALL]
    broken = {**call, "extra_content": {"google": {"thought_signature": "%"}}}
    messages = [*HELLO, {"role": "assistant", "tool_calls": [broken]}]
    refused = await gateway.http.post(PATH, json={"model": "m", "messages": messages})
    param = "messages.1.tool_calls.0.extra_content.google.thought_signature"
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


async def test_a_whole_answer_tells_each_block(gateway: Gateway, behind: Backends) -> None:
    completion = answer("Hi")
    completion.choices[0].message.reasoning.extend(BLOCKS)
    behind.router.completion = completion
    first = await gateway.openai.chat.completions.create(model="m", messages=HELLO)
    told: Any = first.choices[0].message
    assert told.reasoning_content == "Let me see.Now"
    assert [each.get("signature") for each in told.reasoning_details] == ["AWE=", None, "A2M="]
    given: list[Any] = [*HELLO, told, *HELLO]
    await gateway.openai.chat.completions.create(model="m", messages=given)
    assert list(behind.router.asked[1].request.messages[1].reasoning) == BLOCKS
