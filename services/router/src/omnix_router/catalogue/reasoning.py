"""How a catalogue file says what a model's reasoning takes. Pure."""

from collections.abc import Mapping, Set
from typing import assert_never

import msgspec

from omnix_router.catalogue.models import Control, Effort, Mode, ReasoningControl

_MAX_BUDGET = 10_000_000


class ReasoningEntry(msgspec.Struct, forbid_unknown_fields=True):
    """The table ``reasoning`` of a model.

    In ``modes`` an effort is written by its name, a switch as true or false, a budget in tokens.
    """

    control: Control
    efforts: list[Effort] = []
    min_budget: int = 0
    max_budget: int = 0
    can_disable: bool | None = None
    modes: dict[Mode, bool | int | Effort] = {}


def reasoning_of(entry: ReasoningEntry | None, capabilities: Set[str], key: str) -> ReasoningControl | None:
    """None where nothing is known.

    A model whose capabilities are told and hold no ``reasoning`` is one that does not reason.

    :raises ValueError: naming the key and what is wrong.
    """
    reasons = "reasoning" in capabilities
    if entry is None:
        return ReasoningControl(Control.NONE) if capabilities and not reasons else None
    if reasons is (entry.control is Control.NONE):
        raise ValueError(f"{key}.control: {entry.control} contradicts the capabilities")
    _refuse_foreign(entry, key)
    match entry.control:
        case Control.NONE | Control.FIXED:
            return ReasoningControl(entry.control)
        case Control.SWITCH:
            return _switch(entry, key)
        case Control.EFFORT:
            return _effort(entry, key)
        case Control.BUDGET:
            return _budget(entry, key)
        case _:
            assert_never(entry.control)


def _refuse_foreign(entry: ReasoningEntry, key: str) -> None:
    """What another control needs is a mistake, not an addition."""
    has = {
        "efforts": bool(entry.efforts),
        "min_budget": bool(entry.min_budget),
        "max_budget": bool(entry.max_budget),
        "can_disable": entry.can_disable is not None,
        "modes": bool(entry.modes),
    }
    takes = {
        Control.NONE: (),
        Control.FIXED: (),
        Control.SWITCH: ("modes",),
        Control.EFFORT: ("efforts", "modes"),
        Control.BUDGET: ("min_budget", "max_budget", "can_disable", "modes"),
    }[entry.control]
    for field, given in has.items():
        if given and field not in takes:
            raise ValueError(f"{key}.{field}: is not for control {entry.control}")


def _switch(entry: ReasoningEntry, key: str) -> ReasoningControl:
    modes: dict[Mode, Effort | int] = {}
    for mode, value in entry.modes.items():
        if not isinstance(value, bool):
            raise ValueError(f"{key}.modes.{mode}: must be true or false")
        modes[mode] = Effort.HIGH if value else Effort.NONE
    return ReasoningControl(Control.SWITCH, can_disable=True, modes=modes)


def _effort(entry: ReasoningEntry, key: str) -> ReasoningControl:
    if not entry.efforts or entry.efforts != sorted(set(entry.efforts), key=lambda effort: effort.rank):
        raise ValueError(f"{key}.efforts: must name what the model takes, rising: {', '.join(Effort)}")
    modes: dict[Mode, Effort | int] = {}
    for mode, value in entry.modes.items():
        if not isinstance(value, Effort) or value not in entry.efforts:
            raise ValueError(f"{key}.modes.{mode}: must be one of {', '.join(entry.efforts)}")
        modes[mode] = value
    _refuse_falling({mode: Effort(str(value)).rank for mode, value in modes.items()}, key)
    return ReasoningControl(
        Control.EFFORT, efforts=tuple(entry.efforts), can_disable=Effort.NONE in entry.efforts, modes=modes
    )


def _budget(entry: ReasoningEntry, key: str) -> ReasoningControl:
    if not 0 < entry.min_budget <= entry.max_budget <= _MAX_BUDGET:
        raise ValueError(f"{key}: min_budget must be at least 1, max_budget from there to {_MAX_BUDGET}")
    can_disable = bool(entry.can_disable)
    modes: dict[Mode, Effort | int] = {}
    for mode, value in entry.modes.items():
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"{key}.modes.{mode}: must be a number of tokens")
        if not entry.min_budget <= value <= entry.max_budget and not (value == 0 and can_disable):
            off = " or 0" if can_disable else ""
            raise ValueError(f"{key}.modes.{mode}: must be from {entry.min_budget} to {entry.max_budget}{off}")
        modes[mode] = value
    _refuse_falling({mode: int(value) for mode, value in modes.items()}, key)
    return ReasoningControl(
        Control.BUDGET,
        min_budget=entry.min_budget,
        max_budget=entry.max_budget,
        can_disable=can_disable,
        modes=modes,
    )


def _refuse_falling(amounts: Mapping[Mode, int], key: str) -> None:
    """More thinking than another mode is what a mode's name promises."""
    ordered = [amounts[mode] for mode in Mode if mode in amounts]
    if ordered != sorted(ordered):
        raise ValueError(f"{key}.modes: must not fall from flash to think to ultra-think")
