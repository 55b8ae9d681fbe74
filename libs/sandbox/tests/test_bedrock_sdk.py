"""The real SDK, unmodified, against the real process, by a key whose signatures are checked."""

import json
from typing import Any

import pytest
from omnix_sandbox import script
from omnix_sandbox.testing import Sandbox

from .bedrock_client import CLAUDE, TOOLS, make_client, off, said, streamed, texts

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    "model",
    [
        CLAUDE,
        "amazon.nova-pro-v1:0",
        "global.anthropic.claude-sonnet-4-6",
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-6",
        "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdef123456",
        "sandbox-chat",
    ],
)
async def test_unary_answer_is_the_computed_one(bedrock: Any, sandbox: Sandbox, request_id: str, model: str) -> None:
    answer = await off(bedrock.converse, modelId=model, messages=said("Grüezi [[tokens=300]]"))

    prompt = script.user("Grüezi [[tokens=300]]")
    assert answer["output"]["message"] == {"role": "assistant", "content": [{"text": script.answer(prompt).text}]}
    assert answer["stopReason"] == "end_turn"
    assert answer["usage"]["inputTokens"] == script.input_tokens(prompt)
    assert (answer["usage"]["outputTokens"], answer["metrics"]["latencyMs"]) == (300, 1)
    call = await sandbox.wait_for_call(request_id=request_id)
    assert (call.vendor, call.model, call.operation) == ("bedrock", model, "chat")
    assert answer["ResponseMetadata"]["RequestId"] == call.call
    assert (call.produced_tokens, call.output_tokens, call.usage_sent, call.answer_id) == (300, 300, True, None)


async def test_stream_is_one_token_a_delta_and_equals_the_unary_answer(
    bedrock: Any, sandbox: Sandbox, request_id: str
) -> None:
    events = await streamed(bedrock, modelId=CLAUDE, messages=said("Grüezi [[tokens=300]]"))

    assert events[0] == {"messageStart": {"role": "assistant"}}
    assert texts(events) == list(script.answer(script.user("Grüezi [[tokens=300]]")).tokens)
    assert [next(iter(event)) for event in events[-3:]] == ["contentBlockStop", "messageStop", "metadata"]
    assert events[-2]["messageStop"]["stopReason"] == "end_turn"
    assert events[-1]["metadata"]["usage"]["outputTokens"] == 300
    call = await sandbox.wait_for_call(request_id=request_id)
    assert (call.outcome, call.produced_tokens, call.output_tokens, call.usage_sent) == ("completed", 300, 300, True)
    assert call.stream


async def test_tools_are_called_in_parallel_with_streamed_arguments(bedrock: Any) -> None:
    asked = said('[[tool=get_weather {"city":"Zürich"}]] [[tool=get_weather {"city":"東京"}]]')
    answer = await off(bedrock.converse, modelId=CLAUDE, messages=asked, toolConfig=TOOLS)
    events = await streamed(bedrock, modelId=CLAUDE, messages=asked, toolConfig=TOOLS)

    uses = [block["toolUse"] for block in answer["output"]["message"]["content"]]
    assert [use["input"] for use in uses] == [{"city": "Zürich"}, {"city": "東京"}]
    assert len({use["toolUseId"] for use in uses}) == 2
    assert answer["stopReason"] == "tool_use"
    arguments = ["", ""]
    for event in events:
        if (delta := event.get("contentBlockDelta")) is not None:
            arguments[delta["contentBlockIndex"]] += delta["delta"]["toolUse"]["input"]
    assert [json.loads(one)["city"] for one in arguments] == ["Zürich", "東京"]
    starts = [
        event["contentBlockStart"]["start"]["toolUse"]["name"] for event in events if "contentBlockStart" in event
    ]
    assert starts == ["get_weather", "get_weather"]

    results = [
        {"toolResult": {"toolUseId": uses[0]["toolUseId"], "content": [{"json": {"sky": "blue"}}]}},
        {
            "toolResult": {
                "toolUseId": uses[1]["toolUseId"],
                "content": [{"text": "see"}, {"image": {"format": "png", "source": {"bytes": b"png"}}}],
                "status": "error",
            }
        },
    ]
    history = [*asked, answer["output"]["message"], {"role": "user", "content": results}]
    second = await off(bedrock.converse, modelId=CLAUDE, messages=history, toolConfig=TOOLS)
    assert second["stopReason"] == "end_turn"
    assert second["output"]["message"]["content"][0]["text"]


