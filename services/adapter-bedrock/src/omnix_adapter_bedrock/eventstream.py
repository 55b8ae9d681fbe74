"""AWS's event stream: frames with headers and two checksums each.

https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html#streaming-event-stream and, for the headers,
https://smithy.io/2.0/aws/amazon-eventstream.html. A frame is its length, the length of its headers, the CRC-32 of these
two, headers, payload, and the CRC-32 of all before it.
"""

from binascii import crc32
from collections.abc import Sequence
from functools import lru_cache
from struct import Struct as Layout

from msgspec import Struct

MAX_FRAME_BYTES = 8 * 1024 * 1024
_MAX_HEADER_BYTES = 128 * 1024
_REMEMBERED_HEADER_BYTES = 512
_PRELUDE = Layout(">III")
_CHECKSUM = Layout(">I")
_BEFORE_HEADERS = _PRELUDE.size
_AROUND = _PRELUDE.size + _CHECKSUM.size
_FIXED_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_BYTES, _STRING = 6, 7


class Frame(Struct, frozen=True):
    kind: str
    """The event's or the exception's type."""
    payload: bytes
    failed: bool = False
    """It is an exception or an error."""
    message: str = ""
    """Of an error that has no payload."""


class _Broken(ValueError):
    pass


class EventStream:
    """Feed it bytes, get the frames that became complete. It holds at most one frame."""

    __slots__ = ("_held", "_max", "_needed", "broken")

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._max = max_frame_bytes
        self._held = bytearray()
        """The beginning of a frame whose end has not come."""
        self._needed = 0
        """How much of it must have come before it is worth another look."""
        self.broken = ""
        """Why the stream cannot be read further, after the frames that came before; empty while it can."""

    def feed(self, received: bytes) -> Sequence[Frame]:
        if self.broken:
            return ()
        if self._held:
            self._held += received
            if len(self._held) < self._needed:
                return ()
            received = bytes(self._held)
            self._held.clear()
        frames: list[Frame] = []
        offset, end = 0, len(received)
        try:
            while end - offset >= _BEFORE_HEADERS:
                size, header_size = self._sizes(received, offset)
                if end - offset < size:
                    self._needed = size
                    break
                frames.append(_frame(received, offset, size, header_size))
                offset += size
            else:
                self._needed = _BEFORE_HEADERS
        except _Broken as exc:
            self.broken = str(exc)
            return frames
        if offset < end:
            self._held += received[offset:]
        return frames

    def _sizes(self, data: bytes, offset: int) -> tuple[int, int]:
        size, header_size, checksum = _PRELUDE.unpack_from(data, offset)
        if crc32(data[offset : offset + 8]) != checksum:
            raise _Broken("the checksum of a frame's lengths does not fit")
        if header_size > _MAX_HEADER_BYTES or size < header_size + _AROUND:
            raise _Broken("a frame's lengths contradict each other")
        if size > self._max:
            raise _Broken(f"a frame is larger than {self._max} bytes")
        return size, header_size


def _frame(data: bytes, offset: int, size: int, header_size: int) -> Frame:
    last = offset + size - _CHECKSUM.size
    (checksum,) = _CHECKSUM.unpack_from(data, last)
    if crc32(memoryview(data)[offset:last]) != checksum:
        raise _Broken("the checksum of a frame does not fit")
    payload_begins = offset + _BEFORE_HEADERS + header_size
    headers = data[offset + _BEFORE_HEADERS : payload_begins]
    read = _seen_before if header_size <= _REMEMBERED_HEADER_BYTES else _kind
    kind, failed, message = read(headers)
    return Frame(kind, data[payload_begins:last], failed, message)


def _kind(headers: bytes) -> tuple[str, bool, str]:
    """Type, whether it is an exception or an error, and its message."""
    told = _texts(headers)
    match told.get(":message-type", "event"):
        case "event":
            return told.get(":event-type", ""), False, ""
        case "exception":
            return told.get(":exception-type", ""), True, ""
        case "error":
            return told.get(":error-code", ""), True, told.get(":error-message", "")
        case _:
            raise _Broken("a frame is neither event nor exception nor error")


_seen_before = lru_cache(maxsize=256)(_kind)
"""The headers of all deltas of a stream are the same."""


def _texts(headers: bytes) -> dict[str, str]:
    """The headers whose values are texts."""
    told: dict[str, str] = {}
    offset, end = 0, len(headers)
    try:
        while offset < end:
            name_end = offset + 1 + headers[offset]
            name, kind = headers[offset + 1 : name_end], headers[name_end]
            offset = name_end + 1
            if kind in (_BYTES, _STRING):
                value_begins = offset + 2
                offset = value_begins + int.from_bytes(headers[offset:value_begins])
                if kind == _STRING:
                    told[name.decode()] = headers[value_begins:offset].decode()
            else:
                offset += _FIXED_SIZES[kind]
    except (IndexError, KeyError, UnicodeDecodeError) as exc:
        raise _Broken("the headers of a frame cannot be read") from exc
    if offset != end:
        raise _Broken("the headers of a frame go beyond it")
    return told
