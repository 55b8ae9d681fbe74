"""How a model is told to reason, by its family, and what that forbids beside it.

- Claude up to 4.6 takes a number of tokens, at least 1,024 and less than the answer's limit:
  https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html
- Claude from 4.6 on decides by itself and takes an effort, which Converse carries in ``outputConfig``:
  https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-adaptive-thinking.html
- Nova 2 takes an effort: https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html
- gpt-oss takes an effort: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-openai.html
- GPT takes an effort in the words of OpenAI's newer interface, as an answer of AWS's shows:
  https://github.com/vercel/ai/blob/3ab63321296fe317661ec2c3611ebdf1b24fa1db/packages/amazon-bedrock/src/__fixtures__/amazon-bedrock-openai-cris-reasoning-effort-error.json
- Claude whose answer is begun cannot think, because the answer would have to begin with a thought, and nobody else
  need: https://docs.claude.com/en/docs/prefill-claudes-response
- any other model that is told an effort is told it in Converse's own words.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never

from omnix_provider.types import Attempt, CompletionRequest, Control, Effort

from omnix_adapter_bedrock.families import Family, Kind
from omnix_adapter_bedrock.translate.saying import Body, unsupported

LEAST_BUDGET = 1024
_EFFORT = "reasoning_effort"
_BUDGET = "reasoning.budget_tokens"
_CONVERSE_WORDS: Mapping[Effort, str] = {
    Effort.LOW: "low",
    Effort.MEDIUM: "medium",
    Effort.HIGH: "high",
    Effort.EXTRA_HIGH: "xhigh",
    Effort.MAX: "max",
}
_OPENAIS_WORDS: Mapping[Effort, str] = {
    Effort.NONE: "none",
    Effort.MINIMAL: "minimal",
    Effort.LOW: "low",
    Effort.MEDIUM: "medium",
    Effort.HIGH: "high",
    Effort.EXTRA_HIGH: "xhigh",
    Effort.MAX: "max",
}
_THREE_WORDS: Mapping[Effort, str] = {Effort.LOW: "low", Effort.MEDIUM: "medium", Effort.HIGH: "high"}
_WITHOUT = frozenset({Kind.NOVA, Kind.TITAN, Kind.LLAMA, Kind.COHERE, Kind.AI21})


@dataclass(frozen=True, slots=True)
class Thinking:
    """What is sent of it, and what follows from it."""

    fields: Body = field(default_factory=dict)
    """Of ``additionalModelRequestFields``."""
    effort: str = ""
    """Of ``outputConfig``."""
    budget: int = 0
    bound: bool = False
    """Claude thinks, so it must be left to draw tokens as it does."""
    aloud: bool = False
    """Claude is asked to think, so it cannot be made to call a tool."""
    exhaustive: bool = False
    """Nova 2 thinks as much as it can, and takes neither sampling nor a limit."""


@dataclass(frozen=True, slots=True)
class _Wish:
    effort: Effort | None = None
    budget: int | None = None
    seen: bool = False
    """The caller wants to see it."""


def thinking_of(request: CompletionRequest, attempt: Attempt, family: Family, *, begun: bool = False) -> Thinking:
    """What is said of it.

    :param begun: whether the answer's beginning is given.
    :raises UnsupportedParameter: when the family cannot be told so.
    """
    if begun and family.kind in (Kind.CLAUDE, Kind.NOVA_2, Kind.OPAQUE):
        return Thinking()
    wish = _wish(request, attempt)
    if wish.budget is not None and wish.effort is not None:
        raise unsupported(_BUDGET, "It takes either an effort or a budget.")
    if wish.budget:
        return _budget(wish.budget, family, wish.seen)
    effort = Effort.NONE if wish.budget == 0 else wish.effort
    if effort is None:
        if wish.seen and family.thinks_unasked:
            return Thinking({"thinking": {"type": "adaptive", "display": "summarized"}}, bound=True, aloud=True)
        return Thinking(bound=family.thinks_unasked)
    match family.kind:
        case Kind.CLAUDE:
            return _claude(effort, family, wish.seen)
        case Kind.NOVA_2:
            if effort is Effort.NONE:
                return Thinking({"reasoningConfig": {"type": "disabled"}})
            word = _word(effort, _THREE_WORDS)
            fields = {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": word}}
            return Thinking(fields, exhaustive=word == "high")
        case Kind.GPT_OSS:
            return Thinking({"reasoning_effort": _word(effort, _THREE_WORDS)})
        case Kind.GPT:
            return Thinking({"reasoning": {"effort": _word(effort, _OPENAIS_WORDS)}})
        case _ if effort is Effort.NONE and (family.kind in _WITHOUT or wish.budget == 0):
            return Thinking()  # it does not reason, or not unless it is given a budget
        case _ if family.kind in _WITHOUT:
            raise unsupported(_EFFORT)
        case _:
            return Thinking(effort=_word(effort, _CONVERSE_WORDS))


def _wish(request: CompletionRequest, attempt: Attempt) -> _Wish:
    asked = request.reasoning
    seen = asked is not None and asked.include
    plan = attempt.reasoning
    if plan is None:
        if request.compute_mode is not None:
            raise unsupported("mode", "It is not known how this model's reasoning is controlled.")
        return _Wish(seen=seen) if asked is None else _Wish(asked.effort, asked.budget_tokens, seen)
    match plan.control:
        case Control.NONE | Control.FIXED:
            return _Wish(seen=seen)
        case Control.SWITCH | Control.EFFORT:
            return _Wish(effort=plan.effort, seen=seen)
        case Control.BUDGET:
            return _Wish(budget=plan.budget_tokens, seen=seen)
        case _:
            assert_never(plan.control)


def _budget(budget: int, family: Family, seen: bool) -> Thinking:
    if not family.budgets:
        raise unsupported(_BUDGET)
    if budget < LEAST_BUDGET:
        raise unsupported(_BUDGET, f"It must be at least {LEAST_BUDGET}.")
    return Thinking({"thinking": {"type": "enabled", "budget_tokens": budget}}, budget=budget, bound=True, aloud=True)


def _claude(effort: Effort, family: Family, seen: bool) -> Thinking:
    if effort is Effort.NONE:
        # Sending ``disabled`` to one that does not think unasked is refused by some of them.
        return Thinking({"thinking": {"type": "disabled"}} if family.thinks_unasked else {})
    if not family.adapts:
        raise unsupported(_EFFORT)
    thinking: Body = {"type": "adaptive"}
    if seen and not family.samples:
        thinking["display"] = "summarized"  # from 4.7 on the text is left out unless it is asked for
    return Thinking({"thinking": thinking}, effort=_word(effort, _CONVERSE_WORDS), bound=True, aloud=True)


def _word(effort: Effort, words: Mapping[Effort, str]) -> str:
    word = words.get(effort)
    if word is None:
        raise unsupported(_EFFORT)
    return word
