"""One supervisor per data directory: who holds the lock is alive, and its pid stands in the file."""

import fcntl
import os
import time
from pathlib import Path

_TRIES, _PAUSE = 5, 0.05
"""``holder`` takes the lock for a moment to see whether it can be had."""


class HeldError(Exception):
    """Another process holds the lock."""

    def __init__(self, pid: int | None) -> None:
        super().__init__(f"held by {pid}")
        self.pid = pid


def take(path: Path) -> None:
    """Hold the lock until this process ends, however it ends. Only then may a successor begin.

    :raises HeldError: within a fifth of a second, when another process holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for tries_left in reversed(range(_TRIES)):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError as exc:
            if not tries_left:
                os.close(descriptor)
                raise HeldError(_pid(path)) from exc
            time.sleep(_PAUSE)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)


def holder(path: Path) -> int | None:
    """The pid of the process that holds the lock; None when nobody does."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _pid(path)
    finally:
        os.close(descriptor)
    return None


def _pid(path: Path) -> int | None:
    try:
        return int(path.read_text() or "0") or None
    except ValueError:
        return None
