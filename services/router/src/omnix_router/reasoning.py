"""How much a model reasons: from what the caller asked and what the model takes to what the vendor is told. Pure.

The README has the rules as tables. In short: an explicit effort or budget wins over a compute mode, what a model cannot
do exactly becomes the nearest that it can and the plan's note says so, and nothing leaves what the model takes.
"""

from dataclasses import dataclass, replace
from typing import assert_never

from omnix_router.catalogue.models import Control, Effort, Mode, ReasoningControl

BUDGETS = {
    Effort.NONE: 0,
    Effort.MINIMAL: 512,
    Effort.LOW: 1_024,
    Effort.MEDIUM: 8_192,
    Effort.HIGH: 24_576,
    Effort.XHIGH: 32_768,
    Effort.MAX: 65_536,
}
"""What an effort means in tokens, and a budget in efforts. As an explicit effort, ``max`` is a model's whole ceiling.

Low, medium and high are those of Google's own translation: https://ai.google.dev/gemini-api/docs/openai
"""

EFFORT, BUDGET, MODE = "reasoning_effort", "reasoning.budget_tokens", "mode"
"""The parameters, as callers write them."""

_SWITCHED_ON = Effort.HIGH


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller asked of reasoning; None is unset."""

    mode: Mode | None = None
    effort: Effort | None = None
    budget: int | None = None
    """In tokens, 0 for off."""
    max_output_tokens: int | None = None
    """The most tokens of the answer, reasoning included."""

    @property
    def is_empty(self) -> bool:
        return self.mode is None and self.effort is None and self.budget is None


@dataclass(frozen=True, slots=True)
class ReasoningPlan:
    """What the vendor of one model is told."""

    control: Control
    effort: Effort | None = None
    """For ``effort`` and ``switch``; None leaves it to the vendor."""
    budget: int | None = None
    """For ``budget``: tokens, 0 for off; None leaves it to the vendor."""
    requested_mode: Mode | None = None
    mode: Mode | None = None
    """What is honoured."""
    note: str = ""
    """Why this differs from what was asked, for people."""
    approximate: bool = False
    """Something that was asked is not done, or not exactly; a plan with a note may yet do all that counts."""


@dataclass(frozen=True, slots=True)
class NotPlanned:
    """What was asked cannot be done."""

    param: str
    """The parameter, as callers write it."""
    why: str
    """A sentence that begins after the model's name."""


def plan(
    control: ReasoningControl, wish: Wish, max_output_tokens: int = 0, *, strict: bool = False
) -> ReasoningPlan | NotPlanned:
    """What one model is told.

    :param max_output_tokens: the most that the model can do; 0 when unknown.
    :param strict: refuse what can be done only nearly.
    """
    if wish.is_empty:
        return _LEFT_ALONE[control.control]
    limits = [limit for limit in (wish.max_output_tokens, max_output_tokens) if limit]
    limit = min(limits, default=None)
    if wish.effort is not None or wish.budget is not None:
        planned = _explicit(control, wish, limit)
    else:
        assert wish.mode is not None  # noqa: S101 - for the type checker
        planned = _by_mode(control, wish.mode, limit)
    if strict and isinstance(planned, ReasoningPlan) and planned.approximate:
        return NotPlanned(_strictly(control, wish), f"cannot do exactly that: {planned.note}")
    return planned


def effort_of(budget: int) -> Effort:
    """The most effort that a budget pays for; the least, other than none, for a budget that pays for no named one."""
    if budget <= 0:
        return Effort.NONE
    return max(
        (effort for effort, tokens in BUDGETS.items() if 0 < tokens <= budget),
        key=lambda effort: effort.rank,
        default=Effort.MINIMAL,
    )


def modes_of(control: ReasoningControl) -> tuple[Mode, ...]:
    """The compute modes that a model can do, rising."""
    match control.control:
        case Control.NONE:
            return (Mode.FLASH,)
        case Control.FIXED:
            return (Mode.THINK,)
        case _:
            return tuple(mode for mode in Mode if mode in control.modes)


_LEFT_ALONE = {control: ReasoningPlan(control) for control in Control}


