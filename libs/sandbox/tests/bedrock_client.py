"""AWS's SDK, unmodified, with a key whose signatures the sandbox checks."""

import asyncio
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from omnix_sandbox.bedrock.auth import CHECKED_KEY_ID, CHECKED_SECRET
from omnix_sandbox.testing import Sandbox

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
