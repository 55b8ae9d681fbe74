"""Server-sent events, read as their bytes arrive: https://html.spec.whatwg.org/multipage/server-sent-events.html.

Only ``data`` is of interest to adapters; other fields and comments are skipped. The parser works on bytes and splits at
line ends alone, so text that is cut inside a character is put together again.
"""

from collections.abc import Sequence

MAX_EVENT_BYTES = 8 * 1024 * 1024


class EventTooLarge(ValueError):
    """An event is larger than the parser accepts."""


class EventStream:
    """Feed it bytes, get the data of the events that became complete."""

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max = max_event_bytes
        self._rest = bytearray()
        """The beginning of a line whose end has not come."""
        self._data: list[bytes] = []
        """Data lines of an event whose end has not come."""
        self._held = 0
        self._began = False
        self._swallow_newline = False

    def feed(self, received: bytes) -> Sequence[bytes]:
        """Take what was received.

        :raises EventTooLarge: when an event exceeds the bound; the stream cannot be read further.
        """
        if not self._rest and not self._data and self._began and not self._swallow_newline:
            quick = self._whole_events(received)
            if quick is not None:
                return quick
        return self._lines(received)

    def _whole_events(self, received: bytes) -> Sequence[bytes] | None:
        """The common case, whole events of one data line each and nothing else; None for any other."""
        if received.find(b"\n") == len(received) - 2 and received[:6] == b"data: " and received[-1:] == b"\n":
            if b"\r" not in received:  # one event alone, as every token comes when it is not in a burst
                return (received[6:-2],)
            return None
        if not received.endswith(b"\n\n") or b"\r" in received or len(received) > self._max:
            return None
        events = []
        for block in received[:-2].split(b"\n\n"):
            if block[:6] != b"data: " or b"\n" in block:
                return None
            events.append(block[6:])
        return events

    def _lines(self, received: bytes) -> Sequence[bytes]:
        if self._swallow_newline and received:
            # A line ended with a carriage return, and its line feed may come separately.
            self._swallow_newline = False
            if received[:1] == b"\n":
                received = received[1:]
        if b"\n" not in received and b"\r" not in received:
            self._rest += received
            self._bound(len(self._rest))
            return ()
        text = bytes(self._rest) + received
        self._rest.clear()
        if not self._began:
            text = text.removeprefix(b"\xef\xbb\xbf")
            self._began = True
        self._swallow_newline = text.endswith(b"\r")
        lines = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest += lines.pop()
        events: list[bytes] = []
        for line in lines:
            if not line:
                if self._data:
                    events.append(self._data[0] if len(self._data) == 1 else b"\n".join(self._data))
                    self._data, self._held = [], 0
                continue
            field, _, value = line.partition(b":")
            if field == b"data":
                self._data.append(value.removeprefix(b" "))
                self._held += len(value) + 1  # with the line end that joins it to the next
                self._bound(self._held)
        self._bound(self._held + len(self._rest))
        return events

    def _bound(self, size: int) -> None:
        if size > self._max:
            raise EventTooLarge(f"an event is larger than {self._max} bytes")
