"""How much a model thinks, in Gemini's words: a budget of tokens up to 2.5, a level from 3 on. Pure.

https://ai.google.dev/gemini-api/docs/thinking
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, assert_never

from omnix_provider.types import Attempt, CompletionRequest, Control, Effort, ReasoningPlan

from omnix_adapter_gemini.dialect import thinks_by_level
from omnix_adapter_gemini.media import unsupported

Body = dict[str, Any]

_LEVELS: Mapping[Effort, str] = MappingProxyType(
    {
        Effort.MINIMAL: "MINIMAL",
        Effort.LOW: "LOW",
        Effort.MEDIUM: "MEDIUM",
        Effort.HIGH: "HIGH",
        Effort.EXTRA_HIGH: "XHIGH",
    }
)
_AS_IT_SEES_FIT = -1


def thinking_config(request: CompletionRequest, attempt: Attempt) -> Body:
    """``thinkingConfig``; empty when nothing is said.

    :raises UnsupportedParameter: naming what the model cannot be told.
    """
    plan = attempt.reasoning
    config = _wished(request, attempt.model) if plan is None else _planned(plan)
    shown = request.reasoning is not None and request.reasoning.include
    # Thoughts of a model that does not think are an error to Google, and so are those of one told not to.
    thinks = (plan is None or plan.control is not Control.NONE) and config.get("thinkingBudget") != 0
    if shown and thinks:
        config["includeThoughts"] = True
    return config


def _planned(plan: ReasoningPlan) -> Body:
    match plan.control:
        case Control.NONE | Control.FIXED:
            return {}
        case Control.SWITCH:
            return (
                {} if plan.effort is None else {"thinkingBudget": 0 if plan.effort is Effort.NONE else _AS_IT_SEES_FIT}
            )
        case Control.EFFORT:
            return {} if plan.effort is None else {"thinkingLevel": _level(plan.effort)}
        case Control.BUDGET:
            return {} if plan.budget_tokens is None else {"thinkingBudget": plan.budget_tokens}
        case _:
            assert_never(plan.control)


def _wished(request: CompletionRequest, model: str) -> Body:
    """For a model that the catalogue does not know: what the caller said, where its generation has words for it."""
    asked = request.reasoning
    effort = None if asked is None else asked.effort
    budget = None if asked is None else asked.budget_tokens
    if request.compute_mode is not None and effort is None and budget is None:
        raise unsupported("mode")
    if budget is not None:
        if effort is not None:
            raise unsupported("reasoning.budget_tokens")  # Google takes one of the two
        return {"thinkingBudget": budget}
    if effort is None:
        return {}
    if not thinks_by_level(model):
        if effort is not Effort.NONE:
            raise unsupported("reasoning_effort")
        return {"thinkingBudget": 0}
    return {"thinkingLevel": _level(effort)}


def _level(effort: Effort) -> str:
    level = _LEVELS.get(effort)
    if level is None:
        raise unsupported("reasoning_effort")
    return level
