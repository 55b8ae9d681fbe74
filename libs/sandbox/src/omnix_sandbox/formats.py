"""What a vendor's wire format has to say for itself, so that `calls` can answer in it, well or badly.

A vendor is a package: a `Format` for what all its calls share, and one kind of `Asked` for each thing that can be asked
of it, which reads the request and makes the bytes of the answer.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import ClassVar, Final

from omnix_sandbox import script
from omnix_sandbox.faults import Fault
from omnix_sandbox.record import Operation
from omnix_sandbox.script import Answer
from omnix_sandbox.steering import Steering

JSON: Final = "application/json"


@dataclass(eq=False)
class Refusal(Exception):
    """A request that gets this answer in place of the model's: mostly an error status and the vendor's envelope."""

    status: int
    body: bytes
    _: KW_ONLY
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON


@dataclass(frozen=True, slots=True)
class Billing:
    """What a vendor counts, in the sandbox's terms: input includes what is cached and written, output the reasoning.

    Each format converts them to its own.
    """

    input_tokens: int
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Making:
    """What an answer's bytes are made from; without `billing` it tells no usage."""

    call: str
    answer_id: str | None
    answers: tuple[Answer, ...]
    billing: Billing | None
    latency_ms: int = 0


@dataclass(frozen=True, slots=True)
class StreamBytes:
    """A stream's pieces in their order: `opening`, for each token `prefix` and its entry of `tails`, then the rest.

    `finish` tells the finish reason, `usage` the usage, `done` is the format's end marker; each may be empty, and what
    one event tells together is part of the first of them. `tells_usage` is whether usage is in any of them.
    `stamped` puts `[[clock]]`'s time in front of one tail's text; without it the time goes between prefix and tail, and
    `stampable` says whether that makes sense.
    """

    content_type: str
    opening: bytes
    prefix: bytes
    tails: Sequence[bytes]
    finish: bytes
    usage: bytes = b""
    done: bytes = b""
    tells_usage: bool = False
    stampable: bool = False
    stamped: Callable[[bytes, bytes], bytes] | None = None


class Asked(ABC):
    """One request that its vendor understood."""

    operation: ClassVar[Operation] = Operation.CHAT
    model: str
    stream: bool = False
    """Only an `AskedChat`'s may be true."""

    @property
    @abstractmethod
    def steering(self) -> Steering:
        """What directives and the model's name ask for.

        Raises:
            SteeringError: one of them makes no sense.
        """

    @property
    def reasoning(self) -> str | None:
        """How much reasoning the request asks for in the vendor's words (`high`, `1024`), for the record."""
        return None

    @property
    def shows_reasoning(self) -> bool:
        """Whether the answer's reasoning tokens are among its deltas."""
        return False

    @property
    def conversation(self) -> int:
        """What the calls of one conversation have in common, at whatever vendor; 0 where there is none."""
        return 0

    @abstractmethod
    def input_tokens(self) -> int: ...

    def answers(self) -> tuple[Answer, ...]:
        """What is answered; nothing where the answer is no text.

        Raises:
            SchemaError: no JSON is known for the schema that was asked for.
        """
        return ()

    @abstractmethod
    def unary(self, making: Making) -> bytes:
        """The whole body."""

    def head_fields(self, making: Making) -> Mapping[str, str]:
        """Headers that a whole answer has beyond those of every answer."""
        return {}

    def refusal(self, fault: Fault) -> Refusal | None:
        """The answer to this request where it has its own for what a fault orders; None where the format's will do."""
        return None


class AskedChat(Asked):
    """A request for a text, whole or as a stream; `prompt` is it in the script's words."""

    prompt: script.Prompt

    @property
    def steering(self) -> Steering:
        return self.prompt.steering

    @property
    def conversation(self) -> int:
        return script.seed_of(self.prompt)

    def input_tokens(self) -> int:
        return script.input_tokens(self.prompt)

    def answers(self) -> tuple[Answer, ...]:
        return script.answers(self.prompt)

    @abstractmethod
    def prefix_refused(self) -> Refusal:
        """How a model is refused that takes no beginning of its answer."""

    @abstractmethod
    def streamed(self, making: Making) -> StreamBytes:
        """The pieces of a stream; only asked for if `stream` is true."""

    @abstractmethod
    def broken_event(self, fault: Fault) -> bytes:
        """An event that can't be read, in a stream of events that can."""

    @abstractmethod
    def error_event(self, fault: Fault) -> bytes:
        """An error told within a stream; `fault` may name a status, a code and a message."""


class Format(ABC):
    """What all calls of one vendor share."""

    vendor: ClassVar[str]

    @abstractmethod
    def call_id(self) -> str:
        """A new id for a call, of the kind that the vendor puts into its answers' heads."""

    def answer_id(self, call: str, asked: Asked) -> str | None:
        """The id in the answer's body, made from the call's; None where the format has none."""
        return None

    @abstractmethod
    def head(
        self,
        call: str,
        status: int,
        *,
        length: int | None = None,
        content_type: str = JSON,
        input_tokens: int = 0,
        extra: Mapping[str, str] | None = None,
    ) -> bytes:
        """A response's head; without a length the body is chunked."""

    @abstractmethod
    def refusal(self, fault: Fault) -> Refusal:
        """The refusal that a fault orders; its kind is one of `faults.REFUSALS`."""

    @abstractmethod
    def invalid(self, message: str) -> Refusal:
        """The refusal of a request whose directives or schema make no sense."""
