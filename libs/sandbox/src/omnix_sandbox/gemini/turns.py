"""What Google sees to in a conversation: whose turn it is, calls and their responses, and its own thought signatures.

https://ai.google.dev/gemini-api/docs/thought-signatures (2026-11); the words of the refusals are those of
https://github.com/lbjlaq/Antigravity-Manager/issues/733, https://github.com/google-gemini/gemini-cli/issues/13467 and,
of Vertex AI, https://github.com/GewoonJaap/gemini-cli-openai/issues/156, https://github.com/decolua/9router/issues/301.
"""

from base64 import b64encode
from binascii import Error
from collections.abc import Sequence
from typing import Final

from omnix_sandbox import signatures
from omnix_sandbox.gemini.errors import Refusal, invalid_argument
from omnix_sandbox.gemini.models import is_third, takes_prefix
from omnix_sandbox.gemini.request import Content, Part
from omnix_sandbox.gemini.wire import decoded

STAND_INS: Final = frozenset({"skip_thought_signature_validator", "context_engineering_is_the_way_to_go"})
"""What Google takes in a signature's place, for calls that it did not make itself."""

_ROLES: Final = frozenset({"", "user", "model", "function"})


def sign(answer_id: str, at: int) -> str:
    """The signature of an answer's thought, in base64."""
    return signatures.seal(f"{answer_id}/{at}").decode()


def check(contents: Sequence[Content], model: str, *, vertex: bool) -> None:
    """See that a conversation can be gone on with.

    Raises:
        Refusal: 400.
    """
    for at, content in enumerate(contents):
        if content.role not in _ROLES:
            raise invalid_argument("Please use a valid role: user, model.")
        _check_turn(contents, at)
        for part in content.parts:
            if part.thought_signature is not None and not _is_ours(part.thought_signature):
                raise _corrupted(vertex)
    if contents and contents[-1].role == "model" and not takes_prefix(model):
        raise ends_with_model()
    if is_third(model):
        _check_signatures(contents, vertex)


def ends_with_model() -> Refusal:
    """As in https://github.com/pipecat-ai/pipecat/pull/5821."""
    return invalid_argument("Requests ending with a model turn are not supported.")


def _calls(content: Content) -> list[Part]:
    return [part for part in content.parts if part.function_call is not None]


def _responses(content: Content) -> list[Part]:
    return [part for part in content.parts if part.function_response is not None]


def _check_turn(contents: Sequence[Content], at: int) -> None:
    """Calls follow the user or responses; responses follow as many calls."""
    content = contents[at]
    before = contents[at - 1] if at else None
    if _calls(content) and (before is None or before.role == "model"):
        raise invalid_argument(
            "Please ensure that function call turn comes immediately after a user turn or after a function response "
            "turn."
        )
    if not (responses := _responses(content)):
        return
    calls = _calls(before) if before is not None else []
    if not calls:
        raise invalid_argument(
            "Please ensure that function response turn comes immediately after a function call turn."
        )
    if len(calls) != len(responses):
        raise invalid_argument(
            "Please ensure that the number of function response parts is equal to the number of function call parts of "
            "the function call turn."
        )


def _is_ours(signature: str) -> bool:
    if signature in STAND_INS:
        return True
    try:
        data = decoded(signature)
    except (Error, ValueError):
        return False
    return signatures.is_sealed(b64encode(data)) or data.decode(errors="replace") in STAND_INS


def _check_signatures(contents: Sequence[Content], vertex: bool) -> None:
    """In the current turn, which begins with what the user said last, each step's first call is signed."""
    begin = 0
    for at, content in enumerate(contents):
        if content.role != "model" and not _responses(content):
            begin = at
    for at in range(begin, len(contents)):
        calls = _calls(contents[at])
        if calls and calls[0].thought_signature is None and calls[0].function_call is not None:
            raise _unsigned(calls[0].function_call.name, at + 1, vertex)


def _corrupted(vertex: bool) -> Refusal:
    if vertex:
        return invalid_argument(
            "Unable to submit request because Thought signature is not valid.. Learn more: "
            "https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/gemini"
        )
    return invalid_argument("Corrupted thought signature.")


def _unsigned(name: str, position: int, vertex: bool) -> Refusal:
    if vertex:
        return invalid_argument(
            f"Unable to submit request because function call `{name}` in the {position}. content block is missing a "
            "`thought_signature`. Learn more: "
            "https://docs.cloud.google.com/vertex-ai/generative-ai/docs/thought-signatures"
        )
    return invalid_argument(
        "Function call is missing a thought_signature in functionCall parts. This is required for tools to work "
        "correctly, and missing thought_signature may lead to degraded model performance. Additional data, function "
        f"call `default_api:{name}` , position {position}. Please refer to "
        "https://ai.google.dev/gemini-api/docs/thought-signatures for more details."
    )
