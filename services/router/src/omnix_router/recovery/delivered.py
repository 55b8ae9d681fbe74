"""What the caller has of an answer, put together from what was recorded of it. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from omnix_kit.errors import OmnixError


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call, or what one chunk adds to it."""

    index: int
    """Which call of the turn, from 0."""
    id: str = ""
    name: str = ""
    arguments: str = ""
    signature: bytes = b""


@dataclass(frozen=True, slots=True)
class Piece:
    """What one chunk adds to an answer, reasoning apart."""

    text: str = ""
    refusal: str = ""
    calls: tuple[Call, ...] = ()


@dataclass(frozen=True, slots=True)
class End:
    """How an attempt ended."""

    count: int
    """Chunks that it had."""
    error: OmnixError | None = None
    may_go_on: bool = False
    """Readers wait to be told what follows."""


@dataclass(frozen=True, slots=True)
class Published:
    """One message of an attempt: chunks that arrived together."""

    attempt: int
    first: int
    """Number of its first chunk."""
    pieces: tuple[Piece, ...] = ()
    end: End | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """An attempt that is part of an answer."""

    attempt: int
    count: int
    """How many of its chunks are."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """What the caller has."""

    count: int
    """Chunks of the last attempt, up to the first that was not found."""
    whole: bool
    """All that is part of the answer from earlier attempts was found."""
    end: End | None = None
    """Of the last attempt, if it was found."""
    text: str = ""
    refusal: str = ""
    calls: tuple[Call, ...] = ()

    @property
    def can_be_told(self) -> bool:
        """Whether another attempt can be told of it: calls are told in order, without their index."""
        return all(call.index == place for place, call in enumerate(self.calls))

    @property
    def may_be_prefix(self) -> bool:
        """Whether a model can be given it as the beginning of its own answer."""
        return bool(self.text.strip()) and not self.refusal and not self.calls


class Way(Enum):
    """How an attempt goes on."""

    PREFIX = auto()
    """From the beginning that it is given."""
    RESTART = auto()
    """It says everything again."""


@dataclass(frozen=True, slots=True)
class Continuation:
    """What an attempt is told of the one that broke off."""

    attempt: int
    """The one that broke off."""
    way: Way
    delivered: Delivered


class Gathering:
    """Messages of the attempts that an answer consists of, in any order, any of them several times.

    :param earlier: attempts that broke off before, in order.
    :param last: the attempt that the answer is at now.
    """

    def __init__(self, earlier: Sequence[Link], last: int) -> None:
        self._earlier = tuple(earlier)
        self._last = last
        self._pieces: dict[int, dict[int, Piece]] = {
            attempt: {} for attempt in (*(link.attempt for link in earlier), last)
        }
        self._end: End | None = None

    def add(self, published: Published) -> None:
        pieces = self._pieces.get(published.attempt)
        if pieces is None:
            return
        for number, piece in enumerate(published.pieces, published.first):
            pieces.setdefault(number, piece)
        if published.end is not None and published.attempt == self._last:
            self._end = published.end

    def delivered(self) -> Delivered:
        """What was found so far."""
        pieces: list[Piece] = []
        whole = True
        for link in self._earlier:
            found = self._found(link.attempt)[: link.count]
            whole = whole and len(found) == link.count
            pieces += found
        of_last = self._found(self._last)
        pieces += of_last
        return Delivered(
            count=len(of_last),
            whole=whole,
            end=self._end,
            text="".join([piece.text for piece in pieces]),
            refusal="".join([piece.refusal for piece in pieces]),
            calls=_joined(pieces),
        )

    def _found(self, attempt: int) -> list[Piece]:
        """The attempt's beginning, up to the first chunk that is missing."""
        pieces = self._pieces[attempt]
        found: list[Piece] = []
        while (piece := pieces.get(len(found))) is not None:
            found.append(piece)
        return found


def _joined(pieces: Iterable[Piece]) -> tuple[Call, ...]:
    """By their index."""
    calls: dict[int, list[Call]] = {}
    for piece in pieces:
        for call in piece.calls:
            calls.setdefault(call.index, []).append(call)
    return tuple(_whole(calls[index]) for index in sorted(calls))


def _whole(parts: Sequence[Call]) -> Call:
    return Call(
        index=parts[0].index,
        id=next((part.id for part in parts if part.id), ""),
        name="".join([part.name for part in parts]),
        arguments="".join([part.arguments for part in parts]),
        signature=next((part.signature for part in parts if part.signature), b""),
    )
