"""The table of services, as ``up`` and ``status`` show it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import psutil
from rich.table import Table
from rich.text import Text

from omnix_cli.state import Phase, ServiceState, SuiteState

_COLOURS = {
    Phase.STARTING: "cyan",
    Phase.READY: "green",
    Phase.NOT_READY: "yellow",
    Phase.RESTARTING: "yellow",
    Phase.STOPPING: "cyan",
    Phase.STOPPED: "dim",
    Phase.FAILED: "red",
}


@dataclass(frozen=True, slots=True)
class Load:
    """What a process uses."""

    memory_bytes: int
    cpu_seconds: float


def measure(pid: int | None) -> Load | None:
    """What the process uses now; None when it is gone."""
    if pid is None:
        return None
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            times = process.cpu_times()
            return Load(process.memory_info().rss, times.user + times.system)
    except psutil.Error:
        return None


class Meter:
    """Remembers the last measurement, so that the share of a CPU since then can be told."""

    def __init__(self) -> None:
        self._before: dict[int, tuple[float, float]] = {}

    def loads(self, services: Mapping[str, ServiceState]) -> dict[str, tuple[Load, str]]:
        """What each service uses, and its CPU since the last call, in words."""
        now, told, fresh = time.monotonic(), {}, {}
        for name, service in services.items():
            load = measure(service.pid)
            if load is None or service.pid is None:
                continue
            fresh[service.pid] = (now, load.cpu_seconds)
            before = self._before.get(service.pid)
            share = "" if before is None else f"{(load.cpu_seconds - before[1]) / max(now - before[0], 0.01):.1%}"
            told[name] = (load, share)
        self._before = fresh
        return told


def services(suite: SuiteState, loads: Mapping[str, tuple[Load, str]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("service", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for column in ("pid", "port", "restarts", "uptime", "memory", "cpu"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    now = time.time()
    for name, service in suite.services.items():
        load = loads.get(name)
        table.add_row(
            Text(name),
            Text(service.phase.value, style=_COLOURS[service.phase]),
            str(service.pid or ""),
            str(service.main_port),
            str(service.restarts or ""),
            "" if service.started is None else duration(now - service.started),
            "" if load is None else f"{load[0].memory_bytes / 1024 / 1024:.0f} MB",
            "" if load is None else load[1],
            Text(service.detail, style="yellow"),
        )
    return table


def duration(seconds: float) -> str:
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02} min"
    if whole < 86_400:
        return f"{whole // 3600}:{whole % 3600 // 60:02} h"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"
