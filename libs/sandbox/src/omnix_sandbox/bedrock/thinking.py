"""How much a model is asked to think: `additionalModelRequestFields` and `outputConfig`, by each model's own rules.

Claude: https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html and
claude-messages-adaptive-thinking.html; Nova: https://docs.aws.amazon.com/nova/latest/nova2-userguide/; read 2026-11-22.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from omnix_sandbox.bedrock import models
from omnix_sandbox.bedrock.errors import extraneous, invalid_for_model
from omnix_sandbox.bedrock.models import Family
from omnix_sandbox.bedrock.wire import ConverseRequest

LEAST_BUDGET: Final = 1024

_T = TypeVar("_T")

_FIELDS: Final[dict[Family, frozenset[str]]] = {
    Family.CLAUDE: frozenset(
        {"thinking", "reasoning_config", "output_config", "top_k", "anthropic_beta", "anthropic_version"}
        | {"context_management", "tool_choice", "tools"}
    ),
    Family.NOVA: frozenset({"reasoningConfig", "inferenceConfig"}),
    Family.OPEN: frozenset({"reasoning_effort", "top_k", "showThinking"}),
    Family.PLAIN: frozenset({"inferenceConfig", "top_k", "safe_prompt", "k", "seed", "max_gen_len"}),
}
_SANDBOX_FIELDS: Final = frozenset().union(*_FIELDS.values())


class _Thinking(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["enabled", "adaptive", "disabled"]
    budget_tokens: int | None = None
    display: Literal["summarized", "omitted"] | None = None


class _Output(msgspec.Struct, forbid_unknown_fields=True):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: dict[str, Any] | None = None


class _NovaReasoning(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["enabled", "disabled"]
    maxReasoningEffort: Literal["low", "medium", "high"] | None = None


class _NovaInference(msgspec.Struct, forbid_unknown_fields=True):
    topK: Annotated[int, Meta(ge=0, le=128)] | None = None


@dataclass(frozen=True, slots=True)
class Thinking:
    """What becomes of the reasoning.

    `asked` is what the request asks for, for the record. `shown` tells whether its text is part of the answer, `signed`
    whether it has a signature and must come back with it, `hidden_text` what stands where it is not shown.
    """

    asked: str | None = None
    shown: bool = False
    signed: bool = False
    hidden_text: str | None = None


def thinking_of(request: ConverseRequest, base: str) -> Thinking:
    """Read what the request asks of the model `base`.

    Raises:
        Refusal: the model knows no such parameter, or refuses the combination.
    """
    family = models.family(base)
    fields = request.additional_model_request_fields or {}
    known = _SANDBOX_FIELDS if family is Family.SANDBOX else _FIELDS[family]
    for name in fields:
        if name not in known:
            raise extraneous("", name)
    if request.output_config is not None and request.output_config.effort and family in (Family.NOVA, Family.PLAIN):
        raise invalid_for_model("This model doesn't support the effort field.")
    if "reasoningConfig" in fields:
        return _nova(request, fields, shown=family is Family.SANDBOX)
    if family is Family.OPEN or "reasoning_effort" in fields:
        return _open(fields)
    if family in (Family.CLAUDE, Family.SANDBOX):
        return _claude(request, base, fields)
    return Thinking()


def _claude(request: ConverseRequest, base: str, fields: Mapping[str, Any]) -> Thinking:
    output = _read("output_config", fields.get("output_config", {}), _Output)
    effort = output.effort or (request.output_config.effort if request.output_config is not None else None)
    adaptive_only = models.thinks_adaptively_only(base)
    if adaptive_only:
        _check_sampling_is_unset(request, fields)
    sandbox = models.family(base) is Family.SANDBOX
    name = "thinking" if "thinking" in fields else "reasoning_config"
    if name not in fields:
        thinks = models.thinks_unasked(base) or (sandbox and effort is not None)
        return Thinking(effort, shown=sandbox and thinks, signed=thinks, hidden_text="" if thinks else None)
    asked = _read(name, fields[name], _Thinking)
    if not sandbox and not models.thinks_by_budget(base) and not adaptive_only:
        raise invalid_for_model(f"{name}: Extra inputs are not permitted")
    if asked.type == "disabled":
        if models.thinks_always(base):
            raise invalid_for_model('"thinking.type.disabled" is not supported for this model.')
        return Thinking(asked="off")
    if request.forces_tool:
        raise invalid_for_model("Thinking may not be enabled when tool_choice forces tool use.")
    if asked.type == "enabled":
        if adaptive_only:
            raise invalid_for_model(
                '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and '
                '"output_config.effort" to control thinking behavior.'
            )
        _check_budget(request, name, asked.budget_tokens)
    elif not sandbox and not models.thinks_adaptively(base):
        raise invalid_for_model("adaptive thinking is not supported on this model")
    _check_sampling(request, fields)
    shown = asked.display == "summarized" or (asked.display is None and not adaptive_only)
    words = str(asked.budget_tokens) if asked.type == "enabled" else effort or "adaptive"
    return Thinking(words, shown=shown, signed=True, hidden_text="")


def _nova(request: ConverseRequest, fields: Mapping[str, Any], *, shown: bool) -> Thinking:
    _read("inferenceConfig", fields.get("inferenceConfig", {}), _NovaInference)
    asked = _read("reasoningConfig", fields["reasoningConfig"], _NovaReasoning)
    if asked.type == "disabled":
        return Thinking(asked="off")
    if asked.maxReasoningEffort is None:
        raise invalid_for_model(
            "Malformed input request: #/reasoningConfig: required key [maxReasoningEffort] not found, please reformat "
            "your input and try again."
        )
    config = request.inference_config
    if asked.maxReasoningEffort == "high" and (
        config.temperature is not None or config.top_p is not None or config.max_tokens is not None
    ):
        raise invalid_for_model("maxTokens, temperature and topP must be unset when maxReasoningEffort is set to high.")
    return Thinking(asked.maxReasoningEffort, shown=shown, hidden_text="[REDACTED]")


def _open(fields: Mapping[str, Any]) -> Thinking:
    effort = fields.get("reasoning_effort")
    if effort not in (None, "low", "medium", "high"):
        raise invalid_for_model(f"Invalid value for 'reasoning_effort': {effort!r} is not one of low, medium, high.")
    return Thinking(effort, shown=True)


def _check_budget(request: ConverseRequest, name: str, budget: int | None) -> None:
    if budget is None:
        raise invalid_for_model(f"{name}.enabled.budget_tokens: Field required")
    if budget < LEAST_BUDGET:
        raise invalid_for_model(
            f"{name}.enabled.budget_tokens: Input should be greater than or equal to {LEAST_BUDGET}"
        )
    if request.inference_config.max_tokens is not None and request.inference_config.max_tokens <= budget:
        raise invalid_for_model(
            "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our documentation at "
            "https://docs.claude.com/en/docs/build-with-claude/extended-thinking#max-tokens-and-context-window-size"
        )


def _check_sampling(request: ConverseRequest, fields: Mapping[str, Any]) -> None:
    config = request.inference_config
    if config.temperature not in (None, 1):
        raise invalid_for_model("`temperature` may only be set to 1 when thinking is enabled.")
    if config.top_p is not None and config.top_p < 0.95:
        raise invalid_for_model("`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.")
    if "top_k" in fields:
        raise invalid_for_model("`top_k` must be unset when thinking is enabled.")


def _check_sampling_is_unset(request: ConverseRequest, fields: Mapping[str, Any]) -> None:
    """They take the defaults, as if nothing had been said."""
    config = request.inference_config
    for name, value in (("temperature", config.temperature), ("top_p", config.top_p), ("top_k", fields.get("top_k"))):
        if value is not None and (name == "top_k" or value != 1):
            raise invalid_for_model(f"`{name}` is deprecated for this model.")


def _read(name: str, value: Any, kind: type[_T]) -> _T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as exc:
        raise invalid_for_model(f"{name}: {exc}") from exc