def _explicit(control: ReasoningControl, wish: Wish, limit: int | None) -> ReasoningPlan | NotPlanned:
    asked, param, aside = _asked(control, wish)
    match control.control:
        case Control.NONE:
            if asked not in (0, Effort.NONE):
                return NotPlanned(param, "does not reason.")
            planned = ReasoningPlan(Control.NONE)
        case Control.FIXED:
            planned = _near(ReasoningPlan(Control.FIXED), "It reasons as it does and cannot be told how much.")
        case Control.SWITCH:
            planned = _switched(control, asked)
        case Control.EFFORT:
            planned = _named(control, asked)
        case Control.BUDGET:
            found = _counted(control, asked, limit)
            if found is None:
                return NotPlanned(
                    param,
                    f"reasons with at least {control.min_budget} tokens, and the answer may have only {limit} in all.",
                )
            planned = found
        case _:
            assert_never(control.control)
    if aside:
        planned = _near(planned, aside)
    if wish.mode is not None:
        planned = _noted(replace(planned, requested_mode=wish.mode), f"{param} wins over {MODE}.")
    return planned


def _asked(control: ReasoningControl, wish: Wish) -> tuple[Effort | int, str, str]:
    """The effort or the budget that counts, its parameter, and what to say of the other one."""
    by_budget = wish.effort is None or (wish.budget is not None and control.control is Control.BUDGET)
    if by_budget and wish.budget is not None:
        other = "" if wish.effort is None else f"{BUDGET} wins over {EFFORT}, because the model is told by a budget."
        return wish.budget, BUDGET, other
    assert wish.effort is not None  # noqa: S101 - for the type checker
    other = "" if wish.budget is None else f"{EFFORT} wins over {BUDGET}, because the model is not told by a budget."
    return wish.effort, EFFORT, other


def _strictly(control: ReasoningControl, wish: Wish) -> str:
    return MODE if wish.effort is None and wish.budget is None else _asked(control, wish)[1]


def _switched(control: ReasoningControl, asked: Effort | int) -> ReasoningPlan:
    if asked in (0, Effort.NONE):
        if control.can_disable:
            return ReasoningPlan(Control.SWITCH, Effort.NONE)
        return _near(ReasoningPlan(Control.SWITCH, _SWITCHED_ON), "Its reasoning cannot be switched off.")
    on = ReasoningPlan(Control.SWITCH, _SWITCHED_ON)
    return on if asked is _SWITCHED_ON else _near(on, "Its reasoning can only be on or off; it is on.")


def _named(control: ReasoningControl, asked: Effort | int) -> ReasoningPlan:
    wanted = asked if isinstance(asked, Effort) else effort_of(asked)
    effort = _nearest(control, wanted)
    planned = ReasoningPlan(Control.EFFORT, effort)
    if isinstance(asked, int) and asked:
        planned = _near(planned, f"It is told by named efforts; {asked} tokens are {wanted}.")
    if effort is not wanted:
        planned = _near(planned, f"It has no effort {wanted}; {effort} is the nearest.")
    return planned


def _nearest(control: ReasoningControl, wanted: Effort) -> Effort:
    """The lower of two that are equally near. Only who asks for no reasoning gets none."""
    if wanted is Effort.NONE and control.can_disable:
        return Effort.NONE
    some = [effort for effort in control.efforts if effort is not Effort.NONE]
    return min(some, key=lambda effort: (abs(effort.rank - wanted.rank), effort.rank), default=Effort.NONE)


def _counted(control: ReasoningControl, asked: Effort | int, limit: int | None) -> ReasoningPlan | None:
    """None when the answer is too short for any reasoning."""
    planned = ReasoningPlan(Control.BUDGET)
    wanted = _tokens(control, asked)
    budget = wanted
    if wanted == 0 and control.can_disable:
        return replace(planned, budget=0)
    if wanted < control.min_budget:
        budget = control.min_budget
    elif wanted > control.max_budget:
        budget = control.max_budget
    if isinstance(asked, Effort):
        planned = _noted(planned, f"It is told by a budget; {asked} is {budget} tokens.")
    if wanted == 0:
        planned = _near(planned, f"Its reasoning cannot be switched off; {budget} tokens are its least.")
    elif budget != wanted and isinstance(asked, int):
        planned = _near(planned, f"It reasons with {control.min_budget} to {control.max_budget} tokens, not {wanted}.")
    if limit is not None and not _fits(budget, limit, exact=isinstance(asked, int)):
        budget = max(_most(limit), control.min_budget)
        if budget >= limit:
            return None
        planned = _near(planned, f"It reasons with {budget} tokens, to leave room for an answer of {limit} in all.")
    return replace(planned, budget=budget)


