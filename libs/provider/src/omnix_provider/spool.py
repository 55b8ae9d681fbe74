"""Usage events that could not be published, on disk until they can.

Records are appended to numbered segments, each append ends with an fsync, and many waiting appends share one. Records
leave in the order in which they came; a segment is deleted when its last record was published. A process that dies in
between publishes the rest of a segment's records again, which the ledger does not mind.

::

    record = length of the event (4 bytes) | CRC-32 (4 bytes) | length of the subject (1) | length of the id (1)
             | subject | id | event
"""

import asyncio
import logging
import os
import struct
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from zlib import crc32

from msgspec import Struct

_log = logging.getLogger(__name__)

_HEAD = struct.Struct("<IIBB")
_SEGMENT_BYTES = 1024 * 1024


class Record(Struct, frozen=True):
    """One event."""

    subject: str
    message_id: str
    event: bytes


class SpoolFull(Exception):
    """There is no room left, by the bound or on the disk."""


class Spool:
    """A folder of segments. One process owns it; what it finds there is drained first."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._max = max_bytes
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._segments = deque(sorted(folder.glob("*.spool")))
        self._number = int(self._segments[-1].stem) if self._segments else 0
        self._size = sum(segment.stat().st_size for segment in self._segments)
        self._writing: int | None = None
        self._written = 0
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._flusher: asyncio.Task[None] | None = None
        self._refused = False
        self.filled = asyncio.Event()
        """Set while there are records."""
        if self._segments:
            self.filled.set()

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self._size

    def full(self) -> bool:
        """Another event would not find room."""
        return self._refused or self._size >= self._max

    def lacking(self) -> str | None:
        """For readiness."""
        return "the spool of usage events is full" if self.full() else None

    def try_again(self) -> None:
        """Nothing waits for room any longer: whether there is some shows when the next record comes."""
        self._refused = False

    async def append(self, record: Record) -> None:
        """Return when the record is on the disk.

        :raises SpoolFull: when it is not.
        """
        if self._size >= self._max:
            raise SpoolFull
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((_pack(record), done))
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush())
        await asyncio.shield(done)

    async def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting, []
            data = b"".join(packed for packed, _ in batch)
            try:
                await loop.run_in_executor(self._thread, self._write, data)
            except OSError as exc:
                _log.error("cannot write to the spool", extra={"error": str(exc), "events": len(batch)})
                self._refused = True
                for _, done in batch:
                    done.set_exception(SpoolFull())
                    done.exception()  # whoever waited may have left
            else:
                self._refused = False
                self._size += len(data)
                self.filled.set()
                for _, done in batch:
                    if not done.done():
                        done.set_result(None)

    def _write(self, data: bytes) -> None:
        """In the spool's thread."""
        if self._writing is None or self._written + len(data) > _SEGMENT_BYTES:
            if self._writing is not None:
                os.close(self._writing)
                self._writing = None
            self._number += 1
            path = self._folder / f"{self._number:012}.spool"
            self._writing = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._written = 0
            self._segments.append(path)
            _sync_folder(self._folder)
        at = os.lseek(self._writing, 0, os.SEEK_END)
        try:
            _write_all(self._writing, data)
            os.fsync(self._writing)
        except OSError:
            self._take_back(self._writing, at)
            raise
        self._written += len(data)

    def _take_back(self, segment: int, at: int) -> None:
        """Remove what was written of a batch. Where that fails too, nothing may follow what is left of it."""
        try:
            os.ftruncate(segment, at)
        except OSError:
            os.close(segment)
            self._writing = None
            if at == 0:
                self._segments.pop().unlink()
            raise

    async def oldest(self) -> Sequence[Record]:
        """The records of the oldest segment. Appends go to another one from now on. Empty when there are none."""
        records, dropped = await asyncio.get_running_loop().run_in_executor(self._thread, self._read_oldest)
        self._size = max(0, self._size - dropped)
        if not records and not self._segments and not self._waiting:
            self.filled.clear()
        return records

    def _read_oldest(self) -> tuple[Sequence[Record], int]:
        """In the spool's thread; also tells the size of segments that held nothing and were dropped."""
        dropped = 0
        if self._writing is not None and len(self._segments) == 1:
            os.close(self._writing)
            self._writing = None
        while self._segments:
            records = read_segment(self._segments[0])
            if records:
                return records, dropped
            dropped += self._drop()
        return (), dropped

    async def forget_oldest(self) -> None:
        """The records of the oldest segment are safe elsewhere."""
        dropped = await asyncio.get_running_loop().run_in_executor(self._thread, self._drop)
        self._size = max(0, self._size - dropped)  # a damaged end was never counted
        if not self._segments and not self._waiting:
            self.filled.clear()

    def _drop(self) -> int:
        """In the spool's thread, which leaves ``_size`` to the loop's."""
        segment = self._segments.popleft()
        size = segment.stat().st_size
        segment.unlink()
        return size

    async def close(self) -> None:
        if self._flusher is not None:
            await asyncio.gather(self._flusher, return_exceptions=True)
        self._thread.shutdown()
        if self._writing is not None:
            os.close(self._writing)
            self._writing = None


def write_at_once(folder: Path, records: Sequence[Record]) -> None:
    """Put records into a segment of their own, before the spool is opened; returns when they are on the disk."""
    folder.mkdir(parents=True, exist_ok=True)
    last = max((int(path.stem) for path in folder.glob("*.spool")), default=0)
    partial = folder / "incoming"
    with partial.open("wb") as file:
        file.write(b"".join(map(_pack, records)))
        file.flush()
        os.fsync(file.fileno())
    partial.rename(folder / f"{last + 1:012}.spool")
    _sync_folder(folder)


def read_segment(path: Path) -> Sequence[Record]:
    """The records up to the first that is incomplete or damaged, as the last one is when the power failed."""
    data = path.read_bytes()
    records: list[Record] = []
    at = 0
    while at + _HEAD.size <= len(data):
        size, checksum, subject_size, id_size = _HEAD.unpack_from(data, at)
        begin = at + _HEAD.size
        end = begin + subject_size + id_size + size
        body = data[begin:end]
        if len(body) != subject_size + id_size + size or crc32(body) != checksum:
            break
        records.append(
            Record(
                body[:subject_size].decode(),
                body[subject_size : subject_size + id_size].decode(),
                body[subject_size + id_size :],
            )
        )
        at = end
    if at != len(data):
        _log.error("a spool segment ends in a damaged record", extra={"segment": path.name, "bytes": len(data) - at})
    return records


def _pack(record: Record) -> bytes:
    subject, message_id = record.subject.encode(), record.message_id.encode()
    body = subject + message_id + record.event
    return _HEAD.pack(len(record.event), crc32(body), len(subject), len(message_id)) + body


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
