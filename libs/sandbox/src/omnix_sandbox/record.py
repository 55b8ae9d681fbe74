"""The sandbox's own account of every call, against which others' books can be checked.

The file is append-only JSON Lines; a call has up to three lines: `accepted` is durable before the answer's first byte
goes out, `finished` follows its last, `closed` tells of the socket.
Times are seconds since the epoch, by the vendor's clock.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Final

import msgspec

from omnix_sandbox.script import Prompt

FILE_NAME: Final = "calls.jsonl"


class Outcome(StrEnum):
    """How a call ended.

    COMPLETED: all that was to be sent was sent. REFUSED: an error status was answered. BROKEN: the sandbox broke off on
    purpose. LEFT: the caller closed first. STOPPED: the sandbox was shut down.
    """

    COMPLETED = "completed"
    REFUSED = "refused"
    BROKEN = "broken"
    LEFT = "left"
    STOPPED = "stopped"


class Operation(StrEnum):
    """What a call asks for."""

    CHAT = "chat"
    EMBEDDINGS = "embeddings"


class Accepted(msgspec.Struct, tag_field="event", tag="accepted", omit_defaults=True, frozen=True):
    call: str
    time: float
    vendor: str
    request_id: str | None = None
    model: str | None = None
    stream: bool = False
    input_tokens: int = 0
    answer_id: str | None = None
    fault: str | None = None
    rule: str | None = None
    operation: Operation = Operation.CHAT
    reasoning: str | None = None
    prompt: Prompt | None = None
    body: str | None = None


class Finished(msgspec.Struct, tag_field="event", tag="finished", omit_defaults=True, frozen=True):
    call: str
    time: float
    outcome: Outcome
    status: int = 0
    produced_tokens: int = 0
    output_tokens: int = 0
    usage_sent: bool = False
    bytes_sent: int = 0
    first_due: float | None = None
    interval: float = 0.0
    stall_after: int | None = None
    stall_seconds: float = 0.0


class Closed(msgspec.Struct, tag_field="event", tag="closed", frozen=True):
    call: str
    time: float
    by: str


class Cleared(msgspec.Struct, tag_field="event", tag="cleared", frozen=True):
    """Everything before was forgotten on request."""

    time: float


Event = Accepted | Finished | Closed | Cleared


class Call(msgspec.Struct, omit_defaults=False):
    """All that is known of one call.

    `request_id` is the caller's `X-Client-Request-Id`; `call` is what the answer's request-id header says.
    `reasoning` is how much of it the request asked for, in the vendor's words.
    `prompt` is a chat in the script's words and `body` the request as it came; both are there if they are to be kept.
    `produced_tokens` counts deltas handed to the socket, or all tokens of a unary answer that was sent whole.
    `output_tokens` is what the vendor bills: usage's number for a whole answer, whether it was sent or not, the tokens
    produced for a broken one, nothing for a refusal.
    `closed_time` is known once the socket of the call is closed, which for a kept-alive connection may be much later,
    and stays unknown where the connection went on to serve another call.
    """

    call: str
    accepted_time: float
    vendor: str
    request_id: str | None = None
    model: str | None = None
    stream: bool = False
    input_tokens: int = 0
    answer_id: str | None = None
    fault: str | None = None
    rule: str | None = None
    operation: Operation = Operation.CHAT
    reasoning: str | None = None
    prompt: Prompt | None = None
    body: str | None = None
    outcome: Outcome | None = None
    finished_time: float | None = None
    status: int = 0
    produced_tokens: int = 0
    output_tokens: int = 0
    usage_sent: bool = False
    bytes_sent: int = 0
    first_due: float | None = None
    interval: float = 0.0
    stall_after: int | None = None
    stall_seconds: float = 0.0
    closed_time: float | None = None
    closed_by: str | None = None

    _FINISHED: ClassVar[tuple[str, ...]] = tuple(
        name for name in Finished.__struct_fields__ if name not in ("call", "time")
    )

    @classmethod
    def of(cls, event: Accepted) -> "Call":
        return cls(
            call=event.call,
            accepted_time=event.time,
            vendor=event.vendor,
            request_id=event.request_id,
            model=event.model,
            stream=event.stream,
            input_tokens=event.input_tokens,
            answer_id=event.answer_id,
            fault=event.fault,
            rule=event.rule,
            operation=event.operation,
            reasoning=event.reasoning,
            prompt=event.prompt,
            body=event.body,
        )

    def add(self, event: Finished | Closed) -> None:
        if isinstance(event, Closed):
            self.closed_time, self.closed_by = event.time, event.by
            return
        self.finished_time = event.time
        for name in self._FINISHED:
            setattr(self, name, getattr(event, name))

    def due_times(self) -> list[float]:
        """When each produced token of a stream was due, by the vendor's clock."""
        if self.first_due is None:
            return []
        stalled = self.produced_tokens if self.stall_after is None else self.stall_after
        return [
            self.first_due + at * self.interval + (self.stall_seconds if at >= stalled else 0.0)
            for at in range(self.produced_tokens)
        ]


_decoder = msgspec.json.Decoder(Event)


def events(path: Path) -> Iterator[Event]:
    """The record's lines in order.

    A line that does not parse was torn by a crash in mid-write, so nothing was answered upon it; it is passed over.
    """
    with path.open("rb") as lines:
        for line in lines:
            try:
                yield _decoder.decode(line)
            except msgspec.DecodeError:
                continue


def merge(stream: Iterable[Event]) -> dict[str, Call]:
    """Calls by their id, in the order in which they were accepted."""
    calls: dict[str, Call] = {}
    for event in stream:
        match event:
            case Accepted():
                calls[event.call] = Call.of(event)
            case Cleared():
                calls.clear()
            case Finished() | Closed():
                if (call := calls.get(event.call)) is not None:
                    call.add(event)
    return calls


def read(path: Path) -> list[Call]:
    """Read a record, also one of a sandbox that still runs or was killed; `path` is the file or its directory."""
    file = path / FILE_NAME if path.is_dir() else path
    return list(merge(events(file)).values())
