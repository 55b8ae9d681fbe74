"""What the sandbox answers: a pure function of the request, which a test can compute for itself.

    >>> script.answer(script.user("Grüezi [[tokens=20]]")).text

Only roles and texts of the messages count for the wording, so a request keeps its answer whatever model it is sent to
and however its content is cut into parts.
`[[vary=x]]` and models named `sandbox-vary-x` answer the same messages differently.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

import msgspec

from omnix_sandbox.schema import SchemaError, value_of
from omnix_sandbox.steering import (
    NEUTRAL,
    Steering,
    SteeringError,
    ToolCall,
    steering_of_model,
    steering_of_text,
)
from omnix_sandbox.tokens import count_tokens, tokenize
from omnix_sandbox.words import tokens_from

__all__ = [
    "Answer",
    "FinishReason",
    "Message",
    "Prompt",
    "SchemaError",
    "Steering",
    "SteeringError",
    "Tool",
    "ToolCall",
    "answer",
    "answers",
    "continuing",
    "count_tokens",
    "input_tokens",
    "tokenize",
    "user",
]

SHORTEST: Final = 24
LENGTHS: Final = 97
TOKENS_PER_MESSAGE: Final = 4
TOKENS_PER_ATTACHMENT: Final = 85
TOKENS_PER_PROMPT: Final = 3

_THOUGHT: Final = 0x7468_6F75_6768_7421  # another stretch of the same text
_DEPARTURE: Final = 0x6F74_6865_7277_6973

_JSON = msgspec.json.Encoder(order="sorted")


class FinishReason(StrEnum):
    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"


@dataclass(frozen=True, slots=True)
class Message:
    """One message as the answer sees it: `text` joins its text parts, `attachments` counts the others."""

    role: str
    text: str
    attachments: int = 0
    tool_calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    description: str = ""
    parameters: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Prompt:
    """A request in no vendor's words.

    `model` counts only for what its name steers. `schema` asks for JSON; an empty one for any JSON object.
    `must_call` is the name of a tool that must be called, or `""` for any one.
    `prefix` is how the answer begins, if the caller says so; it is none of the messages.
    `earlier` is how many calls of the same conversation there were before, where that counts.
    """

    messages: tuple[Message, ...]
    model: str = ""
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    choices: int = 1
    tools: tuple[Tool, ...] = ()
    may_call: bool = True
    must_call: str | None = None
    parallel_calls: bool = True
    schema: Mapping[str, Any] | None = None
    prefix: str = ""
    earlier: int = 0

    @cached_property
    def _asked(self) -> tuple[Steering, str]:
        text = next((message.text for message in reversed(self.messages) if message.role == "user"), "")
        steering, rest = steering_of_text(text)
        return steering.over(steering_of_model(self.model)) if self.model else steering, rest

    @property
    def steering(self) -> Steering:
        """What directives and the model's name ask for; a directive goes before the name.

        Raises:
            SteeringError: one of them makes no sense.
        """
        return self._asked[0]

    @property
    def question(self) -> str:
        """The last user message without its directives."""
        return self._asked[1]


@dataclass(frozen=True, slots=True)
class Answer:
    """One choice of an answer; its `tokens` are its deltas, one by one.

    `reasoning` are the tokens of the thoughts before it, which the first choice alone has; a format shows them or not.
    `stopped_by` is the stop sequence that ended the answer; `finish_as` the finish reason to be told in its place, in
    the vendor's own word.
    """

    tokens: Sequence[str]
    finish: FinishReason
    tool_calls: tuple[ToolCall, ...] = ()
    refusal: bool = False
    reasoning: Sequence[str] = ()
    redacted: bool = False
    stopped_by: str | None = None
    finish_as: str | None = None

    @property
    def text(self) -> str:
        return "".join(self.tokens)

    @property
    def reasoning_text(self) -> str:
        return "".join(self.reasoning)

    @property
    def output_tokens(self) -> int:
        """Deltas that a stream of this answer has: the tokens, or for each tool call its name and its arguments.

        Reasoning is not among them.
        """
        return len(self.tokens) + sum(1 + count_tokens(call.arguments or "") for call in self.tool_calls)


def user(text: str, *, system: str | None = None, **prompt: Any) -> Prompt:
    """A prompt of one user message, with a system message before it if given."""
    before = () if system is None else (Message("system", system),)
    return Prompt(messages=(*before, Message("user", text)), **prompt)


def answer(prompt: Prompt) -> Answer:
    """The first choice of what is answered to `prompt`."""
    return answers(replace(prompt, choices=1))[0]


def answers(prompt: Prompt) -> tuple[Answer, ...]:
    """All choices of what is answered to `prompt`.

    Raises:
        SteeringError: a directive or the model's name makes no sense.
        SchemaError: no JSON is known for the schema.
    """
    return tuple(_answer(prompt, prompt.steering, choice) for choice in range(prompt.choices))


def continuing(prompt: Prompt) -> Prompt:
    """The same prompt where a last message of the assistant's is not a turn, but the beginning of the answer."""
    if not prompt.messages or (last := prompt.messages[-1]).role != "assistant" or last.tool_calls or not last.text:
        return prompt
    return replace(prompt, messages=prompt.messages[:-1], prefix=last.text)


