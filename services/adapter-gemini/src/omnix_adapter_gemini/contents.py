"""A conversation in Gemini's words: ``contents`` and ``systemInstruction``. Pure.

A system's and a developer's messages become one instruction. What an assistant said in several messages becomes one
content, and so do the results of one turn's calls, because Gemini wants them together; a user's message after results
stays apart, because it is what begins a new turn.

Signatures go back to the very kind of part they came on: a call's to the call, a thought's to the thought, and one
without text to the last text. Reasoning of other vendors stays out, since its proof is theirs. A call that opens a step
of the current turn and has no signature, as after a change of the vendor, gets the word that Google documents for
histories of other models: https://ai.google.dev/gemini-api/docs/thought-signatures#faqs.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, assert_never

import msgspec
from omnix_provider.errors import InvalidRequest, UnsupportedParameter
from omnix_provider.types import Audio, File, Image, Message, Part, Reasoned, Role, Text, ToolCall

from omnix_adapter_gemini.dialect import signs_calls, takes_media_in_results
from omnix_adapter_gemini.media import audio, file, image, in_result, unsupported

Body = dict[str, Any]

PROVIDER = "gemini"
UNSIGNED = "skip_thought_signature_validator"


def instruction(messages: Sequence[Message]) -> Body | None:
    """``systemInstruction``, or None when nobody instructs.

    :raises UnsupportedParameter: for an instruction that is no text.
    """
    parts: list[Body] = []
    for number, message in enumerate(messages):
        if message.role not in _INSTRUCTING:
            continue
        _refuse_name(message, f"messages.{number}")
        for position, part in enumerate(message.parts):
            if not isinstance(part, Text):
                raise unsupported(f"messages.{number}.content.{position}")
            if part.text:
                parts.append({"text": part.text})
    return {"parts": parts} if parts else None


_INSTRUCTING = frozenset({Role.SYSTEM, Role.DEVELOPER})


def contents(messages: Sequence[Message], model: str) -> list[Body]:
    """``contents``, oldest first.

    :raises UnsupportedParameter: naming what Gemini cannot be told.
    :raises InvalidRequest: for a result without its call, and for arguments that are no JSON object.
    """
    made: list[Body] = []
    names: dict[str, str] = {}
    turn = _current_turn(messages)
    last: Role | None = None
    for number, message in enumerate(messages):
        where = f"messages.{number}"
        match message.role:
            case Role.SYSTEM | Role.DEVELOPER:
                continue
            case Role.USER:
                _refuse_name(message, where)
                parts = _said(message.parts, where, model)
            case Role.ASSISTANT:
                _refuse_name(message, where)
                called = last is Role.ASSISTANT and any("functionCall" in part for part in made[-1]["parts"])
                opens = not called and number > turn and signs_calls(model)
                parts = _answered(message, where, model, unsigned=opens)
                names.update((call.id, call.name) for call in message.tool_calls)
            case Role.TOOL:
                parts = _result(message, where, names, model)
            case _:
                assert_never(message.role)
        if message.role is last:
            made[-1]["parts"] += parts
        else:
            made.append({"role": "model" if message.role is Role.ASSISTANT else "user", "parts": parts})
        last = message.role
    if not made:
        raise UnsupportedParameter("This provider needs a message that is no instruction.", param="messages")
    return made


def _current_turn(messages: Sequence[Message]) -> int:
    """Where the last message of the user is; -1 for nowhere."""
    return next((at for at in range(len(messages) - 1, -1, -1) if messages[at].role is Role.USER), -1)


def _refuse_name(message: Message, where: str) -> None:
    if message.name:
        raise unsupported(f"{where}.name")


def _said(parts: Sequence[Part], where: str, model: str) -> list[Body]:
    said = [_part(part, f"{where}.content.{at}", model) for at, part in enumerate(parts) if part != _NOTHING]
    return said or [{"text": ""}]


_NOTHING = Text("")


def _part(part: Part, where: str, model: str) -> Body:
    match part:
        case Text():
            return {"text": part.text}
        case Image():
            return image(part, where, model)
        case Audio():
            return audio(part, where)
        case File():
            return file(part, where)
        case _:
            assert_never(part)


def _answered(message: Message, where: str, model: str, *, unsigned: bool) -> list[Body]:
    """What the model said; ``unsigned``: its first call needs a signature, and may not have one."""
    thoughts = [each for each in message.reasoning if each.provider in ("", PROVIDER) and not each.redacted]
    parts = [_thought(each, where) for each in thoughts if each.text]
    texts = [{"text": part.text} for part in _texts(message, where) if part.text]
    if message.refusal:
        texts.append({"text": message.refusal})
    signatures = [
        _signature(each.signature, f"{where}.reasoning") for each in thoughts if each.signature and not each.text
    ]
    if signatures:
        parts += [{"text": "", "thoughtSignature": each} for each in signatures[:-1]]
        if not texts:
            texts.append({"text": ""})
        texts[-1]["thoughtSignature"] = signatures[-1]
    parts += texts
    calls = [_call(call, f"{where}.tool_calls.{at}") for at, call in enumerate(message.tool_calls)]
    if calls and unsigned:
        calls[0].setdefault("thoughtSignature", UNSIGNED)
    return parts + calls or [{"text": ""}]


def _texts(message: Message, where: str) -> Iterator[Text]:
    for position, part in enumerate(message.parts):
        if not isinstance(part, Text):
            raise unsupported(f"{where}.content.{position}")
        yield part


def _thought(thought: Reasoned, where: str) -> Body:
    part: Body = {"text": thought.text, "thought": True}
    if thought.signature:
        part["thoughtSignature"] = _signature(thought.signature, f"{where}.reasoning")
    return part


def _signature(signature: bytes, param: str) -> str:
    try:
        return signature.decode("ascii")
    except UnicodeDecodeError as exc:
        raise InvalidRequest("A signature is not as this provider gave it.", param=param) from exc


def _call(call: ToolCall, where: str) -> Body:
    try:
        arguments = msgspec.json.decode(call.arguments_json or "{}", type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError) as exc:
        param = f"{where}.function.arguments"
        raise InvalidRequest(
            f"{param} is not a JSON object, and this provider takes nothing else.", param=param
        ) from exc
    function: Body = {"name": call.name, "args": arguments}
    if call.id:
        function["id"] = call.id
    part: Body = {"functionCall": function}
    if call.signature:
        part["thoughtSignature"] = _signature(call.signature, f"{where}.signature")
    return part


def _result(message: Message, where: str, names: Mapping[str, str], model: str) -> list[Body]:
    name = names.get(message.tool_call_id) or message.name
    if not name:
        param = f"{where}.tool_call_id"
        raise InvalidRequest(f"{param} is the id of no call before it, so the function is not known.", param=param)
    texts = [part.text for part in message.parts if isinstance(part, Text)]
    # Google's own words for it: https://ai.google.dev/api/caching#FunctionResponse
    said: object = texts[0] if len(texts) == 1 else texts
    response: Body = {"name": name, "response": {"error" if message.tool_failed else "output": said} if texts else {}}
    if message.tool_failed and not texts:
        response["response"] = {"error": ""}
    if message.tool_call_id:
        response["id"] = message.tool_call_id
    inside = takes_media_in_results(model)
    media = [
        in_result(part, f"{where}.content.{at}") if inside else _part(part, f"{where}.content.{at}", model)
        for at, part in enumerate(message.parts)
        if not isinstance(part, Text)
    ]
    if media and inside:
        response["parts"] = media
        media = []
    return [{"functionResponse": response}, *media]
