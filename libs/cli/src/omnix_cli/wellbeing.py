"""How providers and their models fare, as tables."""

import msgspec
from rich.table import Table

from omnix_cli.listings import table_of


class FirstContent(msgspec.Struct):
    p50: float
    p95: float


class Target(msgspec.Struct):
    model: str
    circuit: str
    calls: int = 0
    error_rate: float | None = None
    first_content_seconds: FirstContent | None = None
    since_time: str | None = None
    why: str | None = None


class Change(msgspec.Struct):
    time: str
    model: str
    circuit: str
    why: str = ""


class Provider(msgspec.Struct):
    provider: str
    state: str
    since_time: str | None = None
    why: str | None = None
    sandbox: bool = False
    targets: list[Target] = []
    history: list[Change] = []


def states(found: list[Provider]) -> Table:
    """A row for each provider, and below it one for each model that was called lately."""
    table = table_of("provider", "state", ">calls", ">failed", ">first content", "since", "why")
    for provider in found:
        name = f"{provider.provider} SANDBOX" if provider.sandbox else provider.provider
        table.add_row(name, provider.state, "", "", "", provider.since_time or "", provider.why or "")
        for target in provider.targets:
            times = target.first_content_seconds
            table.add_row(
                f"  {target.model}",
                target.circuit.replace("_", " "),
                str(target.calls),
                "" if target.error_rate is None else f"{target.error_rate:.1%}",
                "" if times is None else f"{times.p50:.2f} s, 95 % {times.p95:.2f} s",
                target.since_time or "",
                target.why or "",
            )
    return table


def changes(found: list[Provider]) -> Table:
    """The newest first."""
    table = table_of("time", "model", "circuit", "why")
    told = [(change, provider.provider) for provider in found for change in provider.history]
    for change, provider in sorted(told, key=lambda pair: pair[0].time, reverse=True):
        table.add_row(change.time, f"{provider}/{change.model}", change.circuit, change.why)
    return table
