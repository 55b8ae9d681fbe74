"""What Bedrock's models think, as the real SDK reads it and sends it back."""

from typing import Any

import pytest
from omnix_sandbox import script
from omnix_sandbox.testing import Sandbox

from .bedrock_client import CLAUDE, THINKING, off, refused, said, streamed, texts

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_reasoning_is_told_signed_and_taken_back(bedrock: Any, sandbox: Sandbox, request_id: str) -> None:
    asked = said("Why? [[reasoning=50]] [[tokens=20]]")
    answer = await off(bedrock.converse, modelId=CLAUDE, messages=asked, additionalModelRequestFields=THINKING)
    events = await streamed(bedrock, modelId=CLAUDE, messages=asked, additionalModelRequestFields=THINKING)

    thought, text = answer["output"]["message"]["content"]
    told = thought["reasoningContent"]["reasoningText"]
    expected = script.answer(script.user("Why? [[reasoning=50]] [[tokens=20]]"))
    assert (told["text"], text["text"]) == (expected.reasoning_text, expected.text)
    assert answer["usage"]["outputTokens"] == 70
    deltas = [event["contentBlockDelta"] for event in events if "contentBlockDelta" in event]
    pieces = [delta["delta"]["reasoningContent"] for delta in deltas if "reasoningContent" in delta["delta"]]
    assert [piece["text"] for piece in pieces[:-1]] == list(expected.reasoning)
    assert pieces[-1] == {"signature": told["signature"]}
    assert {delta["contentBlockIndex"] for delta in deltas} == {0, 1}
    call = await sandbox.wait_for_call(request_id=request_id)
    assert (call.produced_tokens, call.output_tokens, call.reasoning) == (70, 70, "1024")

    history = [*asked, answer["output"]["message"], *said("And?")]
    again = await off(bedrock.converse, modelId=CLAUDE, messages=history, additionalModelRequestFields=THINKING)
    assert again["stopReason"] == "end_turn"


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        ({"reasoningText": {"text": "mine", "signature": "forged"}}, "Invalid `signature` in `thinking` block"),
        ({"reasoningText": {"text": "mine"}}, "thinking.signature: Field required"),
        ({"redactedContent": b"forged"}, "Invalid `data` in `redacted_thinking` block"),
    ],
)
async def test_changed_reasoning_is_refused(bedrock: Any, block: dict[str, Any], reason: str) -> None:
    history = [*said("x"), {"role": "assistant", "content": [{"reasoningContent": block}, {"text": "y"}]}, *said("z")]
    status, code, message = await refused(bedrock.converse, modelId=CLAUDE, messages=history)

    assert (status, code) == (400, "ValidationException")
    assert reason in message


async def test_redacted_and_omitted_reasoning_can_be_sent_back(bedrock: Any, sandbox: Sandbox, request_id: str) -> None:
    for text, fields in (
        ("[[redacted]]", THINKING),
        ("", {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "high"}}),
    ):
        asked = said(f"Why? [[reasoning=9]] [[tokens=5]] {text}")
        model = "sandbox-chat"
        answer = await off(bedrock.converse, modelId=model, messages=asked, additionalModelRequestFields=fields)
        events = await streamed(bedrock, modelId=model, messages=asked, additionalModelRequestFields=fields)

        block = answer["output"]["message"]["content"][0]["reasoningContent"]
        assert block.get("reasoningText", {}).get("text", "") == ""
        assert len(texts(events)) == 5
        call = await sandbox.wait_for_call(request_id=request_id)
        assert (call.produced_tokens, call.output_tokens) == (5, 14)
        history = [*asked, answer["output"]["message"], *said("And?")]
        assert await off(bedrock.converse, modelId=model, messages=history, additionalModelRequestFields=fields)


async def test_new_claudes_think_unasked_and_leave_the_text_out(bedrock: Any) -> None:
    asked = said("Why? [[reasoning=9]] [[tokens=5]]")
    answer = await off(bedrock.converse, modelId="us.anthropic.claude-opus-5", messages=asked)

    thought, text = answer["output"]["message"]["content"]
    assert thought["reasoningContent"]["reasoningText"]["text"] == ""
    assert thought["reasoningContent"]["reasoningText"]["signature"]
    assert text["text"]
    assert answer["usage"]["outputTokens"] == 14


async def test_an_effort_alone_makes_the_sandboxs_models_think(bedrock: Any, sandbox: Sandbox, request_id: str) -> None:
    asked = said("Why? [[reasoning=9]] [[tokens=5]]")
    answer = await off(bedrock.converse, modelId="sandbox-chat", messages=asked, outputConfig={"effort": "high"})

    thought = answer["output"]["message"]["content"][0]["reasoningContent"]["reasoningText"]
    assert thought["text"] == script.answer(script.user("Why? [[reasoning=9]] [[tokens=5]]")).reasoning_text
    assert thought["signature"]
    assert (await sandbox.wait_for_call(request_id=request_id)).reasoning == "high"
