"""The provider against the sandbox's Bedrock and against a vendor that answers byte by byte what the test says."""

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from omnix_adapter_bedrock.provider import BedrockProvider, opened
from omnix_adapter_bedrock.settings import Settings
from omnix_adapter_bedrock.upstream import Upstream, configured
from omnix_kit.caller import Caller
from omnix_kit.settings import load
from omnix_kit.testing import eventually
from omnix_provider.errors import AuthFailed, Malformed, ModelNotFound, Unavailable, UnsupportedParameter
from omnix_provider.types import (
    Attempt,
    Batch,
    Completion,
    CompletionRequest,
    Control,
    Effort,
    EmbeddingRequest,
    Message,
    Reasoning,
    ReasoningPlan,
    Role,
    Text,
    Tool,
)
from omnix_sandbox.testing import Sandbox
from pydantic import SecretStr

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHECKED_KEY = "AKIASANDBOXCHECKED00"
CHECKED_SECRET = "sandbox/secret+that/is/known+to/every/one"
ARN = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0"
STREAMS = 1000


def attempt(model: str = "sandbox-tokens-5", **more: Any) -> Attempt:
    return Attempt("a" * 32, "c" * 32, 1, Caller("t1"), "bedrock", model, **more)


def asking(text: str = "Hello.", **more: Any) -> CompletionRequest:
    return CompletionRequest("fast", (Message(Role.USER, (Text(text),)),), **more)


def nothing() -> None:
    pass


async def asked(provider: BedrockProvider, made: Attempt, request: CompletionRequest | None = None) -> Completion:
    async with asyncio.timeout(10):
        return await provider.complete(request or asking(), made, nothing)


async def streamed(provider: BedrockProvider, made: Attempt, request: CompletionRequest | None = None) -> str:
    text = ""
    async with asyncio.timeout(30):
        async for batch in provider.stream(request or asking(), made, nothing):
            text += "".join(chunk.text for chunk in batch.chunks)
    return text


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK", f"{sandbox.url}/bedrock")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(sandbox: Sandbox) -> AsyncIterator[BedrockProvider]:
    async with opened(Upstream(f"{sandbox.url}/bedrock", "us-east-1", sandbox=True)) as made:
        yield made


@asynccontextmanager
async def configured_by(monkeypatch: pytest.MonkeyPatch, **environment: str) -> AsyncIterator[BedrockProvider]:
    for name, value in {"AWS_REGION": "us-east-1", **environment}.items():
        monkeypatch.setenv(name, value)
    async with opened(configured(load(Settings), {"AWS_PROFILE": "aws"})) as made:
        yield made


@pytest.mark.parametrize("model", ["us.anthropic.claude-sonnet-4-5-20250929-v1:0", ARN, "amazon.nova-lite-v1:0"])
async def test_signature_is_what_aws_computes(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, model: str) -> None:
    """The sandbox computes those of one key, colons and slashes of the path encoded twice."""
    async with configured_by(
        monkeypatch,
        AWS_ACCESS_KEY_ID=CHECKED_KEY,
        AWS_SECRET_ACCESS_KEY=CHECKED_SECRET,
        AWS_ENDPOINT_URL_BEDROCK_RUNTIME=f"{sandbox.url}/bedrock",
    ) as real:
        assert (await asked(real, attempt(model))).choices
        assert await streamed(real, attempt(model))
        large = asking("x" * 600_000, max_output_tokens=5)
        assert (await asked(real, attempt(model), large)).choices


@pytest.mark.parametrize(("key", "secret"), [("invalid", "wrong"), (CHECKED_KEY, "wrong")])
async def test_keys_that_aws_does_not_know_are_a_failure_of_authentication(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, key: str, secret: str
) -> None:
    async with configured_by(
        monkeypatch,
        AWS_ACCESS_KEY_ID=key,
        AWS_SECRET_ACCESS_KEY=secret,
        AWS_ENDPOINT_URL_BEDROCK_RUNTIME=f"{sandbox.url}/bedrock",
    ) as real:
        with pytest.raises(AuthFailed) as told:
            await asked(real, attempt())
        assert (told.value.provider_status, secret in str(told.value)) == (403, False)