def input_tokens(prompt: Prompt) -> int:
    """Tokens of the prompt: each message's text and a few for its frame, attachments at a flat rate, tools as JSON.

    A prompt of which more is to be cached or written to a cache than it has is as long as that.
    """
    total = TOKENS_PER_PROMPT
    for message in prompt.messages:
        total += TOKENS_PER_MESSAGE + count_tokens(message.text) + TOKENS_PER_ATTACHMENT * message.attachments
        for call in message.tool_calls:
            total += count_tokens(call.name) + count_tokens(call.arguments or "")
    if prompt.prefix:
        total += TOKENS_PER_MESSAGE + count_tokens(prompt.prefix)
    for tool in prompt.tools:
        parameters = _JSON.encode(tool.parameters or {}).decode()
        total += count_tokens(tool.name) + count_tokens(tool.description) + count_tokens(parameters)
    return max(total, prompt.steering.cached + prompt.steering.cache_write)


def seed_of(prompt: Prompt, steering: Steering = NEUTRAL, choice: int = 0) -> int:
    """A 64-bit number that roles and texts of the messages determine."""
    digest = hashlib.blake2b(digest_size=8)
    for message in prompt.messages:
        role = "system" if message.role == "developer" else message.role
        digest.update(f"{role}\0{message.text}\0".encode("utf-8", "surrogatepass"))
    if steering.vary or choice:
        digest.update(f"{steering.vary}\0{choice}".encode())
    return int.from_bytes(digest.digest(), "big")


def _answer(prompt: Prompt, steering: Steering, choice: int) -> Answer:
    """The answer; of one whose beginning is given what follows it.

    A beginning that is not this answer's is one more message, by which another answer is found.
    """
    if not prompt.prefix:
        return _whole(prompt, steering, choice)
    whole = _whole(replace(prompt, prefix="", max_tokens=None), steering, choice)
    rest = None if whole.refusal or whole.tool_calls else _after(whole.tokens, prompt.prefix)
    if rest is None:
        said = Message("assistant", prompt.prefix)
        return _whole(replace(prompt, messages=(*prompt.messages, said), prefix=""), steering, choice)
    if prompt.max_tokens is not None and len(rest) > prompt.max_tokens:
        return replace(whole, tokens=rest[: prompt.max_tokens], finish=FinishReason.LENGTH, stopped_by=None)
    return replace(whole, tokens=rest)


def _after(tokens: Sequence[str], prefix: str) -> list[str] | None:
    """The tokens behind `prefix`, or behind it without the white space at its end; None where neither begins them."""
    text = "".join(tokens)
    begun = next((begun for begun in (prefix, prefix.rstrip()) if text.startswith(begun)), None)
    if begun is None:
        return None
    at = len(begun)
    rest: list[str] = []
    for token in tokens:
        if len(token) > at:
            rest.append(token[at:])
        at = max(0, at - len(token))
    return rest


