"""The journal of open attempts, which survives the death of its process.

One file of numbered slots. A table at its beginning, mapped into memory, holds each slot's state and progress, so that
counting a chunk is a store and no system call; behind it lie the events, written by ``pwrite``. Both live in the page
cache: a killed process loses nothing, a power failure may lose attempts that were open.

::

    header | table: one entry a slot | events: two areas a slot

Area 0 holds the event as it shall be told if the process dies, area 1 the event as the attempt really ended. Writing
the second leaves the first whole, and the state, one byte, is stored last: whenever the process dies, the state points
to an event that was written completely.
"""

import errno
import mmap
import os
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Self

_HEADER = struct.Struct("<8sII")
_MAGIC = b"omnixjn1"
_ENTRY = struct.Struct("<B3xIIIQQQ")
"""State, length of area 0, length of area 1, padding, output tokens, time of the last sign of life, first content."""
_PROGRESS = struct.Struct("<QQ")
_PROGRESS_AT = 16
_FIRST_CONTENT = struct.Struct("<Q")
_FIRST_CONTENT_AT = 32
_AREA = 48 * 1024
"""The gateway takes 16 pairs of metadata with 64 and 512 characters of up to four bytes, which makes 36 KiB. The file
is sparse: a slot takes room on the disk only for what was once written to it."""


class State(IntEnum):
    FREE = 0
    OPEN = 1
    """Nothing was sent to the vendor."""
    SENT = 2
    """The request was handed to the vendor's connection."""
    CLOSED = 3
    """Ended; the event waits to be published."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """What a dead process left in a slot."""

    event: bytes
    closed: bool
    """The event is final; otherwise the attempt was interrupted and the rest tells how far it had come."""
    output_tokens: int
    last_sign_us: int
    first_content_us: int


class JournalFull(Exception):
    """Every slot is taken."""


class EventTooLarge(ValueError):
    """The event does not fit into a slot."""


class Journal:
    """A fresh journal at ``path``; what was there before must have been read by ``orphans``."""

    def __init__(self, path: Path, slots: int) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._events_at = _HEADER.size + slots * _ENTRY.size
        # Written and not merely extended: a hole in a mapped file kills the process when the disk is full.
        self._write(_HEADER.pack(_MAGIC, slots, _AREA) + bytes(slots * _ENTRY.size), 0)
        self._table = mmap.mmap(self._file, self._events_at)
        self._free = list(range(slots - 1, -1, -1))
        self._slots = slots

    @property
    def taken(self) -> int:
        return self._slots - len(self._free)

    def open(self, event: bytes) -> int:
        """Note an attempt and answer its slot.

        :raises JournalFull: when there is no slot.
        :raises EventTooLarge: when the event does not fit.
        :raises OSError: when the disk is full.
        """
        if len(event) > _AREA:
            raise EventTooLarge(f"an event of {len(event)} bytes exceeds {_AREA}")
        if not self._free:
            raise JournalFull
        slot = self._free[-1]
        self._write(event, self._area(slot, 0))
        now = time.time_ns() // 1000
        _ENTRY.pack_into(self._table, self._entry(slot), State.FREE, len(event), 0, 0, 0, now, 0)
        self._table[self._entry(slot)] = State.OPEN
        self._free.pop()
        return slot

    def sent(self, slot: int) -> None:
        """The request is about to be on its way."""
        self._table[self._entry(slot)] = State.SENT

    def first_content(self, slot: int, after_us: int) -> None:
        _FIRST_CONTENT.pack_into(self._table, self._entry(slot) + _FIRST_CONTENT_AT, after_us)

    def progress(self, slot: int, output_tokens: int) -> None:
        """How much of the answer came, were the process to die now."""
        _PROGRESS.pack_into(self._table, self._entry(slot) + _PROGRESS_AT, output_tokens, time.time_ns() // 1000)

    def output_tokens(self, slot: int) -> int:
        """The last progress."""
        tokens: int = _PROGRESS.unpack_from(self._table, self._entry(slot) + _PROGRESS_AT)[0]
        return tokens

    def close(self, slot: int, event: bytes) -> None:
        """The attempt ended, and this is its event.

        An event that does not fit, or that the disk has no room for, leaves the slot as it was: it is still published,
        and only if the process dies before that is the attempt told as interrupted.
        """
        if len(event) > _AREA:
            return
        try:
            self._write(event, self._area(slot, 1))
        except OSError:
            return
        at = self._entry(slot)
        struct.pack_into("<I", self._table, at + 8, len(event))
        self._table[at] = State.CLOSED

    def free(self, slot: int) -> None:
        """The event is safe elsewhere, or there is none."""
        self._table[self._entry(slot)] = State.FREE
        self._free.append(slot)

    def shut(self) -> None:
        self._table.close()
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shut()

    def _write(self, data: bytes, at: int) -> None:
        """:raises OSError: also when the disk takes only the beginning."""
        if os.pwrite(self._file, data, at) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _entry(self, slot: int) -> int:
        return _HEADER.size + slot * _ENTRY.size

    def _area(self, slot: int, area: int) -> int:
        return self._events_at + (2 * slot + area) * _AREA


def orphans(path: Path) -> Iterator[Orphan]:
    """Read what a dead process left; nothing when there is no file or it was not finished being made."""
    try:
        content = path.open("rb")
    except FileNotFoundError:
        return
    with content:
        header = content.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return
        magic, slots, area = _HEADER.unpack(header)
        if magic != _MAGIC:
            return
        table = content.read(slots * _ENTRY.size)
        if len(table) < slots * _ENTRY.size:
            return
        events_at = content.tell()
        for slot in range(slots):
            state, open_size, closed_size, _, tokens, last, first = _ENTRY.unpack_from(table, slot * _ENTRY.size)
            if state not in (State.SENT, State.CLOSED):
                continue
            closed = state == State.CLOSED
            content.seek(events_at + (2 * slot + closed) * area)
            event = content.read(min(closed_size if closed else open_size, area))
            yield Orphan(event, closed, tokens, last, first)
