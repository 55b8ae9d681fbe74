"""`InvokeModel` for embeddings, by the real SDK."""

import json
from typing import Any

import pytest
from omnix_sandbox import script
from omnix_sandbox.testing import Sandbox
from omnix_sandbox.vectors import vector

from .bedrock_client import CLAUDE, off, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
