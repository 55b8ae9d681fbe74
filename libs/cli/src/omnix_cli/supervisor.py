"""The life of a suite: everything started at once, kept alive, and stopped in order."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import groupby

import psutil

from omnix_cli import logfiles, state
from omnix_cli.child import Child
from omnix_cli.pace import Pace
from omnix_cli.state import KeySource, Phase, SuiteState
from omnix_cli.suite import Service, Site

_ROTATE_EVERY = 5.0


class Supervisor:
    """Runs the services that the site wants; tells ``state.json`` and ``changed`` of every change."""

    def __init__(
        self,
        services: Sequence[Service],
        site: Site,
        admin_key: KeySource,
        changed: Callable[[SuiteState], None],
        pace: Pace,
    ) -> None:
        self._site = site
        self._admin_key: KeySource = admin_key
        self._tell = changed
        self._started = psutil.Process().create_time()
        self._stop = asyncio.Event()
        self._beyond_grace = pace.beyond_grace
        self._children = [Child(row, site, self._changed, pace) for row in services if row.wanted(site)]
        self._end: Phase | None = None
        self._was_ready = False
        self._last: SuiteState | None = None

    async def run(self) -> None:
        """Live until SIGINT, SIGTERM or SIGHUP; a second one ends everything at once.

        :raises CommandError: when a service cannot be brought up; the others are stopped by then.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal)
        self._changed()
        rotating = asyncio.create_task(self._rotate())
        stopping = asyncio.create_task(self._stop.wait())
        keeping = [asyncio.create_task(child.keep(), name=child.service.name) for child in self._children]
        try:
            # A child is kept until it is stopped, so one that is done has failed.
            await asyncio.wait([stopping, *keeping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._stop_all()
            outcomes = await asyncio.gather(*keeping, return_exceptions=True)
            rotating.cancel()
            stopping.cancel()
            failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
            self._end = Phase.FAILED if failures else Phase.STOPPED
            self._changed()
        if failures:
            raise failures[0]

    async def _stop_all(self) -> None:
        """The gateway first, so that nothing new comes in, and NATS last, so that nothing is lost."""
        self._end = Phase.STOPPING
        self._changed()
        in_order = sorted(self._children, key=_stops)
        for _, together in groupby(in_order, key=_stops):
            await asyncio.gather(*(child.stop(self._site.grace + self._beyond_grace) for child in together))

    async def _rotate(self) -> None:
        logs = [self._site.data.log(name) for name in (*self._site.ports, "supervisor")]
        while True:
            for log in logs:
                with suppress(OSError):
                    logfiles.rotate(log)
            await asyncio.sleep(_ROTATE_EVERY)

    def _on_signal(self) -> None:
        if self._stop.is_set():
            for child in self._children:
                child.kill()
        self._stop.set()

    def _changed(self) -> None:
        now = SuiteState(
            phase=self._phase(),
            pid=os.getpid(),
            started=self._started,
            url=self._site.url,
            nats_url=self._site.nats_url,
            sandboxed=list(self._site.sandboxed),
            admin_key=self._admin_key,
            services={child.service.name: child.state for child in self._children},
        )
        if now != self._last:
            self._last = now
            try:
                state.write(self._site.data.state, now)
            except OSError as exc:  # a full disk must not take down a suite that serves
                sys.stderr.write(f"{self._site.data.state} cannot be written: {exc}\n")
            self._tell(now)

    def _phase(self) -> Phase:
        if self._end is not None:
            return self._end
        if all(child.state.phase is Phase.READY for child in self._children):
            self._was_ready = True
            return Phase.READY
        return Phase.NOT_READY if self._was_ready else Phase.STARTING


def _stops(child: Child) -> int:
    return child.service.stops
