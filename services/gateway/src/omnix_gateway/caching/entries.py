"""An answer as it lies in the cache. Pure."""

from binascii import crc32
from dataclasses import dataclass
from typing import Final

import msgspec

_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """An answer, since when and until when it is one; times in seconds since the epoch."""

    body: bytes
    completion_id: str
    """Whose answer it was first."""
    stored: float
    until: float

    def age(self, now: float) -> int:
        """Whole seconds. Clocks of two gateways may differ a little; no answer comes from the future."""
        return max(0, int(now - self.stored))

    def is_fresh(self, now: float, max_age: int | None) -> bool:
        return now < self.until and (max_age is None or now - self.stored <= max_age)


class _Envelope(msgspec.Struct, array_like=True):
    version: int
    key: bytes
    completion_id: str
    stored: float
    until: float
    checksum: int
    body: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Envelope)


def to_bytes(key: bytes, entry: Entry) -> bytes:
    envelope = _Envelope(_VERSION, key, entry.completion_id, entry.stored, entry.until, crc32(entry.body), entry.body)
    return _encoder.encode(envelope)


def from_bytes(key: bytes, data: bytes) -> Entry | None:
    """None for what is no entry, is damaged, was written by another version or is another request's."""
    try:
        found = _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if (found.version, found.key, found.checksum) != (_VERSION, key, crc32(found.body)):
        return None
    return Entry(found.body, found.completion_id, found.stored, found.until)
