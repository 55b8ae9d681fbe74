"""What 'auto' asks of a model, what it gets, and what is said of it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from omnix.completion.v1 import completion_pb2 as pb
from omnix.router.v1 import router_service_pb2, selection_pb2
from omnix_kit.errors import OmnixError, Reason
from omnix_kit.testing import NatsServer, eventually
from omnix_router.catalogue.models import Effort, Mode
from omnix_router.choosing.auto import Request, eased, requirements_of
from omnix_router.choosing.convert import request_from_proto
from omnix_router.convert import needs_of, wish_from_proto
from omnix_router.reasoning import Wish

from .fakes import LONG, FakeAdapter, Router, fail, running

CATALOGUE = """
provider = "lab"

[[models]]
model = "small"
context_window = 10000
max_output_tokens = 2000
capabilities = ["text", "system", "streaming"]
quality = { score = 66, as_of = 2026-11-22 }
prices = [{ since = 2026-01-01, input = 1, output = 1 }]

[[models]]
model = "able"
context_window = 100000
max_output_tokens = 20000
capabilities = ["text", "image", "system", "tools", "json_schema", "reasoning", "streaming"]
reasoning = { control = "effort", efforts = ["low", "high"], modes = { flash = "low", think = "high" } }
quality = { score = 75, as_of = 2026-11-22 }
prices = [{ since = 2026-01-01, input = 4, output = 4 }]

[[models]]
provider = "works"
model = "strong"
context_window = 1000000
max_output_tokens = 100000
capabilities = ["text", "image", "file", "system", "tools", "json_schema", "reasoning", "streaming"]
reasoning = { control = "effort", efforts = ["low", "max"], modes = { think = "low", ultra-think = "max" } }
quality = { score = 85, as_of = 2026-11-22 }
prices = [{ since = 2026-01-01, input = 20, output = 20 }]

[[models]]
provider = "toys"
model = "free"
context_window = 1000000
max_output_tokens = 100000
capabilities = ["text", "image", "audio", "system", "tools", "streaming"]
quality = { score = 99, as_of = 2026-11-22 }
prices = [{ since = 2026-01-01, input = 0, output = 0 }]