async def test_bearer_token_is_sent_over_any_address(sandbox: Sandbox) -> None:
    for token, taken in (("bedrock-api-key-x", True), ("invalid", False)):
        upstream = Upstream(f"{sandbox.url}/bedrock", "us-east-1", SecretStr(token))
        async with opened(upstream) as real:
            if taken:
                assert (await asked(real, attempt())).choices
            else:
                with pytest.raises(AuthFailed):
                    await asked(real, attempt())


async def test_no_credentials_are_a_problem_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    handed: list[bool] = []
    async with configured_by(
        monkeypatch,
        AWS_CONFIG_FILE=str(tmp_path / "none"),
        AWS_SHARED_CREDENTIALS_FILE=str(tmp_path / "none"),
        AWS_ENDPOINT_URL_BEDROCK_RUNTIME=f"{sandbox.url}/bedrock",
    ) as real:
        with pytest.raises(AuthFailed) as told:
            await real.complete(asking(), attempt(), lambda: handed.append(True))
        assert (told.value.reached, handed) == (False, [])
        assert real.problem() == "No AWS credentials were found."


async def test_region_that_is_missing_is_a_problem() -> None:
    async with opened(Upstream("", "", problem="AWS_REGION is not set.")) as unusable:
        assert unusable.problem() == "AWS_REGION is not set."
        assert unusable.list_models() == ()


async def test_reasoning_goes_back_as_it_came(provider: BedrockProvider) -> None:
    """The sandbox refuses a thought that was changed."""
    made = attempt(
        "anthropic.claude-sonnet-4-5-20250929-v1:0", reasoning=ReasoningPlan(Control.BUDGET, budget_tokens=1024)
    )
    tools = (Tool("get", parameters_json='{"type":"object"}'),)
    question = Message(Role.USER, (Text('Look. [[reasoning=20]] [[tool=get {"a":1}]]'),))
    answer = await asked(provider, made, CompletionRequest("fast", (question,), tools))
    said = answer.choices[0].message
    assert said.reasoning[0].signature
    result = Message(Role.TOOL, (Text("42"),), tool_call_id=said.tool_calls[0].id)
    assert (await asked(provider, made, CompletionRequest("fast", (question, said, result), tools))).choices


async def test_reasoning_is_shown_to_who_asks(provider: BedrockProvider) -> None:
    made = attempt("anthropic.claude-opus-5-5", reasoning=ReasoningPlan(Control.EFFORT, Effort.HIGH))
    shown = await asked(provider, made, asking("Think. [[reasoning=9]]", reasoning=Reasoning(include=True)))
    hidden = await asked(provider, made, asking("Think. [[reasoning=9]]"))
    assert [bool(answer.choices[0].message.reasoning[0].text) for answer in (shown, hidden)] == [True, False]


@pytest.mark.parametrize(
    ("model", "inputs", "dimensions", "size"),
    [
        ("amazon.titan-embed-text-v1", ("a",), None, 1536),
        ("amazon.titan-embed-text-v2:0", ("a",), 256, 256),
        ("cohere.embed-english-v3", ("a", "b"), None, 1024),
        ("us.cohere.embed-v4:0", ("a", "b"), 512, 512),
    ],
)
async def test_embeddings(
    provider: BedrockProvider, model: str, inputs: tuple[str, ...], dimensions: int | None, size: int
) -> None:
    answer = await provider.embed(EmbeddingRequest("e", inputs, dimensions), attempt(model), nothing)
    assert [len(vector) for vector in answer.vectors] == [4 * size] * len(inputs)
    assert answer.usage is not None
    assert answer.usage.input_tokens > 0


async def test_models_are_listed_with_their_profiles(provider: BedrockProvider) -> None:
    await eventually(lambda: bool(provider.list_models()))
    names = {model.model for model in provider.list_models()}
    assert {"anthropic.claude-opus-5-5", "us.anthropic.claude-opus-5-5"} <= names


@pytest.mark.parametrize("model", ["", "..", "/x", "a b", "a\r\nX: y", "é", "x" * 2049, "?x=1", "%2e"])
async def test_what_is_no_id_of_a_model_is_refused_before_anything_is_sent(
    provider: BedrockProvider, model: str
) -> None:
    with pytest.raises(ModelNotFound) as told:
        await asked(provider, attempt(model))
    assert not told.value.reached


