"""How long the first content may take. Pure."""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto

from omnix_router.routing import Target


class Thinking(Enum):
    """How much the caller asked a model to reason, by compute mode or by an explicit effort."""

    UNSAID = auto()
    FLASH = auto()
    THINK = auto()
    ULTRA_THINK = auto()


@dataclass(frozen=True, slots=True)
class Patience:
    """First-content timeouts by the amount of reasoning."""

    usual: timedelta
    flash: timedelta
    think: timedelta
    ultra_think: timedelta

    def until_first_content(self, thinking: Thinking, target: Target) -> timedelta:
        """A model that reasons does so before its first content, also when nobody said how much."""
        match thinking:
            case Thinking.FLASH:
                return self.flash
            case Thinking.THINK:
                return self.think
            case Thinking.ULTRA_THINK:
                return self.ultra_think
            case Thinking.UNSAID:
                reasons = target.entry is not None and target.entry.reasons
                return self.think if reasons else self.usual
