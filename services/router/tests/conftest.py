from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from omnix_kit.testing import NatsServer, eventually, nats_server

from .fakes import FakeAdapter, Router, running

ROUTES = """
providers = ["other"]

[routes.pair]
targets = ["openai/gpt-4o", "other/model"]

[routes.quick]
targets = ["openai/gpt-4o", "other/model"]
first_content_timeout = "300ms"
idle_timeout = "7s"

[routes.patient]
first_content_timeout = { flash = "5s", ultra-think = "2.5m" }
targets = ["lab/counted"]

[routes.hedged]
targets = ["openai/gpt-4o", "other/model"]
hedge_after = "300ms"

[routes.larger]
targets = ["openai/gpt-4o", "openai/gpt-4o-mini", "openai/gpt-4.1"]

[routes."team-a/*"]
targets = ["openai/*"]

[routes.thoughtful]
targets = ["lab/plain", "lab/counted", "lab/named"]

[routes.exact]
targets = ["lab/counted"]
strict_reasoning = true

[routes.unable]
targets = ["lab/plain", "lab/vectors"]

[routes.cheap]
policy = "cheapest"
targets = ["openai/gpt-4.1", "openai/gpt-4o-mini"]

[routes.kept]
policy = "weighted"
sticky = "conversation"
targets = ["openai/gpt-4o", "other/model"]

[routes.quickest]
policy = "fastest"
targets = ["openai/sandbox-slow", "other/quick"]

[routes.ruled]
targets = ["openai/gpt-4o"]

[[routes.ruled.rules]]
when = { mode = "think", metadata = { a = "b" }, tenant = "t" }
targets = ["other/thinking"]

[[routes.ruled.rules]]
when = { modality = "image" }
targets = ["other/seeing"]

[[routes.ruled.rules]]
when = { min_input_tokens = 1000 }
targets = ["other/long"]

[routes.points]
targets = ["lab/vectors", "other/vectors"]
"""
CATALOGUE = """
provider = "lab"

[[models]]
model = "plain"
capabilities = ["text"]

[[models]]
model = "dull"
capabilities = ["text", "streaming"]

[[models]]
model = "named"
aliases = ["word"]
max_output_tokens = 9000
capabilities = ["text", "image", "system", "tools", "json", "json_schema", "reasoning", "streaming", "logprobs"]
reasoning = { control = "effort", efforts = ["low", "medium", "high"], modes = { flash = "low", think = "medium" } }

[[models]]
model = "counted"
max_output_tokens = 40000
capabilities = ["text", "system", "file", "reasoning", "streaming"]
[models.reasoning]
control = "budget"
min_budget = 1024
max_budget = 32000
can_disable = true
modes = { flash = 0, think = 8000, ultra-think = 32000 }

[[models]]
model = "org/named:think"
capabilities = ["text", "streaming", "system"]

[[models]]
model = "unknown"

[[models]]
model = "vectors"
capabilities = ["embeddings"]
dimensions = [512, 256]
prices = [{ since = 2026-01-01, input = 0.1, output = 0 }]
"""


@pytest.fixture(scope="session")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server


@dataclass(frozen=True)
class Shared:
    """One router for all tests of a module: starting the process takes longer than most tests."""

    router: Router
    openai: FakeAdapter
    other: FakeAdapter


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory, nats: NatsServer) -> AsyncIterator[Shared]:
    folder = tmp_path_factory.mktemp("router")
    (folder / "routes.toml").write_text(ROUTES)
    (folder / "catalogue.toml").write_text(CATALOGUE)
    openai = FakeAdapter("openai", models=(("openai", "gpt-4o"), ("openai", "whisper-1")))
    other = FakeAdapter("other", "lab", sandbox=True, models=(("other", "model"),))
    async with openai, other:
        adapters = f"openai={openai.address},other={other.address}"
        files = {
            "OMNIX_ROUTES_FILE": str(folder / "routes.toml"),
            "OMNIX_CATALOGUE_FILE": str(folder / "catalogue.toml"),
        }
        async with running(folder, nats, adapters, **files) as router:
            # Ready means that one adapter was heard.
            await eventually(lambda: router.log().count("an adapter serves a provider") == 3)
            yield Shared(router, openai, other)


@pytest.fixture
def router(shared: Shared) -> Router:
    return shared.router


@pytest.fixture
def openai(shared: Shared) -> FakeAdapter:
    shared.openai.forget()
    return shared.openai


@pytest.fixture
def other(shared: Shared) -> FakeAdapter:
    shared.other.forget()
    return shared.other
