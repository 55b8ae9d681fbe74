"""Shows how far a slow address has come."""

import time
from types import TracebackType
from typing import Self, TextIO

_QUIET = 0.5
"""Seconds before anything is shown: most addresses are quicker."""
_BETWEEN = 0.1
_MIB = 1024 * 1024


class Bar:
    """One line that is written over and over, on a terminal only."""

    def __init__(self, screen: TextIO) -> None:
        self._screen = screen if screen.isatty() else None
        self._next = time.monotonic() + _QUIET
        self._shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._screen is not None and self._shown:
            self._screen.write("\r\x1b[K")
            self._screen.flush()

    def move(self, there: int, of: int | None) -> None:
        """Told how many bytes are there, and of how many, where that is known."""
        if self._screen is None or time.monotonic() < self._next:
            return
        self._next, self._shown = time.monotonic() + _BETWEEN, True
        share = f" of {of / _MIB:.1f} MiB, {there / of:.0%}" if of else " MiB"
        self._screen.write(f"\rfetched {there / _MIB:.1f}{share}\x1b[K")
        self._screen.flush()
