"""Writes the record: lines at once, one fsync for all calls that wait for it, never on the event loop."""

import asyncio
import os
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from omnix_sandbox.record import FILE_NAME, Accepted, Call, Cleared, Closed, Event, Finished

LATEST_FSYNC = 0.05  # seconds after a line that no call waits for


class RecordError(Exception):
    """The record can't be written any more; the sandbox must not answer on."""


class Recorder:
    """Appends events to the file, and keeps the latest calls in memory for the control address.

    Each line is written at once, so it survives a kill of the process; with `fsync` a call is not answered before its
    line also survives a power loss.
    """

    def __init__(self, fd: int, *, fsync: bool, kept: int) -> None:
        self._fd = fd
        self._kept = kept
        self._calls: OrderedDict[str, Call] = OrderedDict()
        self._encode = msgspec.json.Encoder().encode
        self._synced: asyncio.Future[None] | None = None
        self._syncing: asyncio.Task[None] | None = None
        self._later: asyncio.Handle | None = None
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
                await recorder._close()
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
        if self._executor is not None:
            await asyncio.shield(self._sync())
        if self._failed is not None:
            raise RecordError("the record of calls cannot be written") from self._failed

    def add(self, event: Finished | Closed) -> None:
        """Record what became of a call; it is durable soon."""
        if (call := self._calls.get(event.call)) is not None:
            call.add(event)
        self._append(event)
        self._sync_later()

    def clear(self, time: float) -> None:
        """Forget all calls so far; the file keeps their lines, readers pass over them."""
        self._calls.clear()
        self._append(Cleared(time))
        self._sync_later()

    def calls(self) -> Iterator[Call]:
        """The latest calls, newest first."""
        return reversed(self._calls.values())

    def _append(self, event: Event) -> None:
        if self._failed is not None:
            return
        try:
            rest = memoryview(self._encode(event) + b"\n")
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError as exc:
            self._failed = exc

    def _sync(self) -> asyncio.Future[None]:
        """Done when everything written up to now is on disk; whoever asks while an fsync runs shares the next."""
        if self._synced is None:
            self._synced = asyncio.get_running_loop().create_future()
        if self._syncing is None:
            self._syncing = asyncio.create_task(self._sync_all())
        return self._synced

    def _sync_later(self) -> None:
        if self._executor is not None and self._later is None:
            self._later = asyncio.get_running_loop().call_later(LATEST_FSYNC, self._sync)

    async def _sync_all(self) -> None:
        loop = asyncio.get_running_loop()
        while self._synced is not None:
            synced, self._synced = self._synced, None
            if self._later is not None:
                self._later.cancel()
                self._later = None
            try:
                await loop.run_in_executor(self._executor, os.fdatasync, self._fd)
            except OSError as exc:
                self._failed = exc
            synced.set_result(None)
        self._syncing = None

    async def _close(self) -> None:
        if self._executor is not None:
            await self._sync()
            while self._syncing is not None:
                await self._syncing
            self._executor.shutdown()


def _open(directory: Path) -> int:
    """Open the file to append; the next line must not be glued to one that a crash has torn."""
    directory.mkdir(parents=True, exist_ok=True)
    fd = os.open(directory / FILE_NAME, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    size = os.fstat(fd).st_size
    if size and os.pread(fd, 1, size - 1) != b"\n":
        os.write(fd, b"\n")
    return fd
