"""One run: every target in turn over one upstream, as many rounds as asked, in the same hour on the same machine."""

import datetime as dt
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil

from bench import adapters
from bench.adapters import Adapters
from bench.metrics import OF_PROCESSES, Metric
from bench.observe import Idle, Observation, observe, observe_idle
from bench.paths import LOGS
from bench.processes import BenchError, free_port, spawned
from bench.scenarios import SCENARIOS, Figures, Sizes, idle_figures, warm_up
from bench.targets import Bare, Target, Upstream, first_answer

Progress = Callable[[str], None]
"""Told what is being done now, once a step."""

STEPS_A_ROUND = 2 + len(SCENARIOS)


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One start of one target, all loads, one stop; a round that failed holds what was read until then."""

    figures: dict[Metric, float] = {}
    observations: dict[str, Observation] = {}
    idle: Idle | None = None


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What one target gave."""

    name: str
    title: str
    rounds: list[Round]
    trouble: str | None = None
    """Why it was not measured, or not to the end."""

    @property
    def figures(self) -> Figures:
        """Of each figure the median of the rounds that have it."""
        return {
            metric: statistics.median(values)
            for metric in Metric
            if (values := [round_.figures[metric] for round_ in self.rounds if metric in round_.figures])
        }


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where the run took place."""

    processor: str
    cores: int
    memory_gb: float
    system: str
    python: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a run gives; this is the JSON that is written."""

    started: dt.datetime
    seconds: float
    quick: bool
    machine: Machine
    sizes: Sizes
    targets: list[Measured]
    adapters: Adapters | None = None
    """``None`` where they were not asked for."""


def run(
    targets: Sequence[Target], sizes: Sizes, *, rounds: int, quick: bool, with_adapters: bool, progress: Progress
) -> Report:
    """Measure all targets; one that fails is reported with its reason and does not stop the others.

    :param with_adapters: afterwards measure the suite's adapters against each other.
    """
    started, clock = dt.datetime.now(dt.UTC), time.monotonic()
    directory = LOGS / started.strftime("%Y%m%dT%H%M%S")
    directory.mkdir(parents=True)
    done: dict[str, list[Round]] = {target.name: [] for target in targets}
    trouble: dict[str, str] = {}
    for target in targets:
        progress(f"{target.title}: installation")
        try:
            target.prepare()
        except BenchError as exc:
            trouble[target.name] = str(exc)
    with running_upstream(directory) as upstream:
        for number in range(1, rounds + 1):
            for target in targets:
                if target.name in trouble:
                    continue
                place = directory / f"{target.name}-{number}"
                place.mkdir()
                try:
                    for round_ in _round(target, upstream, place, sizes, progress):
                        done[target.name][number - 1 :] = [round_]
                except BenchError as exc:
                    trouble[target.name] = str(exc)
        measured = adapters.measure(upstream, directory / "adapters", progress) if with_adapters else None
    return Report(
        started=started,
        seconds=time.monotonic() - clock,
        quick=quick,
        machine=_machine(),
        sizes=sizes,
        targets=[
            Measured(name=t.name, title=t.title, rounds=done[t.name], trouble=trouble.get(t.name)) for t in targets
        ],
        adapters=measured,
    )


@contextmanager
def running_upstream(directory: Path) -> Iterator[Upstream]:
    """The sandbox as the vendor of all targets. Its record is not fsynced, so that the disk does not set the pace."""
    port = free_port()
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("OMNIX_")},
        "OMNIX_SANDBOX_PORT": str(port),
        "OMNIX_SANDBOX_DATA_DIR": str(directory / "sandbox"),
        "OMNIX_SANDBOX_FSYNC": "false",
    }
    log = directory / "upstream.log"
    with spawned([sys.executable, "-m", "omnix_sandbox"], log=log, env=env, cwd=directory) as process:
        upstream = Upstream(port, process.pid)
        first_answer(Bare().endpoint(upstream), process, log)
        yield upstream


def _round(target: Target, upstream: Upstream, directory: Path, sizes: Sizes, progress: Progress) -> Iterator[Round]:
    """The round as it grows, after each load."""
    figures: dict[Metric, float] = {}
    observations: dict[str, Observation] = {}
    progress(f"{target.title}: start")
    with target.running(upstream, directory) as running:
        if running.cold_start_seconds is not None:
            figures[Metric.COLD_START] = running.cold_start_seconds
        for spec in warm_up(running.endpoint):
            observe(running, upstream, spec)
        progress(f"{target.title}: idle")
        idle = observe_idle(running, upstream, sizes.idle_seconds)
        figures.update(idle_figures(idle))
        for scenario in SCENARIOS:
            progress(f"{target.title}: {scenario.name}")
            spec = scenario.spec(running.endpoint, sizes)
            seen = observe(running, upstream, spec, watch_memory=scenario.watch_memory)
            observations[scenario.name] = seen
            figures.update(scenario.figures(seen))
            if not running.pids():
                figures = {metric: value for metric, value in figures.items() if metric not in OF_PROCESSES}
            yield Round(figures=dict(figures), observations=dict(observations), idle=idle)


def _machine() -> Machine:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return Machine(
        processor=model,
        cores=psutil.cpu_count() or 1,
        memory_gb=round(psutil.virtual_memory().total / 1e9),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
    )
