"""One answer, put together from messages that come in any order: in order, whole, or an error."""

from collections.abc import Callable, Sequence
from time import monotonic as clock

from google.protobuf.message import DecodeError
from omnix_kit.digest import digest
from omnix_kit.errors import OmnixError, Reason, error_for

from omnix_gateway import metrics
from omnix_gateway.streaming.convert import Chunk, Chunks, End, Start, chunks_from_bytes, error_of

Pieces = list[tuple[int, Sequence[Chunk]]]
"""Number of the first chunk, and chunks that follow each other; several times."""


class Assembly:
    """Orders the chunks of one attempt from number 0 on, and checks the end. What comes after a gap is held."""

    def __init__(
        self,
        *,
        most_ahead: int,
        most_bytes_ahead: int,
        late: bool,
        fail: Callable[[OmnixError], None],
        spilled: Callable[[], None],
    ) -> None:
        """:param late: it is told no attempt, and follows the last one that there is.

        :param fail: called when the answer cannot be whole; nothing is taken any more.
        :param spilled: called when more came after a gap than may be held; only the recording has it.
        """
        self.attempt: int | None = None
        self.next = 0
        """Number of the next chunk that is to be given."""
        self.start: Start | None = None
        self.end: End | None = None
        """Set when the answer is whole."""
        self.gap_since: float | None = None
        self.bytes_ahead = 0
        self._ahead: dict[int, tuple[Chunks, int]] = {}
        self._most_ahead = most_ahead
        self._most_bytes_ahead = most_bytes_ahead
        self._late = late
        self._fail = fail
        self._spilled = spilled
        self._stopped = False
        self._digest = 0
        self._seen: set[int] = set()
        self._finished: set[int] = set()
        self._held: Pieces = []

    def accept(self, data: bytes, pieces: Pieces) -> None:
        """Take a message; what can be given now is appended to ``pieces``."""
        message = self._read(data)
        if message is None or (message.attempt != self.attempt and not self._follow(message.attempt)):
            return
        if message.first_seq > self.next:
            if self.gap_since is None:
                self.gap_since = clock()
            self._keep_ahead(message, len(data))
            return
        self._append(message, pieces)
        if self._ahead:
            self._append_what_waited(pieces)

    def survey(self, data: bytes) -> None:
        """The router may have given up an attempt that was recorded; the one after it is the answer."""
        message = self._read(data)
        if message is not None:
            self.attempt = max(self.attempt or 0, message.attempt)

    def stop(self) -> None:
        """Hold nothing any more."""
        self._stopped = True
        self._drop_ahead()

    def _give_up(self, error: OmnixError) -> None:
        self.stop()
        self._fail(error)

    def _read(self, data: bytes) -> Chunks | None:
        try:
            return chunks_from_bytes(data)
        except DecodeError:
            self._give_up(lost("A message of the stream cannot be read."))
            return None

    def _keep_ahead(self, message: Chunks, size: int) -> None:
        """Keep what comes after a gap, as much as may wait; the recording has the rest."""
        if message.first_seq in self._ahead:
            return
        if len(self._ahead) < self._most_ahead and self.bytes_ahead + size <= self._most_bytes_ahead:
            self._ahead[message.first_seq] = message, size
            self.bytes_ahead += size
        else:
            self._spilled()

    def _drop_ahead(self) -> None:
        self._ahead.clear()
        self.bytes_ahead = 0

    def _follow(self, attempt: int) -> bool:
        """For late readers: whether an attempt is the answer after all. Two answers are never put together."""
        if not self._late or attempt < (self.attempt or 0):
            return False
        if self.next or self.start is not None:
            self._give_up(lost("The answer was begun anew."))
            return False
        self.attempt = attempt
        self._drop_ahead()
        self.gap_since = None
        return True

    def _append_what_waited(self, pieces: Pieces) -> None:
        while self._ahead and self.end is None and not self._stopped:
            first = min(self._ahead)
            if first > self.next:
                return
            message, size = self._ahead.pop(first)
            self.bytes_ahead -= size
            self._append(message, pieces)
        if self.gap_since is not None:
            self.gap_since = None
            metrics.GAPS_FILLED.inc()

    def _append(self, message: Chunks, pieces: Pieces) -> None:
        if self.start is None and message.HasField("start"):
            self.start = message.start
        chunks: Sequence[Chunk] = message.chunks
        first = self.next
        if message.first_seq < first:
            chunks = chunks[first - message.first_seq :]
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
            self._give(first, chunks, finishing, pieces)
        if message.HasField("end"):
            self._check_end(message.end, pieces)

    def _give(self, first: int, chunks: Sequence[Chunk], finishing: int, pieces: Pieces) -> None:
        """Hand chunks on, but hold the last finish reason back until the end is known to be good."""
        if not self._finished or self._seen - self._finished:
            if self._held:
                pieces += self._held
                self._held = []
            pieces.append((first, chunks))
            return
        if finishing > 0 and not self._held:
            pieces.append((first, chunks[:finishing]))
            self._held.append((first + finishing, chunks[finishing:]))
        else:
            self._held.append((first, chunks))

    def _check_end(self, end: End, pieces: Pieces) -> None:
        cut = error_of(end)
        if cut is not None:
            self._give_up(cut)
        elif end.count != self.next or end.digest != self._digest:
            metrics.GAPS_LOST.inc()
            self._give_up(lost("The stream does not add up to what was sent."))
        elif self.start is None:
            self._give_up(lost("The stream has no beginning."))
        else:
            pieces += self._held
            self.end = end


def lost(message: str) -> OmnixError:
    return error_for(Reason.STREAM_LOST, message)
