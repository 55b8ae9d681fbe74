"""`python -m bench`, from `tests/`: measure, print the table, write it to `.bench/results`."""

import argparse
import sys
from pathlib import Path

import msgspec
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from bench import adapters
from bench.paths import RESULTS
from bench.processes import BenchError, allow_many_sockets, leave_on_signals
from bench.report import markdown
from bench.scenarios import FULL, QUICK
from bench.session import STEPS_A_ROUND, Report, run
from bench.targets import TARGETS, Target


def main() -> None:
    arguments = _arguments()
    leave_on_signals()
    allow_many_sockets()
    console = Console(stderr=True)
    targets = [] if arguments.adapters else [TARGETS[name] for name in arguments.only]
    with_adapters = arguments.adapters or "omnix" in arguments.only
    try:
        report = _run(targets, arguments.rounds, quick=arguments.quick, with_adapters=with_adapters, console=console)
    except BenchError as exc:
        raise SystemExit(f"bench: {exc}") from None
    text = markdown(report)
    for path in _write(report, text, arguments.json):
        console.print(f"written: {path}")
    if sys.stdout.isatty():
        Console().print(Markdown(text))
    else:
        sys.stdout.write(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short loads: an impression, not a measurement")
    parser.add_argument(
        "--only",
        type=_names,
        default=list(TARGETS),
        metavar="NAME,…",
        help=f"which targets, in this order: {', '.join(TARGETS)}",
    )
    parser.add_argument("--adapters", action="store_true", help="OmniX's adapters against each other, nothing else")
    parser.add_argument("--rounds", type=int, default=1, help="repeat all in turn and report medians")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the JSON results here as well")
    return parser.parse_args()


def _names(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in TARGETS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no such target: {', '.join(unknown)}")
    return names


def _run(targets: list[Target], rounds: int, *, quick: bool, with_adapters: bool, console: Console) -> Report:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, refresh_per_second=1) as bar:
        steps = len(targets) * (1 + rounds * STEPS_A_ROUND) + (adapters.STEPS if with_adapters else 0)
        task = bar.add_task("", total=steps)

        def progress(step: str) -> None:
            bar.update(task, description=step)
            bar.advance(task)

        return run(
            targets,
            QUICK if quick else FULL,
            rounds=rounds,
            quick=quick,
            with_adapters=with_adapters,
            progress=progress,
        )


def _write(report: Report, text: str, copy: Path | None) -> list[Path]:
    RESULTS.mkdir(parents=True, exist_ok=True)
    stem = f"{report.started:%Y-%m-%dT%H%M%S}"
    encoded = msgspec.json.format(msgspec.json.encode(report), indent=1)
    written = [RESULTS / f"{stem}.md", RESULTS / f"{stem}.json"]
    written[0].write_text(text)
    written[1].write_bytes(encoded)
    if copy is not None:
        copy.write_bytes(encoded)
        written.append(copy)
    return written


if __name__ == "__main__":
    main()
