"""The real SDK, unmodified, against the real process, by a key whose signatures are checked."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.eventstream import ChecksumMismatch
from botocore.exceptions import ClientError, EventStreamError
from omnix_sandbox import script
from omnix_sandbox.bedrock.auth import CHECKED_KEY_ID, CHECKED_SECRET
from omnix_sandbox.testing import Sandbox
from omnix_sandbox.vectors import vector

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLAUDE = "us.anthropic.claude-3-7-sonnet-20250219-v1:0"
THINKING = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
TOOLS = {
    "tools": [
        {
            "toolSpec": {
                "name": "get_weather",
                "inputSchema": {
                    "json": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
                },
            }
        }
    ]
}


def said(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"text": text}]}]


def make_client(
    sandbox: Sandbox, request_id: str, service: str = "bedrock-runtime", secret: str = CHECKED_SECRET
) -> Any:
    client = boto3.client(
        service,
        endpoint_url=sandbox.bedrock_url,
        region_name="eu-central-1",
        aws_access_key_id=CHECKED_KEY_ID,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}, read_timeout=10),
    )

    def name_it(request: Any, **_: Any) -> None:
        request.headers["X-Client-Request-Id"] = request_id

    client.meta.events.register("before-sign", name_it)
    return client


@pytest.fixture
def bedrock(sandbox: Sandbox, request_id: str) -> Any:
    return make_client(sandbox, request_id)


async def off(call: Callable[..., Any], **arguments: Any) -> Any:
    return await asyncio.wait_for(asyncio.to_thread(lambda: call(**arguments)), 10)


async def streamed(client: Any, **arguments: Any) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = await off(lambda: list(client.converse_stream(**arguments)["stream"]))
    return events


async def refused(call: Callable[..., Any], **arguments: Any) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as caught:
        await off(call, **arguments)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


def texts(events: list[dict[str, Any]]) -> list[str]:
    deltas = [event["contentBlockDelta"]["delta"] for event in events if event.get("contentBlockDelta")]
    return [delta["text"] for delta in deltas if "text" in delta]


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


async def test_a_filter_answers_nothing(bedrock: Any, sandbox: Sandbox, request_id: str) -> None:
    answer = await off(bedrock.converse, modelId="sandbox-filter", messages=said("x"))
    events = await streamed(bedrock, modelId="sandbox-filter", messages=said("x"))

    assert (answer["stopReason"], answer["output"]["message"]["content"]) == ("content_filtered", [])
    assert [next(iter(event)) for event in events] == ["messageStart", "messageStop", "metadata"]
    call = await sandbox.wait_for_call(request_id=request_id)
    assert (call.outcome, call.status, call.output_tokens) == ("refused", 200, 0)


async def test_a_guardrail_answers_in_place_of_the_model(bedrock: Any) -> None:
    guard = {"guardrailIdentifier": "abc", "guardrailVersion": "1"}
    arguments = {"modelId": "sandbox-filter", "messages": said("x"), "guardrailConfig": guard}
    answer = await off(bedrock.converse, **arguments)
    events = await streamed(bedrock, **arguments)

    assert answer["stopReason"] == "guardrail_intervened"
    assert "".join(texts(events)) == answer["output"]["message"]["content"][0]["text"]


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("sandbox-400", 400, "ValidationException"),
        ("sandbox-401", 401, "UnrecognizedClientException"),
        ("sandbox-403", 403, "AccessDeniedException"),
        ("sandbox-404", 404, "ResourceNotFoundException"),
        ("sandbox-408", 408, "ModelTimeoutException"),
        ("sandbox-424", 424, "ModelErrorException"),
        ("sandbox-429-retry-2s", 429, "ThrottlingException"),
        ("sandbox-quota", 400, "ServiceQuotaExceededException"),
        ("sandbox-context", 400, "ValidationException"),
        ("sandbox-500", 500, "InternalServerException"),
        ("sandbox-503", 503, "ServiceUnavailableException"),
        ("sandbox-529", 529, "529"),
        ("gpt-4o", 400, "ValidationException"),
        ("sandbox-cut-aftr-5", 400, "ValidationException"),
    ],
)
@pytest.mark.parametrize("operation", ["converse", "converse_stream"])
async def test_statuses_become_the_sdks_errors(
    bedrock: Any, sandbox: Sandbox, request_id: str, operation: str, model: str, status: int, code: str
) -> None:
    assert (await refused(getattr(bedrock, operation), modelId=model, messages=said("x")))[:2] == (status, code)
    call = await sandbox.wait_for_call(request_id=request_id)
    assert (call.outcome, call.status, call.output_tokens) == ("refused", status, 0)


async def test_waits_are_told_in_headers(bedrock: Any) -> None:
    for model, name, value in (
        ("sandbox-429-retry-2s", "retry-after", "2"),
        ("sandbox-429-retry-250ms", "x-amz-retry-after", "250"),
    ):
        with pytest.raises(bedrock.exceptions.ThrottlingException) as caught:
            await off(bedrock.converse, modelId=model, messages=said("x"))
        assert caught.value.response["ResponseMetadata"]["HTTPHeaders"][name] == value


@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("sandbox-error-after-4", "internalServerException"),
        ("sandbox-error-400-after-4", "validationException"),
        ("sandbox-error-424-after-4", "modelStreamErrorException"),
        ("sandbox-error-429-after-4", "throttlingException"),
        ("sandbox-error-503-after-4", "serviceUnavailableException"),
    ],
)
async def test_an_exception_ends_the_stream(
    bedrock: Any, sandbox: Sandbox, request_id: str, model: str, code: str
) -> None:
    with pytest.raises(EventStreamError) as caught:
        await streamed(bedrock, modelId=model, messages=said("x"))

    assert caught.value.response["Error"]["Code"] == code
    call = await sandbox.wait_for_call(request_id=request_id)
    assert (call.produced_tokens, call.output_tokens, call.usage_sent) == (4, 4, False)


async def test_a_wrong_checksum_is_noticed(bedrock: Any) -> None:
    with pytest.raises(ChecksumMismatch):
        await streamed(bedrock, modelId="sandbox-malformed-crc-after-4", messages=said("x"))


@pytest.mark.parametrize(
    ("model", "fields", "config", "reason"),
    [
        (CLAUDE, {"colour": "red"}, {}, "extraneous key [colour] is not permitted"),
        ("amazon.nova-pro-v1:0", THINKING, {}, "extraneous key [thinking] is not permitted"),
        (CLAUDE, {"thinking": {"type": "enabled", "budget_tokens": 100}}, {}, "greater than or equal to 1024"),
        (CLAUDE, THINKING, {"maxTokens": 1024}, "`max_tokens` must be greater than"),
        (CLAUDE, THINKING, {"temperature": 0.5}, "`temperature` may only be set to 1"),
        (CLAUDE, {"thinking": {"type": "adaptive"}}, {}, "adaptive thinking is not supported"),
        ("us.anthropic.claude-opus-4-7", THINKING, {}, '"thinking.type.enabled" is not supported'),
        ("us.anthropic.claude-opus-4-7", {}, {"temperature": 0.5}, "`temperature` is deprecated"),
        ("us.anthropic.claude-fable-5", {"thinking": {"type": "disabled"}}, {}, '"thinking.type.disabled" is not'),
        (
            "us.amazon.nova-2-lite-v1:0",
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}},
            {"maxTokens": 5},
            "must be unset",
        ),
        ("openai.gpt-oss-20b-1:0", {"reasoning_effort": "extreme"}, {}, "reasoning_effort"),
    ],
)
async def test_what_a_model_does_not_take_is_refused(
    bedrock: Any, model: str, fields: dict[str, Any], config: dict[str, Any], reason: str
) -> None:
    status, code, message = await refused(
        bedrock.converse,
        modelId=model,
        messages=said("x"),
        additionalModelRequestFields=fields,
        inferenceConfig=config,
    )

    assert (status, code) == (400, "ValidationException")
    assert reason in message


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"modelId": "amazon.titan-text-express-v1", "system": [{"text": "x"}]}, "doesn't support system messages"),
        ({"modelId": "amazon.titan-text-express-v1", "toolConfig": TOOLS}, "doesn't support tool use"),
        ({"messages": []}, "messages field is required"),
        ({"messages": said(" ")}, "is blank"),
        ({"messages": [*said("x"), *said("y")]}, "must alternate"),
        ({"messages": [{"role": "assistant", "content": [{"text": "x"}]}]}, "must start with a user message"),
        (
            {
                "toolConfig": TOOLS,
                "messages": [
                    {"role": "user", "content": [{"toolResult": {"toolUseId": "a", "content": [{"text": "x"}]}}]}
                ],
            },
            "exceeds the number of toolUse blocks",
        ),
        (
            {
                "messages": [
                    *said("x"),
                    {"role": "assistant", "content": [{"toolUse": {"toolUseId": "a", "name": "b", "input": {}}}]},
                ]
            },
            "toolConfig field must be defined",
        ),
        (
            {
                "toolConfig": TOOLS,
                "messages": [
                    *said("x"),
                    {"role": "assistant", "content": [{"toolUse": {"toolUseId": "a", "name": "b", "input": {}}}]},
                    *said("y"),
                ],
            },
            "Expected toolResult blocks",
        ),
        ({"messages": said("[[tokens=many]]")}, "tokens"),
        (
            {"additionalModelRequestFields": THINKING, "toolConfig": {**TOOLS, "toolChoice": {"any": {}}}},
            "forces tool use",
        ),
    ],
)
async def test_conversations_that_make_no_sense_are_refused(bedrock: Any, changes: dict[str, Any], reason: str) -> None:
    status, code, message = await refused(bedrock.converse, **{"modelId": CLAUDE, "messages": said("x"), **changes})

    assert (status, code) == (400, "ValidationException")
    assert reason in message


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


async def test_tools_can_not_be_streamed_by_every_model(bedrock: Any) -> None:
    model = "us.meta.llama3-1-70b-instruct-v1:0"
    assert await off(bedrock.converse, modelId=model, messages=said("x"), toolConfig=TOOLS)
    _, _, message = await refused(bedrock.converse_stream, modelId=model, messages=said("x"), toolConfig=TOOLS)
    assert "tool use in streaming mode" in message


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"messages": said("x"), "colour": "red"}, "#: extraneous key [colour]"),
        ({"messages": [{"role": "user", "content": [{"text": "x", "size": 1}]}]}, "#/messages/0/content/0: extraneous"),
        ({"messages": [{"role": "king", "content": []}]}, "Value given at 'messages.1.member.role'"),
        ({"messages": [{"role": "user"}]}, "Value null at 'messages.1.member.content'"),
        ({"messages": said("x"), "inferenceConfig": {"topK": 5}}, "#/inferenceConfig: extraneous key [topK]"),
    ],
)
async def test_bodies_are_refused_by_name(sandbox: Sandbox, body: dict[str, Any], reason: str) -> None:
    """On a bare socket, because the SDK looks first."""
    url = f"{sandbox.bedrock_url}/model/us.anthropic.claude-3-7-sonnet-20250219-v1%3A0/converse"
    async with sandbox.http.post(url, json=body, headers={"Authorization": "Bearer k"}) as response:
        assert (response.status, response.headers["x-amzn-errortype"].split(":")[0]) == (400, "ValidationException")
        assert reason in (await response.json())["message"]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "MissingAuthenticationTokenException"),
        ({"Authorization": "Bearer invalid"}, "AccessDeniedException"),
        ({"Authorization": "Basic eA=="}, "IncompleteSignatureException"),
        (
            {
                "Authorization": "AWS4-HMAC-SHA256 Credential=invalid/20261122/us-east-1/bedrock/aws4_request, "
                f"SignedHeaders=host, Signature={'0' * 64}"
            },
            "UnrecognizedClientException",
        ),
        (
            {
                "Authorization": "AWS4-HMAC-SHA256 Credential=AKIA/20261122/us-east-1/s3/aws4_request, "
                f"SignedHeaders=host, Signature={'0' * 64}"
            },
            "InvalidSignatureException",
        ),
    ],
)
async def test_strangers_are_refused(sandbox: Sandbox, headers: dict[str, str], code: str) -> None:
    for method, path in (("POST", "model/sandbox-chat/converse"), ("GET", "foundation-models")):
        async with sandbox.http.request(method, f"{sandbox.bedrock_url}/{path}", headers=headers) as response:
            assert (response.status, response.headers["x-amzn-errortype"].split(":")[0]) == (403, code)


async def test_a_wrong_signature_is_refused(sandbox: Sandbox, request_id: str) -> None:
    client = make_client(sandbox, request_id, secret="wrong")

    assert (await refused(client.converse, modelId=CLAUDE, messages=said("x")))[:2] == (
        403,
        "InvalidSignatureException",
    )


@pytest.mark.parametrize(
    ("model", "body", "dimensions"),
    [
        ("amazon.titan-embed-text-v1", {"inputText": "Grüezi"}, 1536),
        ("amazon.titan-embed-text-v2:0", {"inputText": "Grüezi"}, 1024),
        ("amazon.titan-embed-text-v2:0", {"inputText": "Grüezi", "dimensions": 256, "normalize": True}, 256),
        ("sandbox-embed", {"inputText": "Grüezi"}, 1024),
    ],
)
async def test_titan_embeds_one_text(
    bedrock: Any, sandbox: Sandbox, request_id: str, model: str, body: dict[str, Any], dimensions: int
) -> None:
    answer = await off(bedrock.invoke_model, modelId=model, body=json.dumps(body))
    made = json.loads(answer["body"].read())

    assert made["embedding"] == vector("Grüezi", dimensions)
    assert made["inputTextTokenCount"] == script.count_tokens("Grüezi")
    call = await sandbox.wait_for_call(request_id=request_id)
    assert (call.operation, call.input_tokens, call.output_tokens) == ("embeddings", made["inputTextTokenCount"], 0)
    assert call.usage_sent


@pytest.mark.parametrize(
    ("model", "more", "dimensions"),
    [
        ("cohere.embed-english-v3", {}, 1024),
        ("us.cohere.embed-v4:0", {"output_dimension": 256, "embedding_types": ["float"]}, 256),
    ],
)
async def test_cohere_embeds_many_texts_and_counts_in_a_header(
    bedrock: Any, model: str, more: dict[str, Any], dimensions: int
) -> None:
    body = {"texts": ["eins", "zwei 🚀"], "input_type": "search_document", **more}
    answer = await off(bedrock.invoke_model, modelId=model, body=json.dumps(body))
    made = json.loads(answer["body"].read())

    vectors = made["embeddings"]["float"] if more else made["embeddings"]
    assert vectors == [vector("eins", dimensions), vector("zwei 🚀", dimensions)]
    assert made["response_type"] == ("embeddings_by_type" if more else "embeddings_floats")
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    tokens = script.count_tokens("eins") + script.count_tokens("zwei 🚀")
    assert int(headers["x-amzn-bedrock-input-token-count"]) == tokens


@pytest.mark.parametrize(
    ("model", "body"),
    [
        ("amazon.titan-embed-text-v2:0", {"inputText": ""}),
        ("amazon.titan-embed-text-v2:0", {"inputText": "x", "dimensions": 3}),
        ("amazon.titan-embed-text-v1", {"inputText": "x", "dimensions": 256}),
        ("cohere.embed-english-v3", {"texts": ["x"]}),
        ("cohere.embed-english-v3", {"texts": [], "input_type": "search_query"}),
        ("cohere.embed-english-v3", {"texts": ["x"] * 97, "input_type": "search_query"}),
        (CLAUDE, {"anthropic_version": "bedrock-2023-05-31"}),
    ],
)
async def test_bad_embedding_requests_are_refused(bedrock: Any, model: str, body: dict[str, Any]) -> None:
    status = await refused(bedrock.invoke_model, modelId=model, body=json.dumps(body))

    assert status[:2] == (400, "ValidationException")


async def test_embedding_models_fail_by_their_name(bedrock: Any, sandbox: Sandbox, request_id: str) -> None:
    status = await refused(bedrock.invoke_model, modelId="sandbox-429", body='{"inputText":"x"}')

    assert status[:2] == (429, "ThrottlingException")
    assert (await sandbox.wait_for_call(request_id=request_id)).operation == "embeddings"


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


async def test_nova_embeds_one_text(bedrock: Any) -> None:
    model = "amazon.nova-2-multimodal-embeddings-v1:0"
    params = {"embeddingPurpose": "GENERIC_INDEX", "text": {"truncationMode": "NONE", "value": "Grüezi"}}
    body = {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": params}
    answer = await off(bedrock.invoke_model, modelId=model, body=json.dumps(body))

    assert json.loads(answer["body"].read()) == {
        "embeddings": [{"embeddingType": "TEXT", "embedding": vector("Grüezi", 3072)}]
    }
    params["embeddingPurpose"] = "FUN"
    assert (await refused(bedrock.invoke_model, modelId=model, body=json.dumps(body)))[:2] == (
        400,
        "ValidationException",
    )


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


@pytest.mark.parametrize("body", [b"{", b'{"messages":' + b"[" * 100_000, b'{"\xff":1}'])
@pytest.mark.parametrize("operation", ["converse", "converse-stream", "invoke", "count-tokens"])
async def test_bodies_that_are_no_json_are_refused(sandbox: Sandbox, operation: str, body: bytes) -> None:
    url = f"{sandbox.bedrock_url}/model/sandbox-chat/{operation}"
    async with sandbox.http.post(url, data=body, headers={"Authorization": "Bearer k"}) as response:
        assert response.status == 400
        assert (await response.json())["message"]
