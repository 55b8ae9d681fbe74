"""How long the first content may take. Pure."""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto

from omnix_router.catalogue.models import Control, Effort, Mode
from omnix_router.reasoning import Wish, effort_of
from omnix_router.routing import RouteLimits, Target


class Thinking(Enum):
    """How much a model reasons before it answers."""

    UNSAID = auto()
    FLASH = auto()
    THINK = auto()
    ULTRA_THINK = auto()


_MODES = {Mode.FLASH: Thinking.FLASH, Mode.THINK: Thinking.THINK, Mode.ULTRA_THINK: Thinking.ULTRA_THINK}
_EFFORTS = {
    Effort.NONE: Thinking.FLASH,
    Effort.MINIMAL: Thinking.FLASH,
    Effort.LOW: Thinking.THINK,
    Effort.MEDIUM: Thinking.THINK,
    Effort.HIGH: Thinking.ULTRA_THINK,
    Effort.XHIGH: Thinking.ULTRA_THINK,
    Effort.MAX: Thinking.ULTRA_THINK,
}


def thinking(wish: Wish, target: Target) -> Thinking:
    """What the target is told; where that is not known, what the caller asked.

    A model that is left alone and reasons does so before its first content, also when nobody said how much.
    """
    plan = target.reasoning
    if plan is None:
        return _asked(wish, target)
    if plan.budget is not None:
        return _EFFORTS[effort_of(plan.budget)]
    if plan.effort is not None:
        # A switch has no amounts.
        on = plan.control is Control.SWITCH and plan.effort is not Effort.NONE
        return Thinking.THINK if on else _EFFORTS[plan.effort]
    if plan.control is Control.NONE:
        quick = wish.mode is Mode.FLASH or wish.effort is Effort.NONE or wish.budget == 0
        return Thinking.FLASH if quick else Thinking.UNSAID
    return Thinking.THINK


def _asked(wish: Wish, target: Target) -> Thinking:
    if wish.effort is not None:
        return _EFFORTS[wish.effort]
    if wish.budget is not None:
        return _EFFORTS[effort_of(wish.budget)]
    if wish.mode is not None:
        return _MODES[wish.mode]
    return Thinking.THINK if target.entry is not None and target.entry.reasons else Thinking.UNSAID


@dataclass(frozen=True, slots=True)
class Patience:
    """First-content timeouts by the amount of reasoning."""

    usual: timedelta
    flash: timedelta
    think: timedelta
    ultra_think: timedelta

    def until_first_content(self, wish: Wish, target: Target, limits: RouteLimits) -> timedelta:
        """What the route says of this amount of reasoning, else what it says of all, else what is set here."""
        match thinking(wish, target):
            case Thinking.FLASH:
                own, general = limits.first_content_timeouts.get(Mode.FLASH), self.flash
            case Thinking.THINK:
                own, general = limits.first_content_timeouts.get(Mode.THINK), self.think
            case Thinking.ULTRA_THINK:
                own, general = limits.first_content_timeouts.get(Mode.ULTRA_THINK), self.ultra_think
            case Thinking.UNSAID:
                own, general = None, self.usual
        return own or limits.first_content_timeout or general
