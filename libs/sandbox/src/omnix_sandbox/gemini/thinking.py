"""How much a model may be told to think, and what Google says where it may not.

Levels refused: https://github.com/earendil-works/pi/issues/9455, https://github.com/RooCodeInc/Roo-Code/issues/10700.
Budgets refused: https://ai.google.dev/gemini-api/docs/thinking.
Google still takes a budget for the first models that have levels; the sandbox takes none, as the later ones do.
"""

from typing import Final

from omnix_sandbox.gemini.errors import invalid_argument
from omnix_sandbox.gemini.models import Model
from omnix_sandbox.gemini.request import ThinkingConfig

DYNAMIC: Final = -1


def check(model: Model, config: ThinkingConfig) -> None:
    """See that the model can be told this.

    Raises:
        Refusal: 400.
    """
    budget, level = config.thinking_budget, config.thinking_level
    if level == "THINKING_LEVEL_UNSPECIFIED":
        level = None
    if budget is not None and level is not None:
        raise invalid_argument("You can only set only one of thinking budget and thinking level.")
    can = model.thinking
    if can is None:
        if budget or level is not None or config.include_thoughts:
            raise invalid_argument(f"Thinking is not enabled for models/{model.name}")
        return
    if level is not None and not can.levels:
        raise invalid_argument("Thinking level is not supported for this model.")
    if level is not None and level not in can.levels:
        raise invalid_argument(
            f"Thinking level {level} is not supported for this model. Please retry with other thinking level."
        )
    if budget is not None:
        _check_budget(budget, can.least, can.most, can.can_be_off)
    if budget == 0 and config.include_thoughts:
        raise invalid_argument("Thinking_config.include_thoughts is only enabled when thinking is enabled.")


def _check_budget(budget: int, least: int, most: int, can_be_off: bool) -> None:
    if not most:
        raise invalid_argument("Thinking budget is not supported for this model. Please use thinking level instead.")
    if budget == DYNAMIC or (budget == 0 and can_be_off) or least <= budget <= most:
        return
    if budget == 0:
        raise invalid_argument("Budget 0 is invalid. This model only works in thinking mode.")
    first = 0 if can_be_off and least <= 1 else least
    raise invalid_argument(
        f"The thinking budget {budget} is invalid. Please choose a value between {first} and {most}."
    )
