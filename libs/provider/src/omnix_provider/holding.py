"""The folder in which one process keeps its journal and spool, and how it inherits those of dead processes.

Folders are numbered below the service's; a process takes the first that nobody holds. The hold is a file lock, which
the system drops when the process dies, however it dies.
"""

import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from omnix_provider.journal import Orphan, orphans
from omnix_provider.spool import Record, write_at_once

_log = logging.getLogger(__name__)

_MOST_PROCESSES = 256
_MOST_UNREADABLE = 100

Closing = Callable[[Orphan], Record]
"""Makes the event that an orphan is told as.

:raises ValueError: when the orphan is no event.
"""


@dataclass(frozen=True)
class Holding:
    """A folder that this process holds."""

    root: Path
    number: int

    @property
    def journal(self) -> Path:
        return self.root / str(self.number) / "journal"

    @property
    def spool(self) -> Path:
        return self.root / str(self.number) / "spool"

    @contextmanager
    def dead(self) -> Iterator["list[Holding]"]:
        """What dead processes held and left something in; held by this process while inside. Blocking, but short."""
        with ExitStack() as stack:
            found = []
            for path in self.root.iterdir():
                if not path.name.isdecimal() or int(path.name) == self.number:
                    continue
                other = Holding(self.root, int(path.name))
                if not other.journal.exists() and not any(other.spool.glob("*.spool")):
                    continue
                try:
                    stack.enter_context(_lock(path))
                except BlockingIOError:
                    continue
                found.append(other)
            yield found

    def rescue(self, closing: Closing) -> None:
        """Bring the journal's orphans into the spool. Blocking; whoever calls holds the folder."""
        records = []
        for orphan in orphans(self.journal):
            try:
                records.append(closing(orphan))
            except ValueError as exc:
                aside = self._set_aside(orphan)
                _log.error(
                    "a slot of a dead process's journal cannot be read", extra={"error": str(exc), "kept": aside}
                )
        if records:
            _log.warning("closing attempts of a process that died", extra={"attempts": len(records)})
            write_at_once(self.spool, records)
        self.journal.unlink(missing_ok=True)

    def _set_aside(self, orphan: Orphan) -> str:
        """Keep what cannot be read for whoever looks into it; the name of its file."""
        folder = self.root / str(self.number) / "unreadable"
        folder.mkdir(exist_ok=True)
        number = sum(1 for _ in folder.iterdir())
        if number >= _MOST_UNREADABLE:
            return ""
        path = folder / f"{number:04}"
        path.write_bytes(orphan.event)
        return str(path)

    def segments(self) -> list[Path]:
        return sorted(self.spool.glob("*.spool"))


@contextmanager
def hold(root: Path) -> Iterator[Holding]:
    """Take a folder below ``root``. Blocking.

    :raises OSError: when it cannot be made or written.
    """
    root.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        for number in range(_MOST_PROCESSES):
            try:
                stack.enter_context(_lock(root / str(number)))
            except BlockingIOError:
                continue
            yield Holding(root, number)
            return
        raise OSError(f"{root} is used by {_MOST_PROCESSES} processes")


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """:raises BlockingIOError: when another process holds it."""
    folder.mkdir(exist_ok=True)
    file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(file)
