"""How a stream's objects are told apart: as server-sent events, or without `alt=sse` as the items of one JSON array."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Frames:
    """`opening` stands before the first object, `before` and `after` around each, the last has `last` behind it."""

    content_type: str
    before: bytes
    after: bytes
    last: bytes
    opening: bytes = b""
    done: bytes = b""

    def final(self, data: bytes) -> bytes:
        """A stream's last object."""
        return self.before + data + self.last


EVENTS: Final = Frames("text/event-stream", before=b"data: ", after=b"\r\n\r\n", last=b"\r\n\r\n")
ARRAY: Final = Frames(
    "application/json; charset=UTF-8", before=b"", after=b"\r\n,\r\n", last=b"\r\n", opening=b"[", done=b"]"
)
