"""What adapters are told of reasoning, and what callers are told of that."""

import pytest
from omnix.completion.v1 import completion_pb2 as pb
from omnix_kit.errors import OmnixError, Reason

from .fakes import FakeAdapter, Router, asked, fail

pytestmark = pytest.mark.asyncio(loop_scope="module")

ULTRA = pb.CompletionRequest(compute_mode=pb.COMPUTE_MODE_ULTRA_THINK)
THINK = pb.CompletionRequest(compute_mode=pb.COMPUTE_MODE_THINK)
HIGH = pb.CompletionRequest(reasoning=pb.Reasoning(effort=pb.Reasoning.EFFORT_HIGH))
PLAN = pb.ReasoningPlan


async def test_attempt_and_answer_carry_the_plan(router: Router, other: FakeAdapter) -> None:
    unary = await router.complete("lab/counted", request=THINK)
    streamed = await router.start("lab/counted", request=THINK)
    expected = PLAN(
        requested_mode=pb.COMPUTE_MODE_THINK,
        mode=pb.COMPUTE_MODE_THINK,
        control=PLAN.CONTROL_BUDGET,
        budget_tokens=8000,
    )
    assert unary.reasoning == streamed.reasoning == expected
    for call in other.calls:
        assert (call.attempt.reasoning, call.attempt.max_output_tokens) == (expected, 40_000)
        assert call.request == asked("lab/counted", THINK)


async def test_nothing_asked_tells_the_control_and_no_more(router: Router, other: FakeAdapter) -> None:
    assert (await router.complete("lab/named")).reasoning == PLAN(control=PLAN.CONTROL_EFFORT)
    assert (await router.complete("lab/plain")).reasoning == PLAN(control=PLAN.CONTROL_NONE)


async def test_model_that_the_catalogue_does_not_know_gets_no_plan(router: Router, other: FakeAdapter) -> None:
    for model in ("other/model", "lab/unknown"):
        response = await router.complete(model, request=THINK)
        assert not response.HasField("reasoning")
        assert not other.calls[-1].attempt.HasField("reasoning")
        assert other.calls[-1].attempt.max_output_tokens == 0


async def test_answer_says_what_was_done_in_place_of_what_was_asked(router: Router, other: FakeAdapter) -> None:
    before = await router.metric('omnix_router_reasoning_approximate_total{provider="lab"}')
    plan = (await router.complete("lab/named", request=ULTRA)).reasoning
    assert (plan.requested_mode, plan.HasField("mode")) == (pb.COMPUTE_MODE_ULTRA_THINK, False)
    assert plan.effort == pb.Reasoning.EFFORT_HIGH
    assert plan.note == "It cannot do ultra-think; effort high is the nearest."
    plain = (await router.complete("lab/plain", request=THINK)).reasoning
    assert (plain.mode, plain.note) == (pb.COMPUTE_MODE_FLASH, "It does not reason.")
    assert await router.metric('omnix_router_reasoning_approximate_total{provider="lab"}') == before + 2


async def test_failover_makes_a_new_plan_for_the_next_model(router: Router, other: FakeAdapter) -> None:
    other.script = [fail(Reason.PROVIDER_AUTH_FAILED)]
    response = await router.complete("thoughtful", request=HIGH)
    # The first target does not reason, so it is not asked at all.
    assert [call.attempt.model for call in other.calls] == ["counted", "named"]
    first, second = (call.attempt.reasoning for call in other.calls)
    assert (first.control, first.budget_tokens) == (PLAN.CONTROL_BUDGET, 24_576)
    assert (second.control, second.effort) == (PLAN.CONTROL_EFFORT, pb.Reasoning.EFFORT_HIGH)
    assert response.reasoning == second
    assert [call.attempt.max_output_tokens for call in other.calls] == [40_000, 9_000]


