from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnix_router.catalogue.models import Control, Effort, Mode, ReasoningControl
from omnix_router.reasoning import BUDGETS, NotPlanned, ReasoningPlan, Wish, effort_of, modes_of, plan

FLASH, THINK, ULTRA = Mode
NONE, MINIMAL, LOW, MEDIUM, HIGH, XHIGH, MAX = Effort

DULL = ReasoningControl(Control.NONE)
FIXED = ReasoningControl(Control.FIXED)
SWITCH = ReasoningControl(Control.SWITCH, can_disable=True, modes={FLASH: NONE, THINK: HIGH})
NAMED = ReasoningControl(Control.EFFORT, (LOW, MEDIUM, HIGH), modes={FLASH: LOW, THINK: MEDIUM, ULTRA: HIGH})
TWO = ReasoningControl(Control.EFFORT, (NONE, LOW, HIGH), can_disable=True, modes={THINK: LOW})
ONE_MODE = ReasoningControl(Control.EFFORT, (LOW, MEDIUM, HIGH, XHIGH), modes={THINK: MEDIUM})
COUNTED = ReasoningControl(
    Control.BUDGET,
    min_budget=1_024,
    max_budget=32_000,
    can_disable=True,
    modes={FLASH: 0, THINK: 8_000, ULTRA: 32_000},
)
ALWAYS = ReasoningControl(
    Control.BUDGET, min_budget=128, max_budget=32_768, modes={FLASH: 128, THINK: 8_192, ULTRA: 32_768}
)

CERTAIN = [
    # control, wish, effort or budget, honoured mode, a part of the note
    (DULL, Wish(FLASH), None, FLASH, ""),
    (DULL, Wish(THINK), None, FLASH, "does not reason"),
    (DULL, Wish(ULTRA), None, FLASH, "does not reason"),
    (DULL, Wish(effort=NONE), None, None, ""),
    (DULL, Wish(budget=0), None, None, ""),
    (FIXED, Wish(THINK), None, THINK, ""),
    (FIXED, Wish(FLASH), None, THINK, "cannot be told"),
    (FIXED, Wish(ULTRA), None, THINK, "cannot be told"),
    (FIXED, Wish(effort=NONE), None, None, "cannot be told"),
    (FIXED, Wish(budget=5_000), None, None, "cannot be told"),
    (SWITCH, Wish(FLASH), NONE, FLASH, ""),
    (SWITCH, Wish(THINK), HIGH, THINK, ""),
    (SWITCH, Wish(ULTRA), HIGH, THINK, "cannot do ultra-think"),
    (SWITCH, Wish(effort=NONE), NONE, None, ""),
    (SWITCH, Wish(effort=LOW), HIGH, None, "only be on or off"),
    (SWITCH, Wish(budget=9), HIGH, None, "only be on or off"),
    (SWITCH, Wish(budget=0), NONE, None, ""),
    (NAMED, Wish(FLASH), LOW, FLASH, ""),
    (NAMED, Wish(THINK), MEDIUM, THINK, ""),
    (NAMED, Wish(ULTRA), HIGH, ULTRA, ""),
    (NAMED, Wish(effort=MEDIUM), MEDIUM, None, ""),
    (NAMED, Wish(effort=NONE), LOW, None, "no effort none; low is the nearest"),
    (NAMED, Wish(effort=MAX), HIGH, None, "no effort max; high is the nearest"),
    (NAMED, Wish(FLASH, effort=HIGH), HIGH, None, "reasoning_effort wins over mode"),
    (NAMED, Wish(FLASH, budget=9_000), MEDIUM, None, "reasoning.budget_tokens wins over mode"),
    (NAMED, Wish(budget=0), LOW, None, "no effort none"),
    (NAMED, Wish(budget=700), LOW, None, "700 tokens are minimal"),
    (NAMED, Wish(budget=8_191), LOW, None, "8191 tokens are low"),
    (NAMED, Wish(budget=24_576), HIGH, None, "24576 tokens are high"),
    (NAMED, Wish(effort=LOW, budget=9_000), LOW, None, "reasoning_effort wins over reasoning.budget_tokens"),
    (TWO, Wish(effort=MEDIUM), LOW, None, "low is the nearest"),
    (TWO, Wish(effort=MINIMAL), LOW, None, "low is the nearest"),
    (TWO, Wish(effort=NONE), NONE, None, ""),
    (TWO, Wish(FLASH), NONE, None, "cannot do flash; effort none is the nearest"),
    (TWO, Wish(ULTRA), HIGH, None, "cannot do ultra-think; effort high is the nearest"),
    (ONE_MODE, Wish(FLASH), LOW, None, "cannot do flash; effort low is the nearest"),
    (ONE_MODE, Wish(ULTRA), XHIGH, None, "effort xhigh"),
    (COUNTED, Wish(FLASH), 0, FLASH, ""),
    (COUNTED, Wish(THINK), 8_000, THINK, ""),
    (COUNTED, Wish(THINK, max_output_tokens=4_000), 3_000, THINK, "3000 tokens, to leave room for an answer of 4000"),
    (COUNTED, Wish(THINK, max_output_tokens=1_200), 0, FLASH, "at least 1024 tokens"),
    (COUNTED, Wish(effort=HIGH), 24_576, None, "high is 24576 tokens"),
    (COUNTED, Wish(effort=MAX), 32_000, None, "max is 32000 tokens"),
    (COUNTED, Wish(effort=MINIMAL), 1_024, None, "minimal is 1024 tokens"),
    (COUNTED, Wish(effort=NONE), 0, None, ""),
    (COUNTED, Wish(effort=HIGH, max_output_tokens=4_000), 3_000, None, "to leave room"),
    (COUNTED, Wish(effort=LOW, max_output_tokens=1_200), 1_024, None, "to leave room"),
    (COUNTED, Wish(budget=5_000), 5_000, None, ""),
    (COUNTED, Wish(budget=10), 1_024, None, "1024 to 32000 tokens, not 10"),
    (COUNTED, Wish(budget=99_999), 32_000, None, "not 99999"),
    # Who names a number leaves the room that there shall be.
    (COUNTED, Wish(budget=3_999, max_output_tokens=4_000), 3_999, None, ""),
    (COUNTED, Wish(budget=4_000, max_output_tokens=4_000), 3_000, None, "to leave room"),
    (COUNTED, Wish(ULTRA, budget=5_000), 5_000, None, "reasoning.budget_tokens wins over mode"),
    (COUNTED, Wish(effort=LOW, budget=5_000), 5_000, None, "reasoning.budget_tokens wins over reasoning_effort"),
    (ALWAYS, Wish(FLASH), 128, FLASH, ""),
    (ALWAYS, Wish(budget=0), 128, None, "cannot be switched off"),
    (ALWAYS, Wish(effort=NONE), 128, None, "cannot be switched off"),
    (ALWAYS, Wish(THINK, max_output_tokens=150), 128, FLASH, "it has its least"),
    (ALWAYS, Wish(THINK, max_output_tokens=100), None, None, "left to the vendor"),
]