[[models]]
model = "vectors"
context_window = 8000
capabilities = ["text", "embeddings"]
prices = [{ since = 2026-01-01, input = 1, output = 0 }]
"""


@dataclass(frozen=True)
class Chosen:
    router: Router
    lab: FakeAdapter
    works: FakeAdapter


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chosen(tmp_path_factory: pytest.TempPathFactory, nats: NatsServer) -> AsyncIterator[Chosen]:
    folder = tmp_path_factory.mktemp("auto")
    (folder / "catalogue.toml").write_text(CATALOGUE)
    lab, works, toys = FakeAdapter("lab"), FakeAdapter("works"), FakeAdapter("toys", sandbox=True)
    async with lab, works, toys:
        adapters = f"lab={lab.address},works={works.address},toys={toys.address}"
        files = {"OMNIX_CATALOGUE_FILE": str(folder / "catalogue.toml")}
        async with running(folder, nats, adapters, **files) as router:
            await eventually(lambda: router.log().count("an adapter serves a provider") == 3)
            yield Chosen(router, lab, works)


@pytest.fixture(autouse=True)
def forgetful(request: pytest.FixtureRequest) -> None:
    if "chosen" in request.fixturenames:
        found: Chosen = request.getfixturevalue("chosen")
        found.lab.forget()
        found.works.forget()


def said(text: str = "hello", **fields: Any) -> pb.CompletionRequest:
    request = pb.CompletionRequest(**fields)
    request.messages.add(role=pb.ROLE_USER).parts.add(text=text)
    return request


def seen() -> pb.CompletionRequest:
    request = said()
    request.messages[0].parts.add(image=pb.Image(data=b"x", media_type="image/png"))
    return request


def heard() -> pb.CompletionRequest:
    request = said()
    request.messages[0].parts.add(audio=pb.Audio(data=b"x"))
    return request


@pytest.mark.parametrize(
    ("name", "request_", "model"),
    [
        ("auto", said(), "lab/small"),
        ("auto:flash", said(), "lab/small"),
        ("auto:think", said(), "lab/able"),
        ("auto:ultra-think", said(), "works/strong"),
        ("auto", said(compute_mode=pb.COMPUTE_MODE_ULTRA_THINK), "works/strong"),
        ("auto", said(reasoning=pb.Reasoning(effort=pb.Reasoning.EFFORT_MEDIUM)), "lab/able"),
        ("auto", said(tools=[pb.Tool(name="f", parameters_json="{}")]), "lab/able"),
        ("auto", said("long " * 10_000), "lab/able"),
        ("auto", said("longer " * 100_000), "works/strong"),
        ("auto", said(max_output_tokens=50_000), "works/strong"),
        ("auto", seen(), "lab/able"),
        ("auto", heard(), "toys/free"),
        ("auto", said(provider_preferences=pb.ProviderPreferences(only=["works"])), "works/strong"),
        ("auto", said(provider_preferences=pb.ProviderPreferences(ignore=["lab", "works"])), "toys/free"),
    ],
)
@pytest.mark.asyncio(loop_scope="module")
async def test_auto_is_the_cheapest_that_fits(
    chosen: Chosen, name: str, request_: pb.CompletionRequest, model: str
) -> None:
    answer = await chosen.router.complete(name, request=request_)
    assert answer.model == model


@pytest.mark.asyncio(loop_scope="module")
async def test_auto_fails_over_to_another_provider(chosen: Chosen) -> None:
    chosen.lab.script = [fail(Reason.PROVIDER_AUTH_FAILED, status=401, provider="lab")]
    answer = await chosen.router.complete("auto")
    assert [f"{one.provider}/{one.model} {one.error_reason}".rstrip() for one in answer.attempts] == [
        "lab/small PROVIDER_AUTH_FAILED",
        "works/strong",
    ]
    assert chosen.works.calls[0].attempt.route == "auto"
    assert (await chosen.router.start("auto")).model == "lab/small"


@pytest.mark.asyncio(loop_scope="module")
async def test_auto_that_nothing_fits_says_what_is_lacking(chosen: Chosen) -> None:
    request = said(max_output_tokens=200_000)
    with pytest.raises(OmnixError) as caught:
        await chosen.router.complete("auto", request=request)
    assert caught.value.reason is Reason.INVALID_REQUEST
    assert caught.value.param == "model"
    assert "2 cannot answer at such length" in caught.value.message


@pytest.mark.asyncio(loop_scope="module")
async def test_auto_makes_no_vectors(chosen: Chosen) -> None:
    with pytest.raises(OmnixError, match="Vectors of different models cannot be compared") as caught:
        await chosen.router.embed("auto")
    assert caught.value.reason is Reason.INVALID_REQUEST


async def select(router: Router, page_size: int = 0, **fields: Any) -> router_service_pb2.SelectModelsResponse:
    fields.setdefault("type", selection_pb2.Requirements.MODEL_TYPE_CHAT)
    request = router_service_pb2.SelectModelsRequest(
        requirements=selection_pb2.Requirements(**fields),
        page_size=page_size,
    )
    return await router.remote.call(router.stub.SelectModels, request, timeout=LONG)


@pytest.mark.asyncio(loop_scope="module")
async def test_selection_tells_order_cost_and_reasons(chosen: Chosen) -> None:
    found = await select(chosen.router, quality_floor=70, capabilities=["tools"], page_size=2)
    assert [choice.id for choice in found.choices] == ["lab/able", "works/strong"]
    assert found.total == 3
    assert {rejection.lack: rejection.count for rejection in found.rejections} == {"type": 1, "capabilities": 1}
    able, strong = found.choices
    assert (able.cost_micros, strong.cost_micros) == (6_000, 30_000)
    assert (able.quality, able.quality_time.ToDatetime().year) == (75, 2026)
    assert able.score > strong.score
    assert list(strong.reasons) == [
        "A request costs about $0.03, 5 times the cheapest that fits.",
        "Its quality is 85 of 100 (2026-11-22); the floor is 70.",
        "It was not called lately, so its latency is not known.",
        "It can do tools.",
    ]
    assert found.recommendation.startswith("Take lab/able. A request costs about $0.006, the least of")
    assert "Left out: 1 are for something else; 1 cannot do what is required." in found.recommendation


@pytest.mark.asyncio(loop_scope="module")
async def test_selection_of_embeddings_counts_what_is_fed(chosen: Chosen) -> None:
    found = await select(chosen.router, type=selection_pb2.Requirements.MODEL_TYPE_EMBEDDINGS, input_tokens=3_000)
    assert [(choice.id, choice.cost_micros) for choice in found.choices] == [("lab/vectors", 3_000)]


@pytest.mark.asyncio(loop_scope="module")
async def test_selection_that_nothing_fits_recommends_nothing(chosen: Chosen) -> None:
    found = await select(chosen.router, quality_floor=100)
    assert (list(found.choices), found.recommendation) == ([], "")
    assert sum(rejection.count for rejection in found.rejections) == 5


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"type": selection_pb2.Requirements.MODEL_TYPE_UNSPECIFIED}, "type"),
        ({"capabilities": ["telepathy"]}, "capabilities"),
        ({"context_tokens": -1}, "context_tokens"),
        ({"max_cost_micros": -1}, "max_cost_micros"),
        ({"quality_floor": 101}, "quality_floor"),
        ({"quality_floor": float("nan")}, "quality_floor"),
        ({"compute_mode": pb.COMPUTE_MODE_UNSPECIFIED}, "mode"),
    ],
)
@pytest.mark.asyncio(loop_scope="module")
async def test_requirement_that_is_none_is_refused_by_name(chosen: Chosen, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(OmnixError) as caught:
        await select(chosen.router, **fields)
    assert (caught.value.reason, caught.value.param) == (Reason.INVALID_REQUEST, param)


async def test_model_whose_circuit_is_open_is_left_out(tmp_path: Path, nats: NatsServer) -> None:
    (tmp_path / "catalogue.toml").write_text(CATALOGUE)
    async with FakeAdapter("works") as works:
        settings = {"OMNIX_CATALOGUE_FILE": str(tmp_path / "catalogue.toml"), "OMNIX_CIRCUIT_FAILURES": "2"}
        async with running(tmp_path, nats, f"works={works.address}", **settings) as router:
            await eventually(lambda: "an adapter serves a provider" in router.log())
            works.script = [fail(Reason.PROVIDER_UNAVAILABLE, status=500, provider="works")] * 2
            with pytest.raises(OmnixError):
                await router.complete("works/strong")

            async def is_left_out() -> bool:
                found = await select(router)
                return {rejection.lack: rejection.count for rejection in found.rejections} == {"unavailable": 1}

            await eventually(is_left_out)


@pytest.mark.parametrize(
    ("wish", "floor", "output", "mode"),
    [
        (Wish(), 65, 500, None),
        (Wish(max_output_tokens=100), 65, 100, None),
        (Wish(mode=Mode.FLASH), 60, 300, Mode.FLASH),
        (Wish(mode=Mode.THINK), 70, 2_000, Mode.THINK),
        (Wish(mode=Mode.ULTRA_THINK, max_output_tokens=50_000), 80, 8_000, Mode.ULTRA_THINK),
        (Wish(effort=Effort.NONE), 60, 300, None),
        (Wish(effort=Effort.XHIGH, mode=Mode.FLASH), 80, 8_000, None),
        (Wish(budget=0), 60, 300, None),
        (Wish(budget=5_000), 70, 2_000, None),
    ],
)
def test_reasoning_that_is_asked_says_how_good_and_how_long(
    wish: Wish, floor: float, output: int, mode: Mode | None
) -> None:
    required = requirements_of(Request(wish=wish))
    assert (required.quality_floor, required.output_tokens, required.mode) == (floor, output, mode)


def test_what_the_request_needs_is_never_given_up() -> None:
    required = requirements_of(Request(frozenset({"tools"}), 1_000, Wish(mode=Mode.THINK), frozenset({"lab"})))
    steps = list(eased(required))
    assert [(step.quality_floor, step.mode) for step in steps] == [(70, Mode.THINK), (None, Mode.THINK), (None, None)]
    for step in steps:
        assert (step.capabilities, step.context_tokens, step.providers) == (
            frozenset({"tools"}),
            3_250,
            frozenset({"lab"}),
        )


def test_prompt_is_estimated_from_everything_in_it() -> None:
    request = said("x" * 400)
    request.messages[0].parts.add(image=pb.Image(data=b"x" * 9_999))
    request.messages.add(role=pb.ROLE_ASSISTANT).tool_calls.add(name="name", arguments_json="y" * 36)
    request.tools.add(name="name", description="z" * 32, parameters_json="{}" * 2)
    request.response_format.schema_json = "s" * 40
    found = request_from_proto(request, needs_of(request, streamed=True), wish_from_proto(request))
    assert found.input_tokens == (400 + 40 + 40 + 40) // 4 + 1_000
    assert found.capabilities == {"image", "tools", "streaming"}
