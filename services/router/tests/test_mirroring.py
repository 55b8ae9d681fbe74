"""Shadow copies: what the mirror's adapter sees of them, and that callers see nothing."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from omnix.common.v1.caller_pb2 import Caller
from omnix.completion.v1 import completion_pb2 as pb
from omnix.plugin.v1 import plugin_pb2
from omnix.router.v1 import router_service_pb2
from omnix.usage.v1 import usage_pb2
from omnix_kit.errors import OmnixError, Reason
from omnix_kit.ids import uuid7
from omnix_kit.testing import NatsServer, eventually, nats_server
from omnix_router import metrics
from omnix_router.adapters import Adapters
from omnix_router.catalogue.models import Catalogue
from omnix_router.clients import Asked
from omnix_router.health.circuits import Rules
from omnix_router.health.state import Health
from omnix_router.mirroring import Mirroring
from omnix_router.routing import Mirror, Plan

from .fakes import LONG, Call, FakeAdapter, Router, asked, fail, hang, running
from .scripted_plugin import ATTEMPT, ScriptedPlugin, saying, scripted

ROUTES = """
providers = ["other", "away"]

[plugins.guard]
address = "GUARD"

[routes.guarded]
plugins = ["guard"]
targets = ["openai/gpt-4o"]
mirror = { target = "other/model", share = 1 }

[routes.copied]
targets = ["openai/gpt-4o"]
mirror = { target = "other/model", share = 1 }

[routes.half]
targets = ["openai/gpt-4o"]
mirror = { target = "other/model", share = 0.5 }

[routes."team/*"]
targets = ["openai/*"]
mirror = { target = "other/*", share = 1 }

[routes.simple]
targets = ["openai/gpt-4o"]
mirror = { target = "lab/plain", share = 1 }

[routes.thoughtful]
targets = ["openai/gpt-5"]
mirror = { target = "lab/counted", share = 1 }

[routes.points]
targets = ["openai/text-embedding-3-small"]
mirror = { target = "lab/vectors", share = 1 }

[routes.unserved]
targets = ["openai/gpt-4o"]
mirror = { target = "away/model", share = 1 }

[routes.brief]
deadline = "300ms"
targets = ["openai/gpt-4o"]
mirror = { target = "other/model", share = 1 }

[routes.sick]
targets = ["openai/gpt-4o"]
mirror = { target = "other/sick", share = 1 }

[routes.barred]
targets = ["other/barred"]
mirror = { target = "openai/gpt-4o", share = 1 }
"""
CATALOGUE = """
provider = "lab"

[[models]]
model = "plain"
capabilities = ["text"]

[[models]]
model = "counted"
max_output_tokens = 40000
capabilities = ["text", "system", "reasoning"]
[models.reasoning]
control = "budget"
min_budget = 1024
max_budget = 32000
modes = { think = 8000 }

