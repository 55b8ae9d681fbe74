"""What a model takes of a chat completion's parameters: reasoning models refuse much.

https://developers.openai.com/api/docs/guides/reasoning and the pages of the models, read 2026-11-22; the messages as
callers have reported them, such as https://github.com/openai/openai-agents-python/issues/2089.
"""

import re
from typing import Final

from omnix_sandbox.openai import continuing
from omnix_sandbox.openai.errors import Refusal, unknown_parameter
from omnix_sandbox.openai.request import ChatRequest

_NUMBERED: Final = re.compile(r"gpt-(\d+)(?:\.(\d+))?")
_TEXT_ONLY: Final = ("gpt-3.5", "gpt-4-0613", "o3-mini")
_SAMPLING: Final = (
    *("temperature", "top_p", "presence_penalty", "frequency_penalty"),
    *("logprobs", "top_logprobs", "logit_bias"),
)
_DEFAULTS: Final = {"temperature": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0}


def check(request: ChatRequest) -> None:
    """Refuse what the request's model does not take; the sandbox's own models take everything.

    Raises:
        Refusal: 400, with the parameter's name.
    """
    model = request.model
    if model.startswith("sandbox-"):
        if (wrong := continuing.complaint(request)) is not None:
            raise Refusal(400, wrong, param=continuing.parameter_of(request))
        return
    if (unknown := continuing.parameter_of(request)) is not None:
        raise unknown_parameter(unknown)
    if not efforts(model):
        if request.reasoning_effort is not None:
            raise Refusal(400, "Unrecognized request argument supplied: reasoning_effort")
        if request.verbosity not in (None, "medium"):
            raise Refusal(
                400,
                f"Unsupported value: 'verbosity' does not support '{request.verbosity}' with this model. Supported "
                "values are: 'medium'.",
                param="verbosity",
                code="unsupported_value",
            )
    else:
        _check_reasoning(request)
    _check_parts(request)


def efforts(model: str) -> tuple[str, ...]:
    """The values of `reasoning_effort` that a model takes; none if it does not reason."""
    if model.startswith(("o1", "o3", "o4")):
        return ("low", "medium", "high")
    match _version(model):
        case (5, 0):
            return ("minimal", "low", "medium", "high")
        case (5, 1):
            return ("none", "low", "medium", "high")
        case (5, _):
            return ("none", "low", "medium", "high", "xhigh")
        case (major, _) if major > 5:
            return ("none", "low", "medium", "high", "xhigh", "max")
        case _:
            return ()


def _version(model: str) -> tuple[int, int]:
    found = _NUMBERED.match(model)
    return (int(found[1]), int(found[2] or 0)) if found is not None else (0, 0)


def _check_reasoning(request: ChatRequest) -> None:
    if request.max_tokens is not None:
        raise Refusal(
            400,
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
            param="max_tokens",
            code="unsupported_parameter",
        )
    supported = efforts(request.model)
    asked = request.reasoning_effort
    if asked is not None and asked not in supported:
        *most, last = (f"'{effort}'" for effort in supported)
        raise Refusal(
            400,
            f"Unsupported value: 'reasoning_effort' does not support '{asked}' with this model. Supported values are: "
            f"{', '.join(most)}, and {last}.",
            param="reasoning_effort",
            code="unsupported_value",
        )
    if asked == "none" or (asked is None and (5, 1) <= _version(request.model) <= (5, 4)):
        return  # who does not reason samples like any other; GPT-5.1 to 5.4 don't unless they are told to
    for name in _SAMPLING:
        _check_sampling(request, name)
    if request.stop is not None and not request.model.startswith(("o1", "o3-mini")):
        raise _unsupported("stop")
    if request.parallel_tool_calls is not None and request.model.startswith(("o1", "o3", "o4")):
        raise _unsupported("parallel_tool_calls")


def _check_sampling(request: ChatRequest, name: str) -> None:
    value = getattr(request, name)
    if value in (None, False) or (name in _DEFAULTS and value == _DEFAULTS[name]):
        return
    if name == "temperature" and not request.model.startswith("o"):
        raise Refusal(
            400,
            f"Unsupported value: 'temperature' does not support {value:g} with this model. Only the default (1) value "
            "is supported.",
            param="temperature",
            code="unsupported_value",
        )
    raise _unsupported(name)


def _unsupported(name: str) -> Refusal:
    return Refusal(
        400,
        f"Unsupported parameter: '{name}' is not supported with this model.",
        param=name,
        code="unsupported_parameter",
    )


def _check_parts(request: ChatRequest) -> None:
    for at, message in enumerate(request.messages):
        for number, part in enumerate(message.content if isinstance(message.content, list) else ()):
            place = f"messages.[{at}].content.[{number}]"
            if part.type == "image_url" and (request.model == "gpt-4" or request.model.startswith(_TEXT_ONLY)):
                raise Refusal(
                    400,
                    "Invalid content type. image_url is only supported by certain models.",
                    param=f"{place}.type",
                )
            if part.prompt_cache_breakpoint is not None and _version(request.model) < (5, 6):
                raise unknown_parameter(f"{place}.prompt_cache_breakpoint")
