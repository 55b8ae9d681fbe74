"""`python -m bench.profile [gateway]`, from `tests/`: load OmniX, cost each process, and sample one if it is named."""

import argparse
import dataclasses
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from bench import install
from bench.folded import hotspots
from bench.messages import LoadSpec
from bench.observe import observe
from bench.paths import BENCH, LOGS
from bench.processes import BenchError, allow_many_sockets, cpu_seconds, leave_on_signals, spawned
from bench.scenarios import FULL, SCENARIOS, Sizes, warm_up
from bench.session import running_upstream
from bench.targets import TARGETS, Endpoint, Running

_LOADS = ("one", "many", "burst", "paced", "held")
_SHOWN = 40


def main() -> None:
    arguments = _arguments()
    leave_on_signals()
    allow_many_sockets()
    try:
        _profile(arguments, Console())
    except BenchError as exc:
        raise SystemExit(f"bench: {exc}") from None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument("service", nargs="?", help="a part of the command line of the process to sample: gateway, …")
    parser.add_argument("--load", choices=_LOADS, default="many", help="which of the benchmark's loads")
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--target", choices=list(TARGETS), default="omnix")
    parser.add_argument("--model", help="another model than the target's usual one: gemini/gemini-3.5-flash, …")
    parser.add_argument("--rate", type=int, default=200, help="samples a second")
    parser.add_argument("--native", action="store_true", help="show C frames too; needs the libraries' symbols")
    return parser.parse_args()


def _profile(arguments: argparse.Namespace, console: Console) -> None:
    py_spy = install.py_spy() if arguments.service else None
    target = TARGETS[arguments.target]
    target.prepare()
    directory = LOGS / f"profile-{target.name}-{arguments.service}-{arguments.load}"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    stacks = BENCH / "profiles" / f"{target.name}-{arguments.service}-{arguments.load}.folded"
    stacks.parent.mkdir(parents=True, exist_ok=True)
    with running_upstream(directory) as upstream, target.running(upstream, directory) as running:
        endpoint = running.endpoint
        if arguments.model:
            endpoint = dataclasses.replace(endpoint, model=arguments.model)
        for spec in warm_up(endpoint):
            observe(running, upstream, spec)
        before = _by_process(running)
        load = _load(arguments.load, endpoint, arguments.seconds)
        if py_spy is None:
            seen = observe(running, upstream, load)
        else:
            sampled = _find(running.pids(), arguments.service)
            sampler = [str(py_spy), "record", "--pid", str(sampled.pid), "--duration", str(arguments.seconds)]
            sampler += [
                "--rate",
                str(arguments.rate),
                "--format",
                "raw",
                "--function",
                "--gil",
                "--output",
                str(stacks),
            ]
            # Only what holds the GIL: waiting threads are not always told from running ones, and would drown the rest.
            sampler += ["--native"] if arguments.native else []
            with spawned(sampler, log=directory / "py-spy.log") as process:
                seen = observe(running, upstream, load)
                try:
                    process.wait(timeout=30)
                except subprocess.TimeoutExpired:
                    raise BenchError(f"py-spy did not end; see {directory / 'py-spy.log'}") from None
                if process.returncode:
                    raise BenchError(f"py-spy failed; see {directory / 'py-spy.log'}")
        used = {name: after - before.get(name, 0.0) for name, after in _by_process(running).items()}
    units, unit = (seen.result.tokens, "chunk") if load.stream else (seen.result.whole, "request")
    console.print(_costs(used, max(1, units), unit))
    if py_spy is None:
        return
    with stacks.open() as lines:
        spots = hotspots(lines)
    console.print(_shares("Functions by their own time", spots.own, spots.samples))
    console.print(_shares("Functions by their time with what they call", spots.within, spots.samples))
    console.print(f"{seen.result.whole} of {seen.result.asked} answers whole; stacks: {stacks}", soft_wrap=True)


def _find(pids: Sequence[int], part: str) -> psutil.Process:
    processes = [psutil.Process(pid) for pid in pids]
    found = [process for process in processes if part.replace("-", "_") in _title(process).replace("-", "_")]
    if not found:
        titles = "\n  ".join(_title(process) for process in processes)
        raise BenchError(f"no process has {part!r} in its command line; there are:\n  {titles}")
    return found[-1]  # parents come first, and a supervisor names what it starts


def _title(process: psutil.Process) -> str:
    return " ".join(Path(word).name if word.startswith("/") else word for word in process.cmdline()[:6])


def _by_process(running: Running) -> dict[str, float]:
    return {f"{pid} {_title(psutil.Process(pid))}": cpu_seconds([pid]) for pid in running.pids()}


def _load(name: str, endpoint: Endpoint, seconds: int) -> LoadSpec:
    """The benchmark's load, drawn out to ``seconds``."""
    sizes: Sizes = dataclasses.replace(
        FULL,
        one_requests=1_000_000,
        one_seconds=seconds,
        many_requests=1_000_000,
        many_seconds=seconds,
        burst_streams=1_000_000,
        burst_seconds=seconds,
        paced_tokens=20 * seconds,
        held_tokens=10 * seconds,
        held_ramp=min(10, seconds / 3),
    )
    specs: dict[str, Callable[[Endpoint, Sizes], LoadSpec]] = {
        short: scenario.spec for short, scenario in zip(_LOADS, SCENARIOS, strict=True)
    }
    return specs[name](endpoint, sizes)


def _costs(used: dict[str, float], units: int, unit: str) -> Table:
    title = "CPU by process, idling and being sampled included"
    table = Table(Column("process", overflow="fold"), "CPU s", f"µs a {unit}", title=title, box=None)
    for name, seconds in sorted(used.items(), key=lambda item: -item[1]):
        table.add_row(escape(name), f"{seconds:.2f}", f"{seconds * 1e6 / units:.1f}")
    table.add_row("all", f"{sum(used.values()):.2f}", f"{sum(used.values()) * 1e6 / units:.1f}")
    return table


def _shares(title: str, counts: Counter[str], samples: int) -> Table:
    table = Table("share", Column("function", overflow="fold"), title=f"{title}, of {samples} samples", box=None)
    for function, count in counts.most_common(_SHOWN):
        table.add_row(f"{count / samples:.1%}", escape(function))
    return table


if __name__ == "__main__":
    main()
