from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from omnix_kit.errors import Reason
from omnix_kit.testing import NatsServer, nats_server
from omnix_provider.profile import Profile, Refused, Told
from omnix_provider.testing import Place, scene
from omnix_sandbox.testing import Sandbox, running_sandbox

MODULE = "omnix_adapter_gemini"
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
BUDGETED = ("alternatives", "planned_budget", "planned_off/budget", "planned_off/switch", "wished_budget")
MODE = Refused("mode", "only the catalogue knows what it means for a model")
OVERLOADED = "Google's error within a stream is 503 `UNAVAILABLE`, which says overloaded"
PROFILE = Profile(
    provider="gemini",
    title="Google Gemini",
    model="gemini-3.8-flash",
    models={
        **dict.fromkeys(EMBEDDING, "gemini-embedding-001"),
        **dict.fromkeys(BUDGETED, "gemini-2.5-flash"),
        "planned_effort/minimal": "gemini-3-flash-preview",
        "planned_effort/xhigh": "sandbox-chat",
    },
    refused={
        "names_of_speakers": Refused("messages.0.name", "Gemini has no place for it"),
        "one_call_at_a_time": Refused("parallel_tool_calls", "Gemini cannot be told"),
        "planned_effort/max": Refused("reasoning_effort", "Gemini has no such level"),
        "planned_off/effort": Refused("reasoning_effort", "levels cannot be off"),
        "wished_mode": MODE,
        "embedding_of_tokens": Refused("input.0", "Gemini takes texts"),
    },
    told={
        "refused_by_the_vendor/context": Told(
            "Google has no mark for it; told as too long only where OmniX's own estimate agrees",
            reason=Reason.INVALID_REQUEST,
        ),
        "refused_by_the_vendor/504": Told(
            "Google's `DEADLINE_EXCEEDED` is the model's, not a proxy's", reason=Reason.PROVIDER_TIMEOUT
        ),
        "failed_before_content/error-after-0": Told(OVERLOADED, reason=Reason.PROVIDER_OVERLOADED),
        "failed_in_the_middle/error-after-5": Told(OVERLOADED, reason=Reason.PROVIDER_OVERLOADED),
    },
    provisos={
        "end_user": "Gemini has no place for it",
        "cache_breakpoint": "Gemini caches by itself, and is told nothing",
        "long_cache_breakpoint": "Gemini caches by itself, and is told nothing",
        "refusal": "Gemini has no word for it, so it is text",
        "cache_write_tokens": "Gemini caches by itself and does not tell what it wrote",
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