async def test_strict_route_refuses_what_can_be_done_only_nearly(router: Router, other: FakeAdapter) -> None:
    tight = pb.CompletionRequest(max_output_tokens=4_000)
    tight.MergeFrom(THINK)
    assert (await router.complete("lab/counted", request=tight)).reasoning.budget_tokens == 3_000
    with pytest.raises(OmnixError) as caught:
        await router.complete("exact", request=tight)
    assert (caught.value.reason, caught.value.param) == (Reason.UNSUPPORTED_PARAMETER, "mode")
    assert (await router.complete("exact", request=THINK)).reasoning.budget_tokens == 8_000


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (pb.CompletionRequest(reasoning=pb.Reasoning(budget_tokens=-1)), "reasoning.budget_tokens"),
        (pb.CompletionRequest(reasoning=pb.Reasoning(effort=pb.Reasoning.EFFORT_UNSPECIFIED)), "reasoning_effort"),
        (pb.CompletionRequest(compute_mode=pb.COMPUTE_MODE_UNSPECIFIED), "mode"),
    ],
)
async def test_nonsense_is_refused_by_name(
    router: Router, other: FakeAdapter, request_: pb.CompletionRequest, param: str
) -> None:
    with pytest.raises(OmnixError) as caught:
        await router.complete("lab/named", request=request_)
    assert (caught.value.reason, caught.value.param) == (Reason.INVALID_REQUEST, param)
    assert other.calls == []


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("named:think", "named"),
        ("lab/named:think", "named"),
        ("word:think", "named"),
        ("other/model:think", "model"),
        ("other/model:7b:think", "model:7b"),
    ],
)
async def test_mode_at_the_end_of_a_name_is_the_requests_mode(
    router: Router, other: FakeAdapter, name: str, model: str
) -> None:
    await router.complete(name)
    [call] = other.calls
    assert call.attempt.model == model
    assert call.request == asked(name, THINK)


async def test_mode_at_the_end_of_a_routes_name_goes_with_every_target(router: Router, other: FakeAdapter) -> None:
    other.script = [fail(Reason.PROVIDER_AUTH_FAILED)] * 2
    response = await router.complete("thoughtful:think")
    assert [call.attempt.reasoning.mode for call in other.calls] == [
        pb.COMPUTE_MODE_FLASH,
        pb.COMPUTE_MODE_THINK,
        pb.COMPUTE_MODE_THINK,
    ]
    assert {call.attempt.route for call in other.calls} == {"thoughtful"}
    assert response.model == "lab/named"


@pytest.mark.parametrize("name", ["lab/org/named:think", "org/named:think"])
async def test_model_whose_own_name_ends_so_wins(router: Router, other: FakeAdapter, name: str) -> None:
    await router.complete(name)
    [call] = other.calls
    assert call.attempt.model == "org/named:think"
    assert call.request == asked(name)


async def test_other_endings_are_part_of_the_name(router: Router, other: FakeAdapter) -> None:
    for model in ("model-v1:0", "model:thinking", "org/model:provider"):
        await router.complete(f"other/{model}")
        assert other.calls[-1].attempt.model == model


async def test_mode_that_contradicts_the_name_is_refused(router: Router, other: FakeAdapter) -> None:
    with pytest.raises(OmnixError) as caught:
        await router.complete("lab/named:flash", request=THINK)
    assert (caught.value.reason, caught.value.param) == (Reason.INVALID_REQUEST, "mode")
    assert caught.value.message == "mode contradicts the model's name, which ends in ':flash'."
    assert other.calls == []
    await router.complete("lab/named:think", request=THINK)


async def test_listing_shows_the_control(router: Router) -> None:
    models = {name: one.model for name, one in (await router.models()).items()}
    counted = models["lab/counted"].reasoning
    assert (counted.control, counted.can_disable) == (PLAN.CONTROL_BUDGET, True)
    assert (counted.min_budget_tokens, counted.max_budget_tokens) == (1_024, 32_000)
    named = models["lab/named"].reasoning
    assert list(named.efforts) == [pb.Reasoning.EFFORT_LOW, pb.Reasoning.EFFORT_MEDIUM, pb.Reasoning.EFFORT_HIGH]
    assert list(named.modes) == [pb.COMPUTE_MODE_FLASH, pb.COMPUTE_MODE_THINK]
    assert list(models["lab/plain"].reasoning.modes) == [pb.COMPUTE_MODE_FLASH]
    assert not models["lab/unknown"].HasField("reasoning")
    assert not models["thoughtful"].HasField("reasoning")
    assert (await router.model("word:ultra-think")).model.id == "lab/named"
