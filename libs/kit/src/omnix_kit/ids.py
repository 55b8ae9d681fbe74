"""Ids that sort by the time they were made."""

import os
import re
import time

_ID = re.compile(r"[0-9a-f]{32}")
_last_ms = 0
_sequence = 0


def uuid7() -> str:
    """A UUIDv7 (RFC 9562 §5.7) as 32 hexadecimal digits; ids of one process never go backwards."""
    global _last_ms, _sequence  # noqa: PLW0603 - the order within a millisecond is the process's
    now = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10))
    if now <= _last_ms:
        _sequence += 1
        if _sequence > 0xFFF:
            _last_ms += 1
            _sequence = 0
    else:
        _last_ms, _sequence = now, random >> 70 & 0x3FF
    value = (_last_ms << 80) | (0x7 << 76) | (_sequence << 64) | (0b10 << 62) | (random & ((1 << 62) - 1))
    return f"{value:032x}"


def is_id(text: str) -> bool:
    """Whether the text has the form of an id; asked before it goes into a subject."""
    return _ID.fullmatch(text) is not None
