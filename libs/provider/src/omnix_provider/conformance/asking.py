"""Questions as callers ask them, and how to see in a vendor's record that it was asked the same."""

import json
from base64 import b64encode
from collections.abc import Iterator, Sequence

from omnix.completion.v1 import completion_pb2 as pb
from omnix_sandbox import script

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
    b"\x00\x00\x00\rIDATx\x9cc\xf8\x0f\x00\x00\x01\x01\x00\x05\x18\xd8N\x00\x00\x00\x00IEND\xaeB`\x82"
)

Turn = tuple[str, str, int, tuple[tuple[str, object], ...]]
"""Role, text without white space, attachments, calls."""


def conversation(*turns: tuple[str, str]) -> pb.CompletionRequest:
    """Turns of role and text; the role is a word of the contract's, such as ``user``."""
    request = pb.CompletionRequest(model="any")
    for role, text in turns:
        request.messages.add(role=pb.Role.Value(f"ROLE_{role.upper()}")).parts.add(text=text)
    return request


def question(text: str, *, system: str = "") -> pb.CompletionRequest:
    before = [("system", system)] if system else []
    return conversation(*before, ("user", text))


def with_tools(request: pb.CompletionRequest, *names: str) -> pb.CompletionRequest:
    for name in names:
        request.tools.add(name=name, description=f"About {name}.", parameters_json=json.dumps(WEATHER))
    return request


def in_script(request: pb.CompletionRequest) -> script.Prompt:
    """The request in the words of the sandbox's script, as every vendor should understand it."""
    return script.Prompt(
        messages=tuple(
            script.Message(
                pb.Role.Name(message.role).removeprefix("ROLE_").lower(),
                "".join(part.text for part in message.parts) + message.refusal,
                sum(part.WhichOneof("kind") != "text" for part in message.parts),
                tuple(script.ToolCall(call.name, call.arguments_json) for call in message.tool_calls),
            )
            for message in request.messages
        ),
        max_tokens=request.max_output_tokens if request.HasField("max_output_tokens") else None,
        stop=tuple(request.stop),
        choices=request.candidate_count or 1,
    )


def spoken(prompt: script.Prompt) -> list[Turn]:
    """Who says what, free of how vendors lay it out.

    Instructions stand first whoever gives them, and neighbours of one role are one; white space between what was joined
    is the vendor's.
    """
    turns: list[Turn] = []
    told = [_turn(message) for message in prompt.messages]
    for turn in [*(one for one in told if one[0] == "system"), *(one for one in told if one[0] != "system")]:
        if turns and turns[-1][0] == turn[0] != "tool":
            role, text, attachments, calls = turns.pop()
            turns.append((role, text + turn[1], attachments + turn[2], calls + turn[3]))
        else:
            turns.append(turn)
    return turns


def _turn(message: script.Message) -> Turn:
    role = "system" if message.role == "developer" else message.role
    calls = tuple((call.name, json.loads(call.arguments or "{}")) for call in message.tool_calls)
    return role, "".join(message.text.split()), message.attachments, calls


def values(body: str, *names: str) -> list[object]:
    """What the body has by one of these names, wherever it stands; ``max_tokens`` and ``maxTokens`` are one name."""
    wanted = {name.replace("_", "").lower() for name in names}
    return [value for name, value in _named(json.loads(body)) if name in wanted]


def holds(body: str, data: bytes) -> bool:
    """Whether the bytes are in the body, as text or in base64."""
    return b64encode(data).decode() in body or data.decode(errors="replace") in body


def _named(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield str(name).replace("_", "").lower(), each
            yield from _named(each)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for each in value:
            yield from _named(each)