async def test_refusal_comes_with_the_first_step_of_a_stream(provider: BedrockProvider, sandbox: Sandbox) -> None:
    stream = provider.stream(asking(seed=1), attempt(), nothing)
    with pytest.raises(UnsupportedParameter):
        await anext(stream)


async def test_thousand_streams_at_once_are_answered_whole(provider: BedrockProvider) -> None:
    """And none of them holds more than it needs."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    whole = await streamed(provider, attempt("sandbox-tokens-20"))
    texts = await asyncio.gather(*(streamed(provider, attempt("sandbox-tokens-20-pace-40")) for _ in range(STREAMS)))
    assert set(texts) == {whole}
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200 * STREAMS  # KiB


async def test_stream_that_is_closed_closes_the_connection(provider: BedrockProvider, sandbox: Sandbox) -> None:
    made = Attempt("b" * 32, "c" * 32, 1, Caller("t1"), "bedrock", "sandbox-tokens-2000-pace-50")
    async with aclosing(provider.stream(asking(), made, nothing)) as batches:  # type: ignore[type-var]
        async for batch in batches:
            if batch.chunks:
                break
    call = await sandbox.wait_for_call(lambda call: call.closed_time is not None, request_id="b" * 32)
    assert call.closed_time is not None


class Vendor:
    """Answers any request with the same bytes, and counts connections."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                [length] = [
                    int(line.partition(b":")[2])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length:")
                ]
                await reader.readexactly(length)
                writer.write(self._answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@asynccontextmanager
async def vendor(status: str, body: bytes) -> AsyncIterator[tuple[Vendor, BedrockProvider]]:
    made = Vendor(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body))
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, opened(Upstream(f"http://127.0.0.1:{port}", "us-east-1", SecretStr("t"))) as real:
        yield made, real


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"<html>", b'{"output":{"message":{"content":[]}}}', b"[" * 100_000, b"\xff"]
)
async def test_answer_that_cannot_be_understood_is_malformed(body: bytes) -> None:
    async with vendor("200 OK", body) as (_, real):
        with pytest.raises(Malformed):
            await asked(real, attempt())


@pytest.mark.parametrize("reason", ["malformed_model_output", "malformed_tool_use"])
async def test_answer_that_aws_itself_cannot_read_is_malformed_and_counted(
    provider: BedrockProvider, reason: str
) -> None:
    request = asking(f"Stumble. [[tokens=7]] [[finish_as={reason}]]")
    with pytest.raises(Malformed) as whole:
        await asked(provider, attempt(), request)
    assert whole.value.usage is not None
    assert whole.value.usage.output_tokens == 7
    batches: list[Batch] = []

    async def collect() -> None:
        async for batch in provider.stream(request, attempt(), nothing):
            batches.append(batch)

    with pytest.raises(Malformed):
        await asyncio.wait_for(collect(), 10)
    assert not any(chunk.finish_reason for batch in batches for chunk in batch.chunks)
    assert [batch.usage for batch in batches if batch.usage is not None] == [whole.value.usage]


async def test_page_in_place_of_a_stream_is_malformed() -> None:
    async with vendor("200 OK", b"<html><body>Welcome to the network.</body></html>") as (_, real):
        with pytest.raises(Malformed):
            await streamed(real, attempt())


async def test_status_without_a_type_is_told_by_the_status() -> None:
    async with vendor("502 Bad Gateway", b"<html>") as (_, real):
        with pytest.raises(Unavailable) as told:
            await asked(real, attempt())
        assert told.value.provider_status == 502


async def test_connection_is_used_again_after_whole_answers_and_refusals() -> None:
    body = msgspec.json.encode({"output": {"message": {"content": [{"text": "a"}]}}, "stopReason": "end_turn"})
    async with vendor("200 OK", body) as (made, real):
        for _ in range(3):
            await asked(real, attempt())
        assert made.connections == 1
    async with vendor("429 Too Many Requests", b"{}") as (made, real):
        for _ in range(3):
            with pytest.raises(Exception, match="429"):
                await asked(real, attempt())
        assert made.connections == 1


async def test_nobody_at_the_address_is_unavailable_and_unreached(unused_tcp_port: int) -> None:
    async with opened(Upstream(f"http://127.0.0.1:{unused_tcp_port}", "us-east-1", SecretStr("t"))) as real:
        with pytest.raises(Unavailable) as told:
            await asked(real, attempt())
        assert not told.value.reached
