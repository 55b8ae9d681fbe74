"""Writes the record: one line at a time in memory, many lines per fsync, never on the event loop."""

import asyncio
import os
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from omnix_sandbox.record import FILE_NAME, Accepted, Call, Cleared, Closed, Event, Finished

MAX_PENDING = 200_000


class RecordError(Exception):
    """The record can't be written any more; the sandbox must not answer on."""


class Recorder:
    """Appends events to the file, and keeps the latest calls in memory for the control address.

    With `fsync` lines wait for a commit that one thread does for all that wait; without it each line is written at
    once, which survives a kill of the process but no power loss.
    """

    def __init__(self, fd: int, *, fsync: bool, kept: int) -> None:
        self._fd = fd
        self._fsync = fsync
        self._kept = kept
        self._calls: OrderedDict[str, Call] = OrderedDict()
        self._encode = msgspec.json.Encoder().encode
        self._pending: list[bytes] = []
        self._committed: asyncio.Future[None] | None = None
        self._committer: asyncio.Task[None] | None = None
        self._executor = ThreadPoolExecutor(1, "record") if fsync else None
        self._failed: OSError | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, directory: Path, *, fsync: bool, kept: int) -> AsyncIterator["Recorder"]:
        """Go on with the directory's record, or begin one; at the end everything is on disk."""
        fd = _open(directory)
        try:
            recorder = cls(fd, fsync=fsync, kept=kept)
            try:
                yield recorder
            finally:
                await recorder._drain()
        finally:
            os.close(fd)

    @property
    def healthy(self) -> bool:
        return self._failed is None

    async def accept(self, event: Accepted) -> None:
        """Record a call; on return it is durable.

        Raises:
            RecordError: it is not.
        """
        self._calls[event.call] = Call.of(event)
        if len(self._calls) > self._kept:
            self._calls.popitem(last=False)
        self._append(event)
        if self._committed is not None:
            await asyncio.shield(self._committed)
        if self._failed is not None:
            raise RecordError("the record of calls cannot be written") from self._failed

    def add(self, event: Finished | Closed) -> None:
        """Record what became of a call; it is durable soon."""
        if (call := self._calls.get(event.call)) is not None:
            call.add(event)
        self._append(event)

    def clear(self, time: float) -> None:
        """Forget all calls so far; the file keeps their lines, readers pass over them."""
        self._calls.clear()
        self._append(Cleared(time))

    def calls(self) -> Iterator[Call]:
        """The latest calls, newest first."""
        return reversed(self._calls.values())

    def _append(self, event: Event) -> None:
        if self._failed is not None:
            return
        line = self._encode(event) + b"\n"
        if self._executor is None:
            self._write(line)
            return
        if len(self._pending) >= MAX_PENDING:
            self._failed = OSError("the disk does not keep up")
            return
        self._pending.append(line)
        if self._committed is None:
            self._committed = asyncio.get_running_loop().create_future()
        if self._committer is None:
            self._committer = asyncio.create_task(self._commit())

    async def _commit(self) -> None:
        loop = asyncio.get_running_loop()
        while self._pending:
            batch, self._pending = self._pending, []
            committed, self._committed = self._committed, None
            await loop.run_in_executor(self._executor, self._write, b"".join(batch))
            if committed is not None:
                committed.set_result(None)
        self._committer = None

    def _write(self, data: bytes) -> None:
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._fd, rest) :]
            if self._fsync:
                os.fdatasync(self._fd)
        except OSError as exc:
            self._failed = exc

    async def _drain(self) -> None:
        while self._committer is not None:
            await self._committer
        if self._executor is not None:
            self._executor.shutdown()


def _open(directory: Path) -> int:
    """Open the file to append; the next line must not be glued to one that a crash has torn."""
    directory.mkdir(parents=True, exist_ok=True)
    fd = os.open(directory / FILE_NAME, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    size = os.fstat(fd).st_size
    if size and os.pread(fd, 1, size - 1) != b"\n":
        os.write(fd, b"\n")
    return fd
