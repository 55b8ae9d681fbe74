"""What ``omnix up`` shows while the suite runs: plain lines, or a table on a terminal."""

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Protocol

from omnix_cli.state import Phase, SuiteState

Announce = Callable[[SuiteState], str]


class Screen(Protocol):
    def changed(self, suite: SuiteState) -> None: ...

    async def run(self) -> None:
        """Show what changes by itself, such as memory, until cancelled."""

    def close(self) -> None: ...


class Lines:
    """One line for every change of a service's state."""

    def __init__(self, announce: Announce) -> None:
        self._announce = announce
        self._announced = False
        self._told: dict[str, tuple[Phase, int | None, str]] = {}

    def changed(self, suite: SuiteState) -> None:
        for name, service in suite.services.items():
            # While a service starts, what it lacks changes from one moment to the next.
            detail = "" if service.phase is Phase.STARTING else service.detail
            now = (service.phase, service.pid, detail)
            if self._told.get(name) == now or (service.phase is Phase.STARTING and service.pid is None):
                continue
            self._told[name] = now
            pid = "" if service.pid is None else f" (pid {service.pid}, port {service.main_port})"
            self._print(f"{name}: {service.phase.value}{pid}{f': {detail}' if detail else ''}")
        if suite.phase is Phase.READY and not self._announced:
            self._announced = True
            self._print(self._announce(suite))

    async def run(self) -> None:
        """Nothing changes by itself here."""
        await asyncio.Event().wait()

    def close(self) -> None:
        """Nothing was taken."""

    @staticmethod
    def _print(line: str) -> None:
        try:
            print(line, flush=True)
        except BrokenPipeError:  # the reader left; the suite stays
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def fitting(announce: Announce) -> Screen:
    """What suits the standard output."""
    if not sys.stdout.isatty():
        return Lines(announce)
    from omnix_cli.terminal import Terminal

    return Terminal(announce)
