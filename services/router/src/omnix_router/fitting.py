"""Which targets can do what is asked, before any of them is called. Pure.

What the catalogue does not know is not judged: the vendor is asked. Two things are left to the vendor although the
catalogue knows them, because its numbers may be older than the model: whether the prompt fits into the context window,
and whether the model can write as many tokens as were asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from omnix_kit.errors import CallerError, Reason

from omnix_router.reasoning import NotPlanned, Wish
from omnix_router.reasoning import plan as plan_reasoning
from omnix_router.routing import Plan, Target

_LACKS = {
    "image": "takes no images.",
    "audio": "takes no sound.",
    "video": "takes no films.",
    "file": "takes no files.",
    "system": "takes no system messages.",
    "tools": "takes no tools.",
    "json": "cannot be held to JSON.",
    "json_schema": "cannot be held to a JSON schema.",
    "logprobs": "tells no log probabilities.",
    "streaming": "does not stream.",
}
CAPABILITIES = frozenset(_LACKS)
"""Those of a catalogue's model that a request may need."""
_MAX_TOLD = 5


@dataclass(frozen=True, slots=True)
class Need:
    """What a model must be able to do for a request."""

    capability: str
    """One of ``CAPABILITIES``."""
    param: str
    """The parameter that asks for it, as callers write it."""


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why a target cannot do what is asked."""

    lacks: str
    """A capability, ``chat``, ``reasoning`` or ``dimensions``."""
    param: str
    why: str
    """A sentence that begins after the model's name."""


class NoneFits(CallerError):
    """No target can do what is asked."""

    def __init__(self, message: str, unfit: Unfit) -> None:
        # A wrong kind of model is no parameter too many, but another model to be named.
        reason = Reason.INVALID_REQUEST if unfit.param == "model" else Reason.UNSUPPORTED_PARAMETER
        super().__init__(message, reason=reason, param=unfit.param)
        self.lacks = unfit.lacks


def for_chat(plan: Plan, needs: Sequence[Need], wish: Wish, *, strict: bool) -> tuple[Plan, Sequence[Unfit]]:
    """Leave out targets that cannot do what a completion needs, and plan the reasoning of the others.

    :return: what is left, and why others are not.
    :raises NoneFits: ``UNSUPPORTED_PARAMETER`` or ``INVALID_REQUEST``, naming what is too much for each.
    """
    return _left(plan, [_for_chat(target, needs, wish, strict) for target in plan.targets])


def for_embeddings(plan: Plan, dimensions: int | None) -> tuple[Plan, Sequence[Unfit]]:
    """Leave out targets that make no embeddings, or none of the length that is asked for.

    :return: what is left, and why others are not.
    :raises NoneFits: ``UNSUPPORTED_PARAMETER`` or ``INVALID_REQUEST``, naming what is too much for each.
    """
    return _left(plan, [_for_embeddings(target, dimensions) for target in plan.targets])


def _for_chat(target: Target, needs: Sequence[Need], wish: Wish, strict: bool) -> Target | Unfit:
    model = target.entry
    if model is None:
        return target
    if capabilities := model.capabilities:
        if "embeddings" in capabilities:
            return Unfit("chat", "model", "makes embeddings and does not chat.")
        for need in needs:
            if need.capability not in capabilities:
                return Unfit(need.capability, need.param, _LACKS[need.capability])
    if model.reasoning is None:
        return target
    planned = plan_reasoning(model.reasoning, wish, model.max_output_tokens, strict=strict)
    if isinstance(planned, NotPlanned):
        return Unfit("reasoning", planned.param, planned.why)
    return Target(target.provider, target.model, model, target.weight, planned, target.route)


def _for_embeddings(target: Target, dimensions: int | None) -> Target | Unfit:
    model = target.entry
    if model is None:
        return target
    if model.capabilities and not model.embeds:
        return Unfit("embeddings", "model", "chats and makes no embeddings.")
    if dimensions is not None and model.dimensions and dimensions not in model.dimensions:
        lengths = " or ".join(str(length) for length in sorted(model.dimensions))
        return Unfit("dimensions", "dimensions", f"makes vectors of {lengths} numbers, not of {dimensions}.")
    return target


def _left(plan: Plan, judged: Sequence[Target | Unfit]) -> tuple[Plan, Sequence[Unfit]]:
    fitted = [one for one in judged if isinstance(one, Target)]
    unfit = [one for one in judged if isinstance(one, Unfit)] if len(fitted) < len(judged) else ()
    if not fitted:
        raise _none_fits(plan, list(zip(plan.targets, unfit, strict=True)))
    # Not by replace(), which takes longer than all else here.
    targets = tuple(fitted[:1]) if plan.alone else tuple(fitted)
    return Plan(targets, plan.route, plan.limits, plan.policy, plan.alone, plan.mirror, plan.plugins), unfit


def _none_fits(plan: Plan, unfit: Sequence[tuple[Target, Unfit]]) -> NoneFits:
    told = [f"{target.id} {reason.why}" for target, reason in unfit[:_MAX_TOLD]]
    if plan.route:
        message = f"No target of the route '{plan.route}' can do what is asked: {' '.join(told)}"
    elif len(unfit) == 1:
        message = f"The model {told[0]}"
    else:
        message = f"None of the models can do what is asked: {' '.join(told)}"
    return NoneFits(message, unfit[0][1])
