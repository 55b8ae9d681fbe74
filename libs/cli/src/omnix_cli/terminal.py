"""The live table of services that ``omnix up`` shows on a terminal."""

import asyncio

from rich.console import Console
from rich.live import Live

from omnix_cli import table
from omnix_cli.screen import Announce
from omnix_cli.state import Phase, SuiteState

_REFRESH_EVERY = 2.0


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