def _whole(prompt: Prompt, steering: Steering, choice: int) -> Answer:
    seed = seed_of(prompt, steering, choice)
    reasoning = () if choice else reasoning_of(seed, steering.reasoning)
    calls = _tool_calls(prompt, steering, seed)
    if calls:
        return Answer(
            (),
            FinishReason.TOOL_CALLS,
            calls,
            reasoning=reasoning,
            redacted=steering.redacted,
            finish_as=steering.finish_as,
        )
    if prompt.schema is not None:
        tokens = tokenize(_json_text(prompt.schema, prompt, seed))
    elif steering.echo:
        tokens = tokenize(prompt.question)
    elif steering.refuse:
        tokens = tokenize("I’m sorry, but I can’t help with that – auch nicht auf Deutsch. 🙏")
    else:
        tokens = tokens_from(seed, SHORTEST + seed % LENGTHS if steering.tokens is None else steering.tokens)
    departs = steering.depart_later if steering.depart is None and prompt.earlier else steering.depart
    if departs is not None and prompt.schema is None:
        tokens[departs:] = tokens_from(seed ^ _DEPARTURE, max(0, len(tokens) - departs))
    finish = FinishReason(steering.finish) if steering.finish else FinishReason.STOP
    stopped_by = None
    if prompt.stop and (stopped := _stopped(tokens, prompt.stop)) is not None:
        (tokens, stopped_by), finish = stopped, FinishReason.STOP
    if prompt.max_tokens is not None and len(tokens) > prompt.max_tokens:
        tokens, finish, stopped_by = tokens[: prompt.max_tokens], FinishReason.LENGTH, None
    return Answer(
        tokens,
        finish,
        refusal=steering.refuse and prompt.schema is None and not steering.echo,
        reasoning=reasoning,
        redacted=steering.redacted,
        stopped_by=stopped_by,
        finish_as=steering.finish_as,
    )


def reasoning_of(seed: int, number: int) -> tuple[str, ...]:
    """`number` tokens of thought before the answer that `seed` makes; another text than the answer's."""
    return tuple(tokens_from(seed ^ _THOUGHT, number)) if number else ()


def _tool_calls(prompt: Prompt, steering: Steering, seed: int) -> tuple[ToolCall, ...]:
    """The calls asked for; results after the last user message mean that they have been made."""
    if not prompt.tools or not prompt.may_call or (prompt.messages and prompt.messages[-1].role == "tool"):
        return ()
    offered = {tool.name: tool for tool in prompt.tools}
    wanted = [call for call in steering.tools if call.name in offered]
    if prompt.must_call is not None:
        wanted = [call for call in wanted if prompt.must_call in ("", call.name)]
        wanted = wanted or [ToolCall(prompt.must_call or prompt.tools[0].name)]
    calls = tuple(
        call if call.arguments is not None else ToolCall(call.name, _arguments(offered.get(call.name), seed))
        for call in wanted
    )
    return calls if prompt.parallel_calls else calls[:1]


def _arguments(tool: Tool | None, seed: int) -> str:
    if tool is None or not tool.parameters:
        return "{}"
    return msgspec.json.encode(value_of(tool.parameters, seed)).decode()


def _json_text(schema: Mapping[str, Any], prompt: Prompt, seed: int) -> str:
    value = value_of(schema, seed) if schema else {"question": prompt.question, "note": "".join(tokens_from(seed, 12))}
    return msgspec.json.encode(value).decode()


def _stopped(tokens: Sequence[str], stops: Sequence[str]) -> tuple[list[str], str] | None:
    """The tokens up to the first stop sequence, and which it is; None where there is none."""
    text = "".join(tokens)
    ends = [(at, stop) for stop in stops if stop and (at := text.find(stop)) >= 0]
    if not ends:
        return None
    at, stop = min(ends)
    return tokenize(text[:at]), stop
