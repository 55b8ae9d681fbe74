"""The results as Markdown: one table, the goals, and how far the figures are to be trusted."""

from collections.abc import Iterator, Sequence

from bench.adapters import BASE, LIMIT, Adapters, Whose
from bench.metrics import GOALS, Goal, Metric, Row, rows
from bench.observe import Observation
from bench.scenarios import BURST, MANY, PACED, Figures
from bench.session import Measured, Report

_DISTURBED = 0.10


def markdown(report: Report) -> str:
    """The whole report; readable as text too."""
    sizes, machine = report.sizes, report.machine
    title = f"## Benchmark of {report.started:%Y-%m-%d}{' (quick)' if report.quick else ''}"
    rounds = max((len(target.rounds) for target in report.targets), default=0)
    repeated = f"{rounds} {'round' if rounds == 1 else 'rounds'} in " if rounds else ""
    where = (
        f"{machine.processor}, {machine.cores} cores shared by load, upstream and gateway, {machine.memory_gb:g} GB, "
        f"{machine.system}, Python {machine.python}; {repeated}{report.seconds / 60:.0f} min."
    )
    lines = rows(held=sizes.held_streams, paced=sizes.paced_streams, burst=sizes.burst_tokens)
    parts = [title, where, _table(report.targets, lines), _goals(report.targets, lines)]
    parts += [_adapters(report.adapters) if report.adapters else "", _notes(report)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(targets: Sequence[Measured], lines: Sequence[Row]) -> str:
    measured = [target for target in targets if target.rounds]
    if not measured:
        return ""
    [first, *others] = measured
    ratios = [other for other in others if other.name != "bare"] if first.name == "omnix" else []
    head = ["", *(target.title for target in measured), *(f"OmniX to {other.title.split()[0]}" for other in ratios)]
    table = [head, ["---", *["---:"] * (len(head) - 1)]]
    for row in lines:
        cells = [row.title, *(_figure(target.figures, row.metric) for target in measured)]
        cells += [_ratio(row, first.figures, other.figures) for other in ratios]
        table.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in table)


def _figure(figures: Figures, metric: Metric) -> str:
    return "–" if metric not in figures else _number(figures[metric])


def _number(value: float) -> str:
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _ratio(row: Row, own: Figures, other: Figures) -> str:
    """How many times better OmniX does; below 1 it does worse."""
    factor = advantage(row.metric, own, other, more_is_better=row.more_is_better) if row.ratio else None
    return "" if factor is None else f"{_number(factor)} ×"


def advantage(metric: Metric, own: Figures, other: Figures, *, more_is_better: bool = False) -> float | None:
    """How many times better ``own`` is; ``None`` where either is missing or the divisor is 0."""
    if metric not in own or metric not in other:
        return None
    better, worse = (own[metric], other[metric]) if more_is_better else (other[metric], own[metric])
    return better / worse if worse else None


def _goals(targets: Sequence[Measured], lines: Sequence[Row]) -> str:
    own = next((target.figures for target in targets if target.name == "omnix" and target.rounds), None)
    if own is None:
        return ""
    litellm = next((target.figures for target in targets if target.name == "litellm"), {})
    titles = {row.metric: row.title for row in lines}
    table = ["| goal | bound | measured | |", "| --- | ---: | ---: | --- |"]
    for goal in GOALS:
        value = advantage(goal.metric, own, litellm) if goal.against_litellm else own.get(goal.metric)
        table.append(_goal(goal, titles[goal.metric], value))
    return "\n".join(table)


def _goal(goal: Goal, title: str, value: float | None) -> str:
    unit = " × less than LiteLLM" if goal.against_litellm else ""
    at_least = goal.at_least or goal.against_litellm
    bound = f"{'≥' if at_least else '<'} {goal.bound:g}{unit}"
    if value is None:
        return f"| {title} | {bound} | – | not measured |"
    reached = value >= goal.bound if at_least else value < goal.bound
    return f"| {title} | {bound} | {_number(value)} | {'reached' if reached else '**missed**'} |"


