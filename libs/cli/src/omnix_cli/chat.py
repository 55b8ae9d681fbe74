"""``omnix chat``: a question from the command line, or a conversation."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

import msgspec

from omnix_cli.api import ApiError, Gateway, LostError
from omnix_cli.errors import CommandError

_TIMES_RESUMED = 5
_PATH = "/v1/chat/completions"

Message = dict[str, str]


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: str | None = None
    currency: str | None = None


class _Text(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    delta: _Text | None = None
    message: _Text | None = None
    finish_reason: str | None = None


class _Error(msgspec.Struct):
    message: str
    resumable: bool = False


class _Event(msgspec.Struct):
    """A whole answer, a chunk of one, or the error that ends a stream."""

    id: str = ""
    model: str = ""
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: _Error | None = None


@dataclass
class Turn:
    """One question on its way to being answered."""

    stream_id: str = ""
    model: str = ""
    last_event_id: str = ""
    text: list[str] = field(default_factory=list)
    finish_reason: str | None = None
    usage: _Usage | None = None
    sandbox: bool = False
    whole: bool = False

    def take(self, event: _Event) -> str:
        """Note what the event tells, and return the text that it adds."""
        if event.error is not None:
            raise (LostError if event.error.resumable else ApiError)(event.error.message)
        self.stream_id = event.id or self.stream_id
        self.model = self.model or event.model
        self.usage = event.usage or self.usage
        added = ""
        for choice in event.choices:
            told = choice.delta or choice.message or _Text()
            added += told.content or told.refusal or ""
            self.finish_reason = choice.finish_reason or self.finish_reason
        self.text.append(added)
        return added

    def heads(self, headers: Mapping[str, str]) -> None:
        self.model = headers.get("x-omnix-model", self.model)
        self.sandbox = headers.get("x-omnix-sandbox", "").lower() in ("true", "1")

    def summary(self) -> str:
        """Model, tokens and cost in one line."""
        parts = [self.model or "unknown model"]
        if self.sandbox:
            parts.append("SANDBOX")
        if self.usage is not None:
            parts.append(f"{self.usage.prompt_tokens} + {self.usage.completion_tokens} tokens")
            cost = "unpriced" if self.usage.cost is None else f"{self.usage.cost} {self.usage.currency or 'USD'}"
            parts.append(cost)
        if self.finish_reason not in (None, "stop"):
            parts.append(f"ended by {self.finish_reason}")
        return " · ".join(parts)


@dataclass(frozen=True)
class Chat:
    """How questions are asked."""

    gateway: Gateway
    model: str
    system: str | None
    streamed: bool

    def ask(self, said: Sequence[Message]) -> Turn:
        """Ask, and write the answer to standard output as it comes."""
        head = [{"role": "system", "content": self.system}] if self.system else []
        body: dict[str, object] = {"model": self.model, "messages": [*head, *said]}
        turn = Turn()
        if self.streamed:
            write(follow(self.gateway, turn, {**body, "stream": True, "stream_options": {"include_usage": True}}))
        else:
            response = self.gateway.response("POST", _PATH, body=body)
            turn.heads(response.headers)
            sys.stdout.write(turn.take(self.gateway.decode(response.content, _Event)))
        sys.stdout.write("\n")
        sys.stdout.flush()
        return turn


def write(texts: Iterable[str]) -> None:
    """Write to standard output as it comes."""
    for text in texts:
        sys.stdout.write(text)
        sys.stdout.flush()


def follow(gateway: Gateway, turn: Turn, body: Mapping[str, object] | None = None) -> Iterator[str]:
    """The text as it comes. A connection that breaks, or ends resumably, is taken up again where it broke.

    :param body: what is asked; without it the turn names a stream that is there already.
    """
    for _ in range(_TIMES_RESUMED):
        try:
            yield from _piece(gateway, turn, body)
        except LostError:
            if not turn.stream_id:
                raise
        if turn.whole:
            return
    raise CommandError("the connection broke too often; the answer is not whole")


def _piece(gateway: Gateway, turn: Turn, body: Mapping[str, object] | None) -> Iterator[str]:
    if turn.stream_id:
        request = gateway.stream(
            "GET",
            f"/v1/streams/{quote(turn.stream_id, safe='')}?include_usage=true",
            headers={"Last-Event-ID": turn.last_event_id} if turn.last_event_id else None,
        )
    else:
        request = gateway.stream("POST", _PATH, body=body)
    with request as response:
        turn.heads(response.headers)
        for event_id, data in server_sent(response.iter_lines()):
            if data == "[DONE]":
                turn.whole = True
                return
            added = turn.take(gateway.decode(data.encode(), _Event))
            turn.last_event_id = event_id or turn.last_event_id
            yield added
    if not turn.stream_id:
        raise CommandError("the answer broke off before it began")


def server_sent(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Id and data of each event. Comments, and fields that we do not know, are passed over."""
    event_id = ""
    data: list[str] = []
    for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "" if not line:
                if data:
                    yield event_id, "\n".join(data)
                event_id, data = "", []
            case "id":
                event_id = value
            case "data":
                data.append(value)


def once(chat: Chat, prompt: str) -> None:
    turn = chat.ask([{"role": "user", "content": prompt}])
    sys.stderr.write(f"{turn.summary()}\n")


def converse(chat: Chat) -> None:
    """Ask for questions until the end of the input. A question that failed is forgotten."""
    import readline  # noqa: F401 - gives input() its line editing

    sys.stderr.write(f"Talking to {chat.model}. An empty line or Ctrl-D ends it.\n")
    said: list[Message] = []
    while True:
        try:
            question = input("> ").strip()
        except EOFError:
            sys.stderr.write("\n")
            return
        if not question:
            return
        asked: list[Message] = [*said, {"role": "user", "content": question}]
        try:
            turn = chat.ask(asked)
        except CommandError as exc:
            sys.stderr.write(f"omnix: {exc}\n")
            continue
        except KeyboardInterrupt:
            sys.stderr.write("\n(interrupted)\n")
            continue
        sys.stderr.write(f"{turn.summary()}\n")
        said = [*asked, {"role": "assistant", "content": "".join(turn.text)}]
