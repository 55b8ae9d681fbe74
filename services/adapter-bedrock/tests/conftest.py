from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from omnix_kit.errors import Reason
from omnix_kit.testing import NatsServer, nats_server
from omnix_provider.profile import Profile, Refused, Told
from omnix_provider.testing import Place, scene
from omnix_sandbox.testing import Sandbox, running_sandbox

MODULE = "omnix_adapter_bedrock"
EMBEDDING = (
    "embedding",
    "embeddings",
    "embedding_dimensions",
    "embedding_usage",
    "embedding_purpose",
    "embedding_of_tokens",
    "embedding_refused_by_the_vendor",
    "malformed_embedding",
    "left_embedding",
)
MODE = Refused("mode", "only the catalogue knows what it means for a model")
PROFILE = Profile(
    provider="bedrock",
    title="Amazon Bedrock",
    model="us.anthropic.claude-opus-4-6-v1",
    models={
        **dict.fromkeys(EMBEDDING, "cohere.embed-v4:0"),
        "planned_off/effort": "us.anthropic.claude-sonnet-5",
        "planned_off/switch": "us.anthropic.claude-sonnet-5",
    },
    refused={
        "alternatives": Refused("n", "Converse gives one answer"),
        "log_probabilities": Refused("logprobs", "Converse tells none"),
        "names_of_speakers": Refused("messages.0.name", "Converse has no place for it"),
        "sampling/frequency_penalty": Refused("frequency_penalty", "Converse has none"),
        "sampling/presence_penalty": Refused("presence_penalty", "Converse has none"),
        "seed": Refused("seed", "Converse has none"),
        "json": Refused("response_format", "Converse knows JSON by a schema only"),
        "image_by_address": Refused(
            "messages.0.content.1", "Bedrock fetches from S3 only; the gateway fetches the rest"
        ),
        "image_detail": Refused("messages.0.content.1.image_url.detail", "Bedrock cannot be told"),
        "planned_effort/minimal": Refused("reasoning_effort", "Converse has no such effort"),
        "wished_mode": MODE,
        "embedding_of_tokens": Refused("input.0", "Bedrock takes texts"),
    },
    told={
        "refused_by_the_vendor/quota": Told("AWS says 400 `ServiceQuotaExceededException`", status=400),
        "refused_by_the_vendor/context": Told(
            "a `ValidationException` like any other, told by its text alone", reason=Reason.INVALID_REQUEST
        ),
    },
    provisos={
        "whole_answer": "Converse does not say which model answered",
        "refusal": "Converse has no word for it, so it is text",
        "reasoning_tokens": "Converse counts them in the output and does not tell them apart",
    },
)


@pytest.fixture(scope="module")
def profile() -> Profile:
    return PROFILE


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    async with running_sandbox(tmp_path_factory.mktemp("sandbox"), fsync=False, keep_requests=True) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(nats: NatsServer, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    data: Path = tmp_path_factory.mktemp("adapter")
    async with scene(MODULE, nats, data, {"OMNIX_SANDBOX_URL": sandbox.url}) as standing:
        yield standing