def _adapters(adapters: Adapters) -> str:
    """What each adapter costs beside the base, and where a chunk costs too much."""
    [base] = [measured for measured in adapters.measured if measured.provider == BASE]
    sizes = adapters.sizes
    loads = (
        (MANY, "a unary request, 32 at a time (ms)", 1e3),
        (BURST, f"a chunk, bursts of {sizes.burst_tokens} (µs)", 1e6),
        (PACED, f"a chunk, {sizes.paced_streams} streams at 20 tokens/s (µs)", 1e6),
    )
    head = ["CPU of OmniX's adapters", *(measured.provider for measured in adapters.measured)]
    table = [head, ["---", *["---:"] * (len(head) - 1)]]
    for whose in Whose:
        for load, title, unit in loads:
            limit = LIMIT if whose is Whose.ADAPTER and load.name != MANY.name else None
            first = base.cost(load.name, whose)
            cells = [
                _cost(each.cost(load.name, whose), None if each is base else first, unit, limit)
                for each in adapters.measured
            ]
            table.append([f"{whose}, {title}", *cells])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in table)


def _cost(value: float | None, base: float | None, unit: float, limit: float | None) -> str:
    """``base`` is ``None`` where there is nothing to hold the value against."""
    if value is None:
        return "–"
    told = _number(value * unit)
    if base is None:
        return told
    over = limit is not None and value / base > limit
    return f"{told} (**{_number(value / base)} ×, over {limit:g}**)" if over else f"{told} ({_number(value / base)} ×)"


def _notes(report: Report) -> str:
    cores = report.machine.cores
    notes = [note for target in report.targets for note in _target_notes(target, cores)]
    notes += _adapter_notes(report.adapters, cores) if report.adapters else []
    return "\n".join(f"- {note}" for note in notes)


def _adapter_notes(adapters: Adapters, cores: int) -> Iterator[str]:
    if adapters.trouble:
        yield f"adapters: stopped: {adapters.trouble}"
    disturbances = []
    for measured in adapters.measured:
        for number, round_ in enumerate(measured.rounds, start=1):
            for name, seen in round_.items():
                where = f"{measured.model}, {name}, round {number}"
                yield from _failures(where, seen)
                yield from _saturations(where, seen)
                disturbances.append(_disturbance(seen, cores))
    if many := [share for share in disturbances if share > _DISTURBED]:
        least, most = min(many), max(many)
        yield (
            f"adapters: something else used {least:.0%} to {most:.0%} of the machine in {len(many)} of "
            f"{len(disturbances)} loads"
        )


def _target_notes(target: Measured, cores: int) -> Iterator[str]:
    if target.trouble:
        yield f"{target.title}: {'stopped' if target.rounds else 'skipped'}: {target.trouble}"
    for number, round_ in enumerate(target.rounds, start=1):
        for name, seen in round_.observations.items():
            where = f"{target.title}, {name}" + (f", round {number}" if len(target.rounds) > 1 else "")
            yield from _failures(where, seen)
            if target.name != "bare":
                yield from _saturations(where, seen)
                if (used := _disturbance(seen, cores)) > _DISTURBED:
                    yield f"{where}: something else used {used:.0%} of the machine"


def _failures(where: str, seen: Observation) -> Iterator[str]:
    if seen.result.failures:
        reasons = sorted(seen.result.failures.items(), key=lambda item: -item[1])
        told = "; ".join(f"{count} × {reason}" for reason, count in reasons[:3])
        yield f"{where}: {seen.result.whole} of {seen.result.asked} answers whole. {told}"


def _saturations(where: str, seen: Observation) -> Iterator[str]:
    if (used := seen.result.cpu_seconds / seen.result.wall_seconds) > 0.85:
        yield f"{where}: the load was at {used:.0%} of a core and may have held the gateway back"
    if (used := seen.upstream_cpu_seconds / seen.seconds) > 0.85:
        yield f"{where}: the upstream was at {used:.0%} of a core and may have held the gateway back"


def _disturbance(seen: Observation, cores: int) -> float:
    """The share of the machine that something else had."""
    return seen.other_cpu_seconds / seen.seconds / cores