@pytest.mark.parametrize(("control", "wish", "amount", "mode", "note"), CERTAIN)
def test_wish_becomes_what_the_model_takes(
    control: ReasoningControl, wish: Wish, amount: Effort | int | None, mode: Mode | None, note: str
) -> None:
    made = plan(control, wish)
    assert isinstance(made, ReasoningPlan)
    assert made.control is control.control
    assert (made.budget if control.control is Control.BUDGET else made.effort) == amount
    assert (made.requested_mode, made.mode) == (wish.mode, mode)
    assert note in made.note
    assert bool(made.note) is bool(note)


@pytest.mark.parametrize("control", [DULL, FIXED, SWITCH, NAMED, COUNTED])
def test_nothing_asked_is_left_to_the_vendor(control: ReasoningControl) -> None:
    assert plan(control, Wish(max_output_tokens=10), 20) == ReasoningPlan(control.control)


@pytest.mark.parametrize(
    ("control", "wish", "param", "why"),
    [
        (DULL, Wish(effort=HIGH), "reasoning_effort", "does not reason"),
        (DULL, Wish(budget=2_000), "reasoning.budget_tokens", "does not reason"),
        (DULL, Wish(THINK, effort=LOW), "reasoning_effort", "does not reason"),
        (COUNTED, Wish(budget=2_000, max_output_tokens=1_000), "reasoning.budget_tokens", "at least 1024 tokens"),
        (COUNTED, Wish(effort=HIGH, max_output_tokens=1_024), "reasoning_effort", "only 1024 in all"),
        (ALWAYS, Wish(budget=0, max_output_tokens=100), "reasoning.budget_tokens", "only 100 in all"),
    ],
)
def test_explicit_wish_that_cannot_be_is_refused_by_name(
    control: ReasoningControl, wish: Wish, param: str, why: str
) -> None:
    refused = plan(control, wish)
    assert isinstance(refused, NotPlanned)
    assert refused.param == param
    assert why in refused.why


@pytest.mark.parametrize(
    ("control", "wish", "param"),
    [
        (DULL, Wish(THINK), "mode"),
        (FIXED, Wish(FLASH), "mode"),
        (ONE_MODE, Wish(ULTRA), "mode"),
        (NAMED, Wish(effort=MAX), "reasoning_effort"),
        (NAMED, Wish(budget=5_000), "reasoning.budget_tokens"),
        (COUNTED, Wish(THINK, max_output_tokens=4_000), "mode"),
        (COUNTED, Wish(budget=10), "reasoning.budget_tokens"),
        (COUNTED, Wish(effort=LOW, budget=5_000), "reasoning.budget_tokens"),
    ],
)
def test_strict_wish_is_refused_instead_of_nearly_done(control: ReasoningControl, wish: Wish, param: str) -> None:
    refused = plan(control, wish, strict=True)
    assert isinstance(refused, NotPlanned)
    assert refused.param == param


@pytest.mark.parametrize(
    ("control", "wish"),
    [
        (DULL, Wish(FLASH)),
        (NAMED, Wish(ULTRA)),
        # Only a word was translated, or the stronger of two words was taken.
        (COUNTED, Wish(effort=HIGH)),
        (NAMED, Wish(FLASH, effort=HIGH)),
    ],
)
def test_strict_wish_that_can_be_done_is_done(control: ReasoningControl, wish: Wish) -> None:
    assert plan(control, wish, strict=True) == plan(control, wish)


