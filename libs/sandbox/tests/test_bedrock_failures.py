"""Failures that are ordered, as the real SDK tells them."""

from typing import Any

import pytest
from botocore.eventstream import ChecksumMismatch
from botocore.exceptions import EventStreamError
from omnix_sandbox.testing import Sandbox

from .bedrock_client import off, refused, said, streamed, texts

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