def _tokens(control: ReasoningControl, asked: Effort | int) -> int:
    if isinstance(asked, int):
        return asked
    return control.max_budget if asked is Effort.MAX else BUDGETS[asked]


def _by_mode(control: ReasoningControl, mode: Mode, limit: int | None) -> ReasoningPlan:
    planned = ReasoningPlan(control.control, requested_mode=mode)
    match control.control:
        case Control.NONE:
            planned = replace(planned, mode=Mode.FLASH)
            return planned if mode is Mode.FLASH else _near(planned, "It does not reason.")
        case Control.FIXED:
            planned = replace(planned, mode=Mode.THINK)
            told = "It reasons as it does and cannot be told how much."
            return planned if mode is Mode.THINK else _near(planned, told)
        case Control.SWITCH | Control.EFFORT | Control.BUDGET:
            value = control.modes.get(mode)
            if value is None:
                value = _instead(control, mode)
                planned = _near(planned, f"It cannot do {mode}; {_spoken(value)} is the nearest.")
        case _:
            assert_never(control.control)
    if not isinstance(value, int):
        return replace(planned, effort=value, mode=_mode_of(control, value, mode))
    return _within(control, planned, value, mode, limit)


def _within(
    control: ReasoningControl, planned: ReasoningPlan, budget: int, mode: Mode, limit: int | None
) -> ReasoningPlan:
    honoured = _mode_of(control, budget, mode)
    if budget == 0 or limit is None or _fits(budget, limit, exact=False):
        return replace(planned, budget=budget, mode=honoured)
    most = _most(limit)
    if most >= control.min_budget:
        planned = _near(planned, f"It reasons with {most} tokens, to leave room for an answer of {limit} in all.")
        return replace(planned, budget=most, mode=honoured)
    short = f"It reasons with at least {control.min_budget} tokens, and the answer may have only {limit} in all"
    if control.can_disable:
        return replace(_near(planned, f"{short}; reasoning is off."), budget=0, mode=_mode_of(control, 0, Mode.FLASH))
    if control.min_budget < limit:
        least = control.min_budget
        honoured = _mode_of(control, least, mode) or honoured
        return replace(_near(planned, f"{short}; it has its least."), budget=least, mode=honoured)
    return _near(planned, f"{short}; the amount is left to the vendor.")


def _instead(control: ReasoningControl, mode: Mode) -> Effort | int:
    """What stands in for a mode that the table does not have: the least, a medium amount, the most."""
    match control.control:
        case Control.BUDGET:
            least = 0 if control.can_disable else control.min_budget
            medium = min(max(BUDGETS[Effort.MEDIUM], control.min_budget), control.max_budget)
            return {Mode.FLASH: least, Mode.THINK: medium, Mode.ULTRA_THINK: control.max_budget}[mode]
        case Control.EFFORT:
            wanted = {Mode.FLASH: Effort.NONE, Mode.THINK: Effort.MEDIUM, Mode.ULTRA_THINK: Effort.MAX}[mode]
            return _nearest(control, wanted)
        case _:
            return Effort.NONE if mode is Mode.FLASH and control.can_disable else _SWITCHED_ON


def _mode_of(control: ReasoningControl, value: Effort | int, preferred: Mode) -> Mode | None:
    """The mode that a value is; ``preferred`` where it is that one too."""
    if control.modes.get(preferred) == value:
        return preferred
    return next((mode for mode in Mode if control.modes.get(mode) == value), None)


def _spoken(value: Effort | int) -> str:
    return f"effort {value}" if isinstance(value, Effort) else f"a budget of {value} tokens"


def _most(limit: int) -> int:
    """The largest budget beside an answer: a quarter of what may be written is the answer's own."""
    return limit - max(limit // 4, 1)


def _fits(budget: int, limit: int, *, exact: bool) -> bool:
    """A budget that the caller named in tokens leaves the room that the caller wanted; vendors ask for one token."""
    return budget < limit if exact else budget <= _most(limit)


def _noted(planned: ReasoningPlan, note: str) -> ReasoningPlan:
    return replace(planned, note=f"{planned.note} {note}".strip())


def _near(planned: ReasoningPlan, note: str) -> ReasoningPlan:
    return replace(_noted(planned, note), approximate=True)
