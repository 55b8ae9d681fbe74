"""What Bedrock would not take, and from whom."""

from typing import Any

import pytest
from omnix_sandbox.testing import Sandbox

from .bedrock_client import CLAUDE, THINKING, TOOLS, make_client, off, refused, said

pytestmark = pytest.mark.asyncio(loop_scope="module")


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


@pytest.mark.parametrize("body", [b"{", b'{"messages":' + b"[" * 100_000, b'{"\xff":1}'])
@pytest.mark.parametrize("operation", ["converse", "converse-stream", "invoke", "count-tokens"])
async def test_bodies_that_are_no_json_are_refused(sandbox: Sandbox, operation: str, body: bytes) -> None:
    url = f"{sandbox.bedrock_url}/model/sandbox-chat/{operation}"
    async with sandbox.http.post(url, data=body, headers={"Authorization": "Bearer k"}) as response:
        assert response.status == 400
        assert (await response.json())["message"]


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
