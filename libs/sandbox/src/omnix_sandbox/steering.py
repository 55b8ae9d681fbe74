"""What a caller asks of one answer beyond the vendor's own parameters.

It is written as directives in the last user message (`[[tokens=200]] [[pace=10/s]]`) or as words of a model's name
(`sandbox-tokens-200-pace-10`).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from json import JSONDecodeError, JSONDecoder
from typing import Final

from omnix_sandbox import quantities
from omnix_sandbox.faults import Fault, begins_fault, parse_fault, take_fault

MAX_TOKENS: Final = 1_000_000
MODEL_PREFIX: Final = "sandbox-"


class SteeringError(ValueError):
    """A directive or a word of a model's name is known but what follows makes no sense; the caller must mend it."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool the answer shall call; `arguments` is JSON as text, None to have it made from the tool's schema."""

    name: str
    arguments: str | None = None


@dataclass(frozen=True, slots=True)
class Steering:
    """Every field's default means "not asked for".

    `pace` is tokens per second, 0 a burst; `first` the seconds before the first token; `vary` makes another text of the
    same messages; `reasoning`, `cached` and `cache_write` are token numbers that usage shall report; `redacted`
    has the reasoning come without its text, where the format can; `finish_as` is a finish reason in the vendor's word.
    `depart` is after how many tokens another text follows, `depart_later` the same in all calls of a conversation but
    its first; `no_prefix` has the beginning of an answer refused.
    """

    tokens: int | None = None
    echo: bool = False
    refuse: bool = False
    finish: str | None = None
    finish_as: str | None = None
    tools: tuple[ToolCall, ...] = ()
    pace: float | None = None
    first: float | None = None
    clock: bool = False
    vary: str = ""
    reasoning: int = 0
    cached: int = 0
    cache_write: int = 0
    redacted: bool = False
    depart: int | None = None
    depart_later: int | None = None
    no_prefix: bool = False
    fault: Fault | None = None

    def over(self, other: "Steering") -> "Steering":
        """This steering where it asks for something, the other's elsewhere."""
        if self == NEUTRAL or other == NEUTRAL:
            return other if self == NEUTRAL else self
        asked = {field.name: value for field in fields(self) if (value := getattr(self, field.name)) != field.default}
        return replace(other, **asked) if asked else other


NEUTRAL: Final = Steering()

_FLAGS: Final[dict[str, dict[str, object]]] = {
    "echo": {"echo": True},
    "empty": {"tokens": 0},
    "redacted": {"redacted": True},
    "refuse": {"refuse": True},
    "clock": {"clock": True},
    "burst": {"pace": 0.0},
    "no-prefix": {"no_prefix": True},
}


def _tokens(text: str) -> int:
    return quantities.count(text, MAX_TOKENS)


def _finish(text: str) -> str:
    if text not in ("stop", "length", "content_filter"):
        raise ValueError(f"{text!r} is not stop, length or content_filter")
    return text


def _finish_as(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_]{1,60}", text):
        raise ValueError(f"{text!r} is not a word")
    return text


_VALUES: Final[dict[str, Callable[[str], object]]] = {
    "tokens": _tokens,
    "pace": quantities.tokens_per_second,
    "first": quantities.seconds,
    "vary": str,
    "reasoning": _tokens,
    "cached": _tokens,
    "cache_write": _tokens,
    "depart": _tokens,
    "depart_later": _tokens,
    "finish": _finish,
    "finish_as": _finish_as,
}

_OPENING = re.compile(r"\[\[([a-z_-]+)(?:\]\]|=)")
_JSON = JSONDecoder()


def steering_of_model(model: str) -> Steering:
    """Read `sandbox-<words>`; a name whose first word means nothing is a plain model.

    Raises:
        SteeringError: the first word means something and the rest does not.
    """
    if not model.startswith(MODEL_PREFIX):
        return NEUTRAL
    words = model.removeprefix(MODEL_PREFIX).split("-")
    asked: dict[str, object] = {}
    at = 0
    try:
        while at < len(words):
            word = words[at]
            pair = "-".join(words[at : at + 2])
            if word in _FLAGS or pair in _FLAGS:
                asked |= _FLAGS[word] if word in _FLAGS else _FLAGS[pair]
                at += 1 if word in _FLAGS else 2
            elif word in _VALUES:
                asked[word] = _VALUES[word](words[at + 1] if at + 1 < len(words) else "")
                at += 2
            elif begins_fault(words[at:]) and "fault" not in asked:
                asked["fault"], used = take_fault(words[at:])
                at += used
            elif at == 0:
                return NEUTRAL
            else:
                raise ValueError(f"{word!r} is not understood here")
    except ValueError as exc:
        raise SteeringError(f"model {model!r}: {exc}") from exc
    return Steering(**asked)  # type: ignore[arg-type]  # the tables above give each field its own type


def steering_of_text(text: str) -> tuple[Steering, str]:
    """Read the directives in `text`; returns them and the text without them, stripped.

    Unknown names stay text.

    Raises:
        SteeringError: a known name with a value that makes no sense.
    """
    if "[[" not in text:
        return NEUTRAL, text.strip()
    asked: dict[str, object] = {}
    tools: list[ToolCall] = []
    rest: list[str] = []
    at = 0
    while opening := _OPENING.search(text, at):
        name, valued = opening[1], opening[0].endswith("=")
        end = opening.end()
        try:
            if not valued and name in _FLAGS:
                asked |= _FLAGS[name]
            elif valued and name == "tool":
                tool, end = _tool(text, end)
                tools.append(tool)
            elif valued and (name in _VALUES or name == "fault"):
                close = text.find("]]", end)
                if close < 0:
                    raise ValueError("]] is missing")
                value = text[end:close].strip()
                asked[name] = parse_fault(value) if name == "fault" else _VALUES[name](value)
                end = close + 2
            else:
                rest.append(text[at:end])
                at = end
                continue
        except ValueError as exc:
            raise SteeringError(f"directive [[{name}]]: {exc}") from exc
        rest.append(text[at : opening.start()])
        at = end
    rest.append(text[at:])
    return Steering(tools=tuple(tools), **asked), "".join(rest).strip()  # type: ignore[arg-type]


def _tool(text: str, at: int) -> tuple[ToolCall, int]:
    """Read `name {json}]]` or `name]]`; the JSON may itself hold brackets."""
    name = re.compile(r"\s*([A-Za-z0-9_.-]{1,64})\s*").match(text, at)
    if name is None:
        raise ValueError("a tool's name must follow")
    if text.startswith("]]", name.end()):
        return ToolCall(name[1]), name.end() + 2
    try:
        _, end = _JSON.raw_decode(text, name.end())
    except (JSONDecodeError, RecursionError) as exc:
        raise ValueError(f"the arguments of {name[1]} are not JSON") from exc
    close = re.compile(r"\s*\]\]").match(text, end)
    if close is None:
        raise ValueError("]] is missing")
    return ToolCall(name[1], text[name.end() : end]), close.end()
