"""What of another attempt's answer is new to a caller who has its beginning from an attempt that broke off.

The caller ends up with one whole answer of one model, or this attempt fails before it gave anything. Reasoning is left
out: the caller has the first attempt's, and two models' are never joined.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Protocol, assert_never

from msgspec import Struct

from omnix_provider.errors import Departed
from omnix_provider.types import Chunk, TokenLogprob, ToolCall, ToolCallDelta

_HELD_CHARACTERS = 256 * 1024
"""Of what is new, while not all of what the caller has was said again."""


class Way(Enum):
    """How an attempt goes on with an answer that another one began."""

    PREFIX = "prefix"
    """The vendor is given the text, and continues it."""
    RESTART = "restart"
    """The vendor begins anew."""


class Continuation(Struct, frozen=True):
    """What the caller has of an answer, which has one alternative, and how this attempt goes on with it."""

    attempt: int
    """The one that broke off."""
    way: Way
    text: str = ""
    refusal: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    """By their index; each has its whole name, and perhaps only the beginning of its arguments."""

    @property
    def prefix(self) -> str:
        """What the vendor is given as the beginning of its answer.

        Without the white space at its end: some vendors refuse it, and models, whose tokens begin with it, go on badly
        after it.
        """
        return self.text.rstrip() if self.way is Way.PREFIX else ""


class Continuing(Protocol):
    """The answer of one attempt that goes on."""

    def new(self, chunk: Chunk) -> Sequence[Chunk]:
        """The answer's next chunk; gives what is new, which may be none.

        :raises Departed: when the answer is another one than the caller has the beginning of. Nothing was given before,
            unless the vendor tells a tool's name in pieces.
        """


def continuing(continuation: Continuation, provider: str) -> Continuing:
    """For one attempt, whose errors name the provider."""
    match continuation.way:
        case Way.PREFIX:
            return _Continued(continuation, provider)
        case Way.RESTART:
            return _Restarted(continuation, provider)
        case _:
            assert_never(continuation.way)


class _Continued:
    """The vendor repeats nothing, except white space at the seam, which it was not given.

    It may say as much of it as it likes: what the caller has of it is not told twice. An answer that begins with all
    that was given is refused: it may be an echo (https://github.com/SillyTavern/SillyTavern/issues/2557) or not, and
    the caller would have a text twice, or lack one.
    """

    def __init__(self, continuation: Continuation, provider: str) -> None:
        self._provider = provider
        self._echo = _Awaited(continuation.prefix)
        self._blank = continuation.text[len(continuation.prefix) :]
        """White space at the seam that the caller has."""
        self._begun = ""
        self._may_echo = bool(continuation.prefix)
        self._passed = not continuation.text
        """The seam lies behind."""

    def new(self, chunk: Chunk) -> Sequence[Chunk]:
        if self._passed:
            return _said(chunk, chunk.text, chunk.tool_calls, chunk.refusal)
        self._begun += chunk.text
        waits = self._may_echo_all(chunk.text) or (len(self._begun) < len(self._blank) and not self._begun.strip())
        if waits and not (chunk.tool_calls or chunk.refusal or chunk.finish_reason):
            return ()
        blank = self._begun[: len(self._begun) - len(self._begun.lstrip())]
        text = self._begun[_overlap(self._blank, blank) :]
        self._passed, self._begun = True, ""
        return _said(chunk, text, chunk.tool_calls, chunk.refusal)

    def _may_echo_all(self, text: str) -> bool:
        if self._may_echo:
            try:
                self._echo.new(text)
            except _Other:
                self._may_echo = False
        if self._may_echo and self._echo.came:
            raise Departed("The answer, to be continued, begins anew.", provider=self._provider)
        return self._may_echo


class _Restarted:
    """The vendor says it all again. Text, refusal and calls are compared each by itself, as readers put them together.

    What is new is held until everything was said again, because the rest may still depart.
    """

    def __init__(self, continuation: Continuation, provider: str) -> None:
        self._provider = provider
        self._text = _Awaited(continuation.text)
        self._refusal = _Awaited(continuation.refusal)
        self._calls = [_AwaitedCall(call) for call in continuation.tool_calls]
        self._repeated = False
        """All of it was said again."""
        self._held: list[Chunk] = []
        self._held_characters = 0

    def new(self, chunk: Chunk) -> Sequence[Chunk]:
        if self._repeated:
            return self._new(chunk)
        if chunk.choice_index:
            raise self._departed()
        self._held += self._new(chunk)
        self._held_characters += len(chunk.text) + len(chunk.refusal) + sum(map(_characters, chunk.tool_calls))
        self._repeated = self._all_repeated()
        if self._repeated:
            held, self._held = self._held, []
            return held
        if chunk.finish_reason is not None or self._held_characters > self._most():
            raise self._departed()
        return ()

    def _new(self, chunk: Chunk) -> Sequence[Chunk]:
        try:
            text = self._text.new(chunk.text)
            refusal = self._refusal.new(chunk.refusal)
            calls = tuple([call for each in chunk.tool_calls if (call := self._new_of(each)) is not None])
        except _Other:
            raise self._departed() from None
        return _said(chunk, text, calls, refusal)

    def _new_of(self, delta: ToolCallDelta) -> ToolCallDelta | None:
        return self._calls[delta.index].new(delta) if 0 <= delta.index < len(self._calls) else delta

    def _all_repeated(self) -> bool:
        return self._text.came and self._refusal.came and all(call.came for call in self._calls)

    def _most(self) -> int:
        return _HELD_CHARACTERS + self._text.size + self._refusal.size + sum(call.size for call in self._calls)

    def _departed(self) -> Departed:
        return Departed("The answer, begun anew, is not the one that broke off.", provider=self._provider)


class _Other(Exception):
    """Something else was said."""


class _Awaited:
    """A text that is to be said again, in pieces of any size."""

    __slots__ = ("_at", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    @property
    def came(self) -> bool:
        return self._at == len(self._text)

    @property
    def size(self) -> int:
        return len(self._text)

    def new(self, said: str) -> str:
        """The next piece; gives what is beyond the text.

        :raises _Other: when the piece is not the text's next.
        """
        repeated = said[: len(self._text) - self._at]
        if not self._text.startswith(repeated, self._at):
            raise _Other
        self._at += len(repeated)
        return said[len(repeated) :]


class _AwaitedCall:
    """A tool call that is to be made again. Its id, and its signature if it has one, are those that the caller has."""

    __slots__ = ("_arguments", "_is_signed", "_name")

    def __init__(self, call: ToolCall) -> None:
        self._name = _Awaited(call.name)
        self._arguments = _Awaited(call.arguments_json)
        self._is_signed = bool(call.signature)

    @property
    def came(self) -> bool:
        return self._name.came and self._arguments.came

    @property
    def size(self) -> int:
        return self._name.size + self._arguments.size

    def new(self, delta: ToolCallDelta) -> ToolCallDelta | None:
        """:raises _Other: when it is another call; one whose name merely begins with the name is another."""
        if self._name.new(delta.name) or (delta.arguments_json and not self._name.came):
            raise _Other
        arguments = self._arguments.new(delta.arguments_json)
        signature = b"" if self._is_signed else delta.signature
        if not arguments and not signature:
            return None
        return ToolCallDelta(delta.index, arguments_json=arguments, signature=signature)


def _said(chunk: Chunk, text: str, calls: tuple[ToolCallDelta, ...], refusal: str) -> Sequence[Chunk]:
    """The chunk with only this of it, and without reasoning; none when that is nothing."""
    if not text and not calls and not refusal and chunk.finish_reason is None:
        return ()
    if chunk.reasoning is None and text == chunk.text and calls == chunk.tool_calls and refusal == chunk.refusal:
        return (chunk,)
    return (
        Chunk(
            text,
            chunk.choice_index,
            calls,
            None,
            refusal,
            chunk.finish_reason,
            _rest(chunk.logprobs, chunk.text, text),
            _rest(chunk.refusal_logprobs, chunk.refusal, refusal),
        ),
    )


def _rest(logprobs: tuple[TokenLogprob, ...], text: str, rest: str) -> tuple[TokenLogprob, ...]:
    """Of a text's tokens, those that lie wholly in its rest; none when the tokens do not tell where they stand."""
    cut = len(text) - len(rest)
    if cut <= 0 or not logprobs:
        return logprobs
    if "".join([each.token for each in logprobs]) != text:
        return ()
    at = 0
    for position, each in enumerate(logprobs):
        if at >= cut:
            return logprobs[position:]
        at += len(each.token)
    return ()


def _overlap(had: str, said: str) -> int:
    """How many characters that end the one begin the other, at most."""
    return next(size for size in range(min(len(had), len(said)), -1, -1) if had.endswith(said[:size]))


def _characters(delta: ToolCallDelta) -> int:
    return len(delta.name) + len(delta.arguments_json) + len(delta.signature)
