"""What ``omnix up`` shows while the suite runs: a live table on a terminal, plain lines elsewhere."""

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Protocol

from rich.console import Console
from rich.live import Live

from omnix_cli import table
from omnix_cli.state import Phase, SuiteState

_REFRESH_EVERY = 2.0

Announce = Callable[[SuiteState], str]


class Screen(Protocol):
    def changed(self, suite: SuiteState) -> None: ...

    async def run(self) -> None:
        """Show what changes by itself, such as memory, until cancelled."""

    def close(self) -> None: ...


class Terminal:
    """The table is drawn anew at every change and every two seconds."""

    def __init__(self, announce: Announce) -> None:
        self._announce = announce
        self._announced = False
        self._meter = table.Meter()
        self._loads: dict[str, tuple[table.Load, str]] = {}
        self._suite: SuiteState | None = None
        self._console = Console()
        self._live = Live(console=self._console, auto_refresh=False)
        self._live.start()

    def changed(self, suite: SuiteState) -> None:
        self._suite = suite
        if suite.phase is Phase.READY and not self._announced:
            self._announced = True
            self._console.print(self._announce(suite), markup=False, highlight=False, soft_wrap=True)
        self._live.update(table.services(suite, self._loads), refresh=True)

    async def run(self) -> None:
        while True:
            if self._suite is not None:
                self._loads = self._meter.loads(self._suite.services)
                self._live.update(table.services(self._suite, self._loads), refresh=True)
            await asyncio.sleep(_REFRESH_EVERY)

    def close(self) -> None:
        self._live.stop()


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
            pid = "" if service.pid is None else f" (pid {service.pid}, port {table.main_port(service)})"
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
    return Terminal(announce) if sys.stdout.isatty() else Lines(announce)
