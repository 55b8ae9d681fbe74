from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnix_kit.errors import CallerError, Reason
from omnix_router.catalogue.models import Control, Effort, Model, ReasoningControl
from omnix_router.fitting import CAPABILITIES, Need, Unfit, for_chat, for_embeddings
from omnix_router.reasoning import ReasoningPlan, Wish
from omnix_router.routing import Plan, Target

ABLE = Model("p", "able", capabilities=("text", *sorted(CAPABILITIES)), reasoning=ReasoningControl(Control.FIXED))
DULL = Model("p", "dull", capabilities=("text",), reasoning=ReasoningControl(Control.NONE))
BLANK = Model("p", "blank")
VECTORS = Model("p", "vectors", capabilities=("text", "embeddings"), dimensions=(512, 256))
LOOK = Need("image", "messages.0.content")


def targets(*models: Model, route: str = "") -> Plan:
    return Plan(tuple(Target(model.provider, model.name, model) for model in models), route)


def chosen(fitted: tuple[Plan, Sequence[Unfit]]) -> list[str]:
    return [target.model for target in fitted[0].targets]


def test_order_limits_and_weights_of_what_is_left_stay() -> None:
    plan = replace(
        targets(ABLE, DULL, BLANK, route="r"), targets=(Target("p", "able", ABLE, weight=3), Target("p", "x"))
    )
    left, skipped = for_chat(plan, [LOOK], Wish(), strict=False)
    assert left == replace(plan, targets=(Target("p", "able", ABLE, 3, ReasoningPlan(Control.FIXED)), Target("p", "x")))
    assert skipped == ()


def test_what_was_skipped_is_told() -> None:
    fitted = for_chat(targets(DULL, ABLE, VECTORS, BLANK), [LOOK], Wish(), strict=False)
    assert chosen(fitted) == ["able", "blank"]
    assert [unfit.lacks for unfit in fitted[1]] == ["image", "chat"]


def test_effort_skips_targets_that_do_not_reason() -> None:
    fitted = for_chat(targets(DULL, ABLE), [], Wish(effort=Effort.HIGH), strict=False)
    assert chosen(fitted) == ["able"]
    assert fitted[1] == [Unfit("reasoning", "reasoning_effort", "does not reason.")]


def test_strictness_skips_targets_that_come_only_near() -> None:
    assert chosen(for_chat(targets(ABLE, BLANK), [], Wish(effort=Effort.HIGH), strict=True)) == ["blank"]


def test_many_reasons_are_told_in_part() -> None:
    many = [replace(DULL, name=f"dull-{number}") for number in range(9)]
    with pytest.raises(CallerError) as caught:
        for_chat(targets(*many, route="r"), [LOOK], Wish(), strict=False)
    assert caught.value.message.count("takes no images.") == 5
    assert (caught.value.reason, caught.value.param) == (Reason.UNSUPPORTED_PARAMETER, "messages.0.content")


def test_embeddings_go_to_models_that_make_them_at_that_length() -> None:
    assert chosen(for_embeddings(targets(DULL, VECTORS, BLANK), None)) == ["vectors", "blank"]
    assert chosen(for_embeddings(targets(VECTORS, BLANK), 256)) == ["vectors", "blank"]
    assert chosen(for_embeddings(targets(VECTORS, BLANK), 300)) == ["blank"]


@given(
    st.lists(st.sampled_from([ABLE, DULL, BLANK, VECTORS]), min_size=1), st.sets(st.sampled_from(sorted(CAPABILITIES)))
)
def test_what_is_left_can_do_it_and_nothing_else_is_missing(models: list[Model], capabilities: set[str]) -> None:
    needs = [Need(capability, capability) for capability in sorted(capabilities)]
    able = [m.name for m in models if not m.embeds and (not m.capabilities or capabilities <= set(m.capabilities))]
    if able:
        assert chosen(for_chat(targets(*models), needs, Wish(), strict=False)) == able
    else:
        with pytest.raises(CallerError):
            for_chat(targets(*models), needs, Wish(), strict=False)
