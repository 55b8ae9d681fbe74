"""One service kept alive: started, asked whether it is ready, started again when it ends by itself."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec
import psutil

from omnix_cli import environment, logfiles, probe
from omnix_cli.errors import CommandError
from omnix_cli.pace import Pace
from omnix_cli.state import Phase, ServiceState
from omnix_cli.suite import Service, Site

_CONFIGURATION = 2
"""The exit code by which a service says that trying again is no use."""
_LINES_TOLD = 8


class StartError(CommandError):
    """A service cannot be brought up; its last log lines are in the message."""


class Child:
    """A row of the table in life. ``changed`` is called after every change of ``state``."""

    def __init__(self, service: Service, site: Site, changed: Callable[[], None], pace: Pace) -> None:
        self.service = service
        self.state = ServiceState(phase=Phase.STARTING, ports=dict(site.ports[service.name]))
        self._site = site
        self._changed = changed
        self._pace = pace
        self._log = site.data.log(service.name)
        self._process: asyncio.subprocess.Process | None = None
        self._stop = asyncio.Event()
        self._ever_ready = False
        self._ready_since: float | None = None

    async def keep(self) -> None:
        """Run until stopped.

        :raises CommandError: when the service cannot be brought up for the first time.
        """
        pause, ends = self._pace.first_pause, 0
        while not self._stop.is_set():
            offset = logfiles.size(self._log)
            try:
                code = await self._live()
                ending = _ending(code)
            except CommandError as exc:  # there is no process
                code, ending = _CONFIGURATION, str(exc)
                if not self._ever_ready:
                    self._become(Phase.FAILED, ending)
                    raise
            if self._stop.is_set():
                return
            ends += 1
            if not self._ever_ready and (code == _CONFIGURATION or ends >= self._pace.tries):
                self._become(Phase.FAILED, ending)
                raise StartError(self._explain(code, ends, offset))
            if self._ready_since is not None and time.monotonic() - self._ready_since >= self._pace.forgiven_after:
                pause = self._pace.first_pause
            self._become(Phase.RESTARTING, f"{ending}, next start in {pause:g} s")
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stop.wait()
            pause = min(pause * 2, self._pace.longest_pause)

    async def stop(self, within: float) -> None:
        """Ask the process to end, and after so many seconds make it."""
        self._stop.set()
        process = self._process
        if process is not None and process.returncode is None:
            self._become(Phase.STOPPING)
            with suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(within):
                    await process.wait()
            except TimeoutError:
                _kill_group(process.pid)
                await process.wait()
                self._become(Phase.STOPPED, f"killed, as it did not stop within {within:g} s")
                return
        self._become(Phase.STOPPED)

    def kill(self) -> None:
        """End the process at once."""
        self._stop.set()
        if self._process is not None and self._process.returncode is None:
            _kill_group(self._process.pid)

    async def _live(self) -> int:
        """One process from its start to its end; returns its exit code."""
        again = self._process is not None
        self._process = process = await self._start()
        self._ready_since = None
        self.state = msgspec.structs.replace(
            self.state,
            pid=process.pid,
            started=_started(process.pid),
            restarts=self.state.restarts + again,
        )
        self._become(Phase.STARTING)
        if self._stop.is_set():  # the order came while the process was being made
            with suppress(ProcessLookupError):
                process.terminate()
        watching = asyncio.create_task(self._watch())
        try:
            code = await process.wait()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            _kill_group(process.pid)  # what it may have left behind
        return code

    async def _start(self) -> asyncio.subprocess.Process:
        service, site = self.service, self._site
        try:
            service.prepare(site)
            variables = environment.of_service(
                site.outside, service.receives(site), service.environment(site), str(site.data.root)
            )
            with self._log.open("ab") as log:
                return await asyncio.create_subprocess_exec(
                    *service.command(site),
                    env=variables,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C in the terminal is the supervisor's alone
                )
        except OSError as exc:
            raise StartError(f"{service.name} cannot be started: {exc}") from exc

    async def _watch(self) -> None:
        """Ask the process whether it is ready, often while it is young and seldom later."""
        born, pace = time.monotonic(), self._pace
        while True:
            missing = await probe.lacking(self.service, self.state.ports, self._site.url)
            if self._stop.is_set():
                return
            if missing is None:
                self._ready_since = self._ready_since or time.monotonic()
                self._ever_ready = True
                self._become(Phase.READY)
            else:
                self._become(Phase.STARTING if self._ready_since is None else Phase.NOT_READY, missing)
            eager = missing is not None and time.monotonic() - born < pace.youth
            await asyncio.sleep(pace.young if eager else pace.settled)

    def _become(self, phase: Phase, detail: str = "") -> None:
        process = self._process
        gone = process is None or process.returncode is not None
        fresh = msgspec.structs.replace(
            self.state,
            phase=phase,
            detail=detail,
            pid=None if gone else self.state.pid,
            started=None if gone else self.state.started,
        )
        self.state = fresh
        self._changed()

    def _explain(self, code: int, ends: int, offset: int) -> str:
        lines = [f"  {line}" for line in logfiles.tail(self._log, _LINES_TOLD, offset)]
        if code == _CONFIGURATION:
            what = f"{self.service.name} refuses its configuration:"
        else:
            what = f"{self.service.name} {_ending(code)} before it was ready, {ends} times; the end of {self._log}:"
        return "\n".join([what, *lines])


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _started(pid: int) -> float | None:
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return None


def _kill_group(pid: int) -> None:
    """Each service leads a process group, whose number is not used anew while a member lives."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
