from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from omnix_kit.testing import NatsServer, nats_server
from omnix_provider.profile import Profile, Refused
from omnix_provider.testing import Place, scene
from omnix_sandbox.testing import Sandbox, running_sandbox

MODULE = "omnix_adapter_openai"
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
SAMPLING = (
    "log_probabilities",
    "stop_sequences",
    "sampling/temperature",
    "sampling/top_p",
    "sampling/frequency_penalty",
    "sampling/presence_penalty",
)
BUDGET = Refused("reasoning.budget_tokens", "the format knows efforts only")
MODE = Refused("mode", "only the catalogue knows what it means for a model")
PROFILE = Profile(
    provider="openai",
    title="OpenAI",
    model="gpt-5.6-terra",
    models={
        **dict.fromkeys(EMBEDDING, "text-embedding-3-small"),
        **dict.fromkeys(SAMPLING, "gpt-4.1"),
        "planned_effort/minimal": "gpt-5",
        "planned_effort/max": "gpt-6-sol",
    },
    refused={
        "sampling/top_k": Refused("top_k", "OpenAI has none; other servers may be configured to take it"),
        "film": Refused("messages.0.content.1", "the format has no films"),
        "result_with_image": Refused("messages.2.content", "OpenAI takes only text from tools"),
        "planned_budget": BUDGET,
        "planned_off/budget": BUDGET,
        "wished_budget": BUDGET,
        "wished_mode": MODE,
        "embedding_purpose": Refused("purpose", "the format has no word for it"),
    },
    provisos={
        "failed_result": "the format has no mark for it, so the result's words tell",
        "shown": "the format never shows reasoning",
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
