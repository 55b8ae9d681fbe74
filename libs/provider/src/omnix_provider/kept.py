"""The messages of one stream, kept in case they must be published again."""

from array import array

from prometheus_client import Counter

_BYTES_A_STREAM = 256 * 1024

FORGOTTEN = Counter("omnix_chunk_messages_forgotten_total", "Messages dropped unsent, because too many were kept.")


class Kept:
    """In one buffer: a bytes object each would double the memory of small ones."""

    __slots__ = ("_data", "_ends", "_subject", "_word", "sent")

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._data = bytearray()
        self._ends = array("I")
        self._word: tuple[str, bytes] | None = None
        self.sent = 0
        """How many of them were handed to the connection since it stands."""

    def __len__(self) -> int:
        return len(self._ends) + (self._word is not None)

    @property
    def size(self) -> int:
        return len(self._data)

    @property
    def unsent(self) -> int:
        return len(self) - self.sent

    @property
    def unsent_bytes(self) -> int:
        if self.sent >= len(self._ends):
            return 0
        return len(self._data) - (self._ends[self.sent - 1] if self.sent else 0)

    def __getitem__(self, index: int) -> tuple[str, bytes]:
        """Subject and message."""
        if self._word is not None and index == len(self._ends):
            return self._word
        return self._subject, bytes(self._data[self._ends[index - 1] if index else 0 : self._ends[index]])

    def append(self, message: bytes) -> None:
        self._data += message
        self._ends.append(len(self._data))
        if len(self._data) > _BYTES_A_STREAM:
            self._forget(len(self._data) // 2)

    def follow(self, subject: str, message: bytes) -> None:
        """What goes out after the last message, on a subject of its own."""
        self._word = (subject, message)

    def _forget(self, at_least: int) -> None:
        """Drop the oldest, but never the last, so that every stream's end is told."""
        count = 0
        while count < len(self._ends) - 1 and self._ends[count] < at_least:
            count += 1
        if count == 0:
            return
        size = self._ends[count - 1]
        del self._data[:size]
        self._ends = array("I", (end - size for end in self._ends[count:]))
        if count > self.sent:
            FORGOTTEN.inc(count - self.sent)
        self.sent = max(0, self.sent - count)