[[models]]
model = "vectors"
capabilities = ["embeddings"]
dimensions = [512]
prices = [{ since = 2026-01-01, input = 0.1, output = 0 }]
"""
AT_ONCE = 6
pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Pair:
    router: Router
    openai: FakeAdapter
    other: FakeAdapter
    guard: ScriptedPlugin

    async def copy(self, number: int = 1) -> Call:
        """The one that arrived as such."""
        await eventually(lambda: len(self.other.calls) >= number)
        return self.other.calls[number - 1]

    async def counted(self, sample: str) -> float:
        return await self.router.metric(f"omnix_router_shadow_copies_{sample}")

    async def none_runs(self) -> None:
        async def none() -> bool:
            return await self.counted("running") == 0

        await eventually(none)


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """Of its own: circuits that other tests opened would be known at a shared one."""
    with nats_server(tmp_path_factory.mktemp("mirror-nats")) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_pair(tmp_path_factory: pytest.TempPathFactory, nats: NatsServer) -> AsyncIterator[Pair]:
    folder = tmp_path_factory.mktemp("mirror")
    openai, other, guard = FakeAdapter("openai"), FakeAdapter("other", "lab"), scripted(ATTEMPT)
    (folder / "routes.toml").write_text(ROUTES.replace("GUARD", guard.address))
    (folder / "catalogue.toml").write_text(CATALOGUE)
    await guard.start()
    async with openai, other:
        variables = {
            "OMNIX_ROUTES_FILE": str(folder / "routes.toml"),
            "OMNIX_CATALOGUE_FILE": str(folder / "catalogue.toml"),
            "OMNIX_MIRRORED_AT_ONCE": str(AT_ONCE),
            "OMNIX_CIRCUIT_FAILURES": "2",
            "OMNIX_LOG_LEVEL": "DEBUG",
        }
        adapters = f"openai={openai.address},other={other.address}"
        async with running(folder, nats, adapters, **variables) as router:
            await eventually(lambda: router.log().count("an adapter serves a provider") == 3)
            await eventually(lambda: "a plugin is there" in router.log())
            yield Pair(router, openai, other, guard)
    await guard.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def pair(shared_pair: Pair) -> Pair:
    """As new, with no copy under way."""
    await shared_pair.none_runs()
    shared_pair.openai.forget()
    shared_pair.other.forget()
    shared_pair.guard.forget()
    return shared_pair


def told(
    answered: router_service_pb2.CompleteResponse
    | router_service_pb2.StartCompletionResponse
    | router_service_pb2.EmbedResponse,
) -> list[str]:
    return [f"{each.number} {each.provider}/{each.model} {each.error_reason}".rstrip() for each in answered.attempts]


async def test_copy_is_one_unary_attempt_that_the_answer_does_not_tell(pair: Pair) -> None:
    sent = await pair.counted('sent_total{provider="other"}')
    answered = await pair.router.complete("copied")
    assert (answered.model, answered.route, told(answered)) == ("openai/gpt-4o", "copied", ["1 openai/gpt-4o"])
    copy = await pair.copy()
    [real] = pair.openai.calls
    assert copy.request == real.request == asked("copied")
    attempt = copy.attempt
    assert (attempt.completion_id, attempt.number, attempt.route) == (real.attempt.completion_id, 1, "copied")
    assert (attempt.provider, attempt.model, attempt.purpose) == ("other", "model", usage_pb2.PURPOSE_SHADOW)
    assert (attempt.caller, attempt.attempt_id == real.attempt.attempt_id) == (real.attempt.caller, False)
    assert not real.attempt.HasField("purpose")
    await pair.none_runs()
    assert await pair.counted('sent_total{provider="other"}') == sent + 1
    assert await pair.router.metric('omnix_router_shadow_copy_seconds_count{provider="other"}') >= 1


async def test_streams_are_copied_as_whole_answers(pair: Pair) -> None:
    answered = await pair.router.start("copied")
    assert told(answered) == ["1 openai/gpt-4o"]
    copy = await pair.copy()
    assert (copy.stream, copy.attempt.purpose) == (None, usage_pb2.PURPOSE_SHADOW)
    assert copy.attempt.completion_id == pair.openai.calls[0].attempt.completion_id


async def test_embeddings_are_copied_at_the_mirrors_price(pair: Pair) -> None:
    assert told(await pair.router.embed("points")) == ["1 openai/text-embedding-3-small"]
    attempt = (await pair.copy()).attempt
    assert (attempt.provider, attempt.model, attempt.purpose) == ("lab", "vectors", usage_pb2.PURPOSE_SHADOW)
    assert attempt.price.input_micros_per_million == 100_000


async def test_star_of_a_mirror_is_what_the_routes_stands_for(pair: Pair) -> None:
    assert (await pair.router.complete("team/gpt-4o")).model == "openai/gpt-4o"
    assert (await pair.copy()).attempt.model == "gpt-4o"


async def test_reasoning_is_planned_for_the_mirror(pair: Pair) -> None:
    await pair.router.complete("thoughtful", request=pb.CompletionRequest(compute_mode=pb.COMPUTE_MODE_THINK))
    plan = (await pair.copy()).attempt.reasoning
    assert (plan.control, plan.budget_tokens) == (pb.ReasoningPlan.CONTROL_BUDGET, 8000)


async def test_failing_copies_are_neither_seen_nor_held_against_their_target(pair: Pair) -> None:
    name = 'failed_total{provider="other",reason="PROVIDER_UNAVAILABLE"}'
    attempts = 'omnix_router_attempts_total{outcome="failed",provider="other",reason="PROVIDER_UNAVAILABLE"}'
    budget = await pair.router.metric("omnix_router_retry_budget_left")
    before = await pair.counted(name)
    pair.other.script = [fail(Reason.PROVIDER_UNAVAILABLE, status=503, provider="other")] * 4
    for number in range(1, 5):
        assert told(await pair.router.complete("copied")) == ["1 openai/gpt-4o"]
        await pair.copy(number)
    await pair.none_runs()
    # Once each, and a circuit opens after two failures in a row.
    assert len(pair.other.calls) == 4
    assert await pair.counted(name) == before + 4
    assert await pair.router.metric(attempts) == 0
    assert await pair.router.metric("omnix_router_circuits_not_closed") == 0
    assert await pair.router.metric("omnix_router_retry_budget_left") >= budget
    [line] = [line for line in pair.router.log().splitlines() if pair.other.calls[0].attempt.attempt_id in line]
    assert "a shadow copy failed" in line
    assert pair.other.calls[0].attempt.completion_id in line
    health = await pair.router.remote.call(
        pair.router.stub.ListProviderHealth, router_service_pb2.ListProviderHealthRequest(), timeout=LONG
    )
    assert "other" not in [each.provider for each in health.providers if each.targets]


async def test_slow_copy_delays_nobody_and_ends_with_a_cancelled_completion(pair: Pair) -> None:
    pair.other.script = [hang]
    assert told(await pair.router.complete("copied")) == ["1 openai/gpt-4o"]
    copy = await pair.copy()
    assert not copy.cancelled.is_set()
    await pair.router.cancel(copy.attempt.completion_id, "test")
    async with asyncio.timeout(5):
        await copy.cancelled.wait()
    await pair.none_runs()


async def test_caller_that_leaves_ends_the_copy(pair: Pair) -> None:
    pair.openai.script, pair.other.script = [hang], [hang]
    going = asyncio.create_task(pair.router.complete("copied"))
    copy = await pair.copy()
    going.cancel()
    async with asyncio.timeout(5):
        await copy.cancelled.wait()
        await pair.openai.calls[0].cancelled.wait()


async def test_copy_goes_on_when_the_answer_fails_and_until_the_routes_deadline(pair: Pair) -> None:
    name = 'failed_total{provider="other",reason="DEADLINE_EXCEEDED"}'
    before = await pair.counted(name)
    pair.other.script = [hang]

    async def fail_beside(call: Call) -> None:
        await pair.copy()
        await fail(Reason.CONTENT_REFUSED, status=400)(call)

    pair.openai.script = [fail_beside]
    with pytest.raises(OmnixError):
        await pair.router.complete("brief")
    copy = await pair.copy()
    async with asyncio.timeout(5):
        await copy.cancelled.wait()
    await pair.none_runs()
    assert await pair.counted(name) == before + 1


async def test_no_more_copies_run_than_may(pair: Pair) -> None:
    before = await pair.counted('skipped_total{cause="room"}')
    pair.other.script = [hang] * AT_ONCE
    for number in range(1, AT_ONCE + 1):
        await pair.router.complete("copied")
        await pair.copy(number)
    for _ in range(3):
        assert told(await pair.router.start("copied")) == ["1 openai/gpt-4o"]
    assert await pair.counted("running") == AT_ONCE
    assert await pair.counted('skipped_total{cause="room"}') == before + 3
    assert len(pair.other.calls) == AT_ONCE
    for call in pair.other.calls:
        await pair.router.cancel(call.attempt.completion_id, "test")
    await pair.none_runs()


def tools() -> pb.CompletionRequest:
    return pb.CompletionRequest(tools=[pb.Tool(name="f", parameters_json="{}")])


def only(provider: str) -> pb.CompletionRequest:
    return pb.CompletionRequest(provider_preferences=pb.ProviderPreferences(only=[provider]))


@pytest.mark.parametrize(
    ("route", "more", "cause"),
    [
        ("simple", tools(), "unfit"),
        ("points-of-chat", None, "unfit"),
        ("copied", only("openai"), "preferences"),
        ("unserved", None, "unserved"),
    ],
)
async def test_copy_that_cannot_be_or_must_not_be_is_skipped(
    pair: Pair, route: str, more: pb.CompletionRequest | None, cause: str
) -> None:
    before = await pair.counted(f'skipped_total{{cause="{cause}"}}')
    if route == "points-of-chat":
        await pair.router.embed("points", dimensions=256)
    else:
        assert told(await pair.router.complete(route, request=more)) == ["1 openai/gpt-4o"]
    await pair.none_runs()
    assert await pair.counted(f'skipped_total{{cause="{cause}"}}') == before + 1
    assert pair.other.calls == []


async def test_plugins_are_asked_before_a_copy_and_may_keep_it_back(pair: Pair) -> None:
    pair.guard.attempt = saying("redacted")
    await pair.router.complete("guarded")
    copy = await pair.copy()
    assert isinstance(copy.request, pb.CompletionRequest)
    assert copy.request.messages[0].parts[0].text == "redacted"
    assert [(each.provider, each.attempt) for each in pair.guard.attempts] == [("openai", 1), ("other", 1)]
    await pair.none_runs()
    pair.guard.attempt = lambda request: plugin_pb2.Refusal(message="no") if len(pair.guard.attempts) == 4 else None
    assert told(await pair.router.complete("guarded")) == ["1 openai/gpt-4o"]
    await pair.none_runs()
    assert (len(pair.other.calls), await pair.counted('skipped_total{cause="plugin"}')) == (1, 1)


async def test_copy_of_a_stream_needs_no_model_that_streams(pair: Pair) -> None:
    await pair.router.start("simple")
    assert (await pair.copy()).attempt.model == "plain"


async def opened(pair: Pair, model: str) -> None:
    """Its circuit."""
    pair.other.script = [fail(Reason.PROVIDER_UNAVAILABLE, status=503, provider="other")] * 2
    with pytest.raises(OmnixError):
        await pair.router.complete(model)
    assert len(pair.other.calls) == 2


async def test_target_whose_circuit_is_open_gets_no_copy(pair: Pair) -> None:
    await opened(pair, "other/sick")
    await pair.router.complete("sick")
    await pair.none_runs()
    assert (len(pair.other.calls), await pair.counted('skipped_total{cause="circuit"}')) == (2, 1)


async def test_completion_that_is_refused_without_an_attempt_has_no_copy(pair: Pair) -> None:
    await opened(pair, "other/barred")
    with pytest.raises(OmnixError):
        await pair.router.complete("barred")
    await pair.none_runs()
    assert (pair.openai.calls, await pair.counted('skipped_total{cause="over"}')) == ([], 1)


async def test_about_the_share_of_requests_is_copied(pair: Pair) -> None:
    requests, room = 200, 'skipped_total{cause="room"}'
    before = await pair.counted(room)
    for _ in range(requests):
        await pair.router.complete("half")
    await pair.none_runs()
    wanted = len(pair.other.calls) + await pair.counted(room) - before
    # Six standard deviations.
    assert abs(wanted - requests / 2) < 43


@pytest.mark.asyncio(loop_scope="function")
@settings(max_examples=30, deadline=None)
@given(share=st.floats(0.001, 1.0), seed=st.integers(0, 2**32))
async def test_share_holds_in_the_long_run(share: float, seed: int) -> None:
    adapters = Adapters((), Catalogue({}), LONG, LONG)
    # There is no room, so that each copy that is wanted is counted and none is made.
    mirroring = Mirroring(adapters, Health(Rules(), "r"), 0, LONG, chance=random.Random(seed).random)
    plan, requests = Plan((), "r", mirror=Mirror("a/b", share)), 3000
    asked = Asked(uuid7(), Caller(), pb.CompletionRequest())
    counted = metrics.COPIES_SKIPPED.labels("room")
    before = counted._value.get()
    for _ in range(requests):
        with mirroring.beside(asked, plan):
            pass
    deviation = (requests * share * (1 - share)) ** 0.5
    assert abs(counted._value.get() - before - requests * share) <= 6 * deviation + 1


async def test_copies_are_ended_on_sigterm(tmp_path: Path, nats: NatsServer) -> None:
    routes = tmp_path / "routes.toml"
    routes.write_text(ROUTES.replace("GUARD", "127.0.0.1:9"))
    (tmp_path / "catalogue.toml").write_text(CATALOGUE)
    openai, other = FakeAdapter("openai"), FakeAdapter("other", "lab")
    variables = {"OMNIX_ROUTES_FILE": str(routes), "OMNIX_CATALOGUE_FILE": str(tmp_path / "catalogue.toml")}
    adapters = f"openai={openai.address},other={other.address}"
    async with openai, other:
        async with running(tmp_path, nats, adapters, OMNIX_GRACE="30s", **variables) as router:
            await eventually(lambda: router.log().count("an adapter serves a provider") == 3)
            other.script = [hang]
            await router.complete("copied", timeout=timedelta(seconds=10))
            await eventually(lambda: len(other.calls) == 1)
        # The process left with code 0, long before its grace was over.
        async with asyncio.timeout(5):
            await other.calls[0].cancelled.wait()