def test_limit_of_the_model_counts_where_the_caller_gave_none() -> None:
    made = plan(COUNTED, Wish(ULTRA), 16_000)
    assert isinstance(made, ReasoningPlan)
    assert made.budget == 12_000
    smaller = plan(COUNTED, Wish(ULTRA, max_output_tokens=8_000), 16_000)
    assert isinstance(smaller, ReasoningPlan)
    assert smaller.budget == 6_000


def test_efforts_and_budgets_translate_to_each_other() -> None:
    for effort, tokens in BUDGETS.items():
        assert effort_of(tokens) is effort
    assert [effort_of(tokens) for tokens in (1, 511, 1_023, 8_191, 10**9)] == [MINIMAL, MINIMAL, MINIMAL, LOW, MAX]


def test_modes_of_a_model_are_those_of_its_table() -> None:
    assert [modes_of(control) for control in (DULL, FIXED, SWITCH, NAMED)] == [
        (FLASH,),
        (THINK,),
        (FLASH, THINK),
        (FLASH, THINK, ULTRA),
    ]


@st.composite
def controls(draw: st.DrawFn) -> ReasoningControl:
    kind = draw(st.sampled_from(Control))
    able = draw(st.sets(st.sampled_from(Mode)))
    if kind in (Control.NONE, Control.FIXED):
        return ReasoningControl(kind)
    if kind is Control.SWITCH:
        return ReasoningControl(
            kind, can_disable=True, modes={mode: draw(st.sampled_from([NONE, HIGH])) for mode in able}
        )
    if kind is Control.EFFORT:
        efforts = sorted(draw(st.sets(st.sampled_from(Effort), min_size=1)), key=lambda effort: effort.rank)
        table = {mode: draw(st.sampled_from(efforts)) for mode in able}
        return ReasoningControl(kind, tuple(efforts), can_disable=NONE in efforts, modes=table)
    floor = draw(st.integers(1, 5_000))
    ceiling = draw(st.integers(floor, 100_000))
    off = draw(st.booleans())
    budgets = st.integers(floor, ceiling) | (st.just(0) if off else st.nothing())
    return ReasoningControl(
        kind,
        min_budget=floor,
        max_budget=ceiling,
        can_disable=off,
        modes={mode: draw(budgets) for mode in able},
    )


def optional(values: st.SearchStrategy[int]) -> st.SearchStrategy[int | None]:
    return st.none() | values


wishes = st.builds(
    Wish,
    st.none() | st.sampled_from(Mode),
    st.none() | st.sampled_from(Effort),
    optional(st.integers(0, 200_000)),
    optional(st.integers(1, 200_000)),
)


@given(controls(), wishes, st.integers(0, 200_000), st.booleans())
def test_plan_never_leaves_what_the_model_takes(control: ReasoningControl, wish: Wish, most: int, strict: bool) -> None:
    made = plan(control, wish, most, strict=strict)
    if isinstance(made, NotPlanned):
        assert strict or wish.effort or wish.budget is not None
        return
    assert (made.control, made.requested_mode) == (control.control, wish.mode)
    if made.effort is not None:
        assert control.control in (Control.SWITCH, Control.EFFORT)
        assert made.effort in (control.efforts or (NONE, HIGH))
        assert made.effort is not NONE or control.can_disable
    if made.budget is not None:
        assert control.control is Control.BUDGET
        assert made.budget == 0 or control.min_budget <= made.budget <= control.max_budget
        assert made.budget or control.can_disable
        limits = [limit for limit in (wish.max_output_tokens, most) if limit]
        assert made.budget < min(limits, default=made.budget + 1)
    if strict:
        assert not made.approximate
    if made.mode is not wish.mode:
        assert made.note


@given(controls(), wishes, st.integers(0, 200_000))
def test_plan_of_a_plan_is_the_same(control: ReasoningControl, wish: Wish, most: int) -> None:
    made = plan(control, wish, most)
    if isinstance(made, NotPlanned) or (made.effort is None and made.budget is None):
        return
    again = plan(control, Wish(None, made.effort, made.budget, wish.max_output_tokens), most, strict=True)
    assert again == ReasoningPlan(control.control, made.effort, made.budget)


@given(controls(), st.sampled_from(Mode))
def test_mode_is_never_refused(control: ReasoningControl, mode: Mode) -> None:
    assert isinstance(plan(control, Wish(mode)), ReasoningPlan)


@pytest.mark.parametrize(
    ("control", "most"), list(product([SWITCH, NAMED, TWO, ONE_MODE, COUNTED, ALWAYS], [0, 5_000]))
)
def test_modes_rise(control: ReasoningControl, most: int) -> None:
    made = [plan(control, Wish(mode), most) for mode in Mode]
    amounts = [
        one.budget if one.budget is not None else (one.effort or NONE).rank
        for one in made
        if isinstance(one, ReasoningPlan)
    ]
    assert amounts == sorted(amounts)