async def test_a_schema_is_answered_with_json(bedrock: Any) -> None:
    schema = {"type": "object", "properties": {"size": {"type": "integer"}}, "required": ["size"]}
    structure = {"jsonSchema": {"schema": json.dumps(schema), "name": "city"}}
    answer = await off(
        bedrock.converse,
        modelId="us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        messages=said("a city"),
        outputConfig={"textFormat": {"type": "json_schema", "structure": structure}},
    )

    assert isinstance(json.loads(answer["output"]["message"]["content"][0]["text"])["size"], int)


@pytest.mark.parametrize(
    ("text", "config", "reason"),
    [
        ("x [[tokens=50]]", {"maxTokens": 5}, "max_tokens"),
        ("x y stop z [[echo]]", {"stopSequences": ["stop"]}, "stop_sequence"),
        ("x [[finish=content_filter]]", {}, "content_filtered"),
        ("x [[finish_as=model_context_window_exceeded]]", {}, "model_context_window_exceeded"),
        ("x [[empty]]", {}, "end_turn"),
    ],
)
async def test_stop_reasons_are_the_vendors(bedrock: Any, text: str, config: dict[str, Any], reason: str) -> None:
    arguments = {"modelId": CLAUDE, "messages": said(text), "inferenceConfig": config}
    answer = await off(bedrock.converse, **arguments, additionalModelResponseFieldPaths=["/stop_sequence"])
    events = await streamed(bedrock, **arguments)

    assert answer["stopReason"] == reason
    stops = [event["messageStop"]["stopReason"] for event in events if "messageStop" in event]
    assert stops == [reason]
    said_of_it = {"stop_sequence": "stop" if reason == "stop_sequence" else None}
    assert answer["additionalModelResponseFields"] == said_of_it
    assert bool(answer["output"]["message"]["content"]) == ("empty" not in text)


@pytest.mark.parametrize("ttl", ["5m", "1h"])
async def test_cached_tokens_are_counted_beside_the_input(
    bedrock: Any, sandbox: Sandbox, request_id: str, ttl: str
) -> None:
    content = [{"text": "[[cached=30]] [[cache_write=20]] x"}, {"cachePoint": {"type": "default", "ttl": ttl}}]
    answer = await off(bedrock.converse, modelId=CLAUDE, messages=[{"role": "user", "content": content}])

    usage = answer["usage"]
    call = await sandbox.wait_for_call(request_id=request_id)
    assert usage["inputTokens"] == call.input_tokens - 50
    assert usage["totalTokens"] == call.input_tokens + usage["outputTokens"]
    assert (usage["cacheReadInputTokens"], usage["cacheWriteInputTokens"]) == (30, 20)
    assert usage["cacheDetails"] == [{"ttl": ttl, "inputTokens": 20}]


async def test_attachments_count(bedrock: Any) -> None:
    content = [
        {"text": "eins zwei"},
        {"image": {"format": "png", "source": {"bytes": b"png"}}},
        {"document": {"format": "pdf", "name": "a report", "source": {"bytes": b"%PDF"}}},
    ]
    answer = await off(bedrock.converse, modelId=CLAUDE, messages=[{"role": "user", "content": content}])

    assert answer["usage"]["inputTokens"] == script.input_tokens(script.user("eins zwei")) + 170


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        ({"type": "none"}, 0),
        ({"type": "auto", "disable_parallel_tool_use": True}, 1),
        ({"type": "any"}, 2),
        ({"type": "tool", "name": "get_weather"}, 2),
    ],
)
async def test_claude_is_told_of_tools_in_its_own_words_too(bedrock: Any, choice: dict[str, Any], called: int) -> None:
    asked = said('[[tool=get_weather {"city":"Zürich"}]] [[tool=get_weather {"city":"東京"}]]')
    own = {"additionalModelRequestFields": {"tool_choice": choice}}
    answer = await off(bedrock.converse, modelId=CLAUDE, messages=asked, toolConfig=TOOLS, **own)
    assert sum("toolUse" in block for block in answer["output"]["message"]["content"]) == called


async def test_models_and_profiles_are_listed(sandbox: Sandbox, request_id: str) -> None:
    control = make_client(sandbox, request_id, "bedrock")
    found = await off(control.list_foundation_models, byProvider="amazon")
    profiles = await off(control.list_inference_profiles)

    names = {model["modelId"] for model in found["modelSummaries"]}
    assert {"amazon.nova-pro-v1:0", "amazon.titan-embed-text-v2:0"} <= names
    assert CLAUDE in {profile["inferenceProfileId"] for profile in profiles["inferenceProfileSummaries"]}


async def test_tokens_are_counted_without_an_answer(bedrock: Any) -> None:
    asked = {"converse": {"messages": said("Grüezi")}}
    counted = await off(bedrock.count_tokens, modelId=CLAUDE, input=asked)

    assert counted["inputTokens"] == script.input_tokens(script.user("Grüezi"))
