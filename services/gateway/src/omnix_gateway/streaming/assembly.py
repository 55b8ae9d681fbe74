"""One attempt's chunks, put together from messages that come in any order: in order and checked, or an error."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic as clock

from omnix_kit.digest import digest
from omnix_kit.errors import OmnixError, Reason, error_for

from omnix_gateway import metrics
from omnix_gateway.streaming.convert import Chunk, Chunks, End, Start, without_finish_reason


@dataclass(frozen=True, slots=True)
class Opening:
    """How an attempt begins."""

    attempt: int
    start: Start


Pieces = list[tuple[Opening, int, Sequence[Chunk]]]
"""Attempt, number of the first chunk, and chunks that follow each other; several times."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What may wait behind a gap."""

    messages: int
    bytes: int


class Assembly:
    """Orders the chunks of one attempt from number 0 on, and checks its end. What comes after a gap is held.

    ``take`` raises what makes it impossible that the answer is whole.
    """

    def __init__(self, attempt: int, continues: int | None, bounds: Bounds) -> None:
        """:param continues: the attempt whose chunks these follow; 0 for the one that begins the answer, None where the
        router itself said that it does.
        """
        self.attempt = attempt
        self.next = 0
        """Number of the next chunk that is to be given."""
        self.opening: Opening | None = None
        self.end: End | None = None
        """Set when all chunks were there: the answer is whole, or the attempt broke off and the end says why."""
        self.gap_since: float | None = None
        self.bytes_ahead = 0
        self.spilled = False
        """More came after a gap than may be held."""
        self._continues = continues
        self._bounds = bounds
        self._stands: int | None = None
        self._ahead: dict[int, tuple[Chunks, int]] = {}
        self._digest = 0
        self._seen: set[int] = set()
        self._finished: set[int] = set()
        self._held: Pieces = []

    def cap(self, count: int) -> None:
        """Only so many of its chunks stand; what it says of its end counts no more."""
        self._stands = count

    def take(self, message: Chunks, chunks: Sequence[Chunk], size: int, pieces: Pieces) -> bool:
        """Append what can be given now to ``pieces``. Answers whether the next chunk is all there is to wait for.

        :param chunks: those of the message.
        """
        if message.first_seq > self.next:
            self.miss()
            self._keep_ahead(message, size)
            return False
        self._append(message, chunks, pieces)
        if self._ahead:
            self._append_what_waited(pieces)
            return False
        return self.end is None

    def miss(self) -> None:
        """Chunks are known to lack."""
        if self.gap_since is None:
            self.gap_since = clock()

    def release(self) -> Pieces:
        """What was held back for its end, without a finish reason: another attempt goes on."""
        return [
            (opening, first, [without_finish_reason(chunk) for chunk in chunks])
            for opening, first, chunks in self._held
        ]

    def drop(self) -> None:
        """Hold nothing any more."""
        self._ahead.clear()
        self.bytes_ahead = 0
        self._held = []

    def _keep_ahead(self, message: Chunks, size: int) -> None:
        """Keep what comes after a gap, as much as may wait; the recording has the rest."""
        if message.first_seq in self._ahead:
            return
        if len(self._ahead) < self._bounds.messages and self.bytes_ahead + size <= self._bounds.bytes:
            self._ahead[message.first_seq] = message, size
            self.bytes_ahead += size
        else:
            self.spilled = True

    def _append_what_waited(self, pieces: Pieces) -> None:
        while self._ahead and self.end is None:
            first = min(self._ahead)
            if first > self.next:
                return
            message, size = self._ahead.pop(first)
            self.bytes_ahead -= size
            self._append(message, message.chunks, pieces)
        if self.gap_since is not None:
            self.gap_since = None
            metrics.GAPS_FILLED.inc()

    def _append(self, message: Chunks, chunks: Sequence[Chunk], pieces: Pieces) -> None:
        opening = self.opening
        if opening is None:
            opening = self._open(message)
        first = self.next
        if message.first_seq < first:
            chunks = chunks[first - message.first_seq :]
        if self._stands is not None:
            chunks = chunks[: max(0, self._stands - first)]
        if chunks:
            running = self._digest
            finishing = -1
            for position, chunk in enumerate(chunks):
                running = digest(running, chunk)
                self._seen.add(chunk.choice_index)
                if chunk.finish_reason:
                    self._finished.add(chunk.choice_index)
                    finishing = position
            self._digest = running
            self.next = first + len(chunks)
            self._give(opening, first, chunks, finishing, pieces)
        if message.HasField("end") and self._stands is None:
            self._check(message.end, pieces)

    def _open(self, message: Chunks) -> Opening:
        if not message.HasField("start"):
            raise lost("The stream has no beginning.")
        if self._continues is not None and message.start.continued_attempt != self._continues:
            raise lost("The stream goes on with what is no part of the answer.")
        self.opening = Opening(self.attempt, message.start)
        return self.opening

    def _give(self, opening: Opening, first: int, chunks: Sequence[Chunk], finishing: int, pieces: Pieces) -> None:
        """Hand chunks on, but hold the last finish reason back until the end is known to be good."""
        if not self._finished or self._seen - self._finished:
            if self._held:
                pieces += self._held
                self._held = []
            pieces.append((opening, first, chunks))
            return
        if finishing > 0 and not self._held:
            pieces.append((opening, first, chunks[:finishing]))
            self._held.append((opening, first + finishing, chunks[finishing:]))
        else:
            self._held.append((opening, first, chunks))

    def _check(self, end: End, pieces: Pieces) -> None:
        broken = end.HasField("error")
        if (end.count != self.next or end.digest != self._digest) and not (broken and not end.may_go_on):
            metrics.GAPS_LOST.inc()
            raise lost("The stream does not add up to what was sent.")
        if not broken:
            pieces += self._held
            self._held = []
        self.end = end


def lost(message: str) -> OmnixError:
    return error_for(Reason.STREAM_LOST, message)
