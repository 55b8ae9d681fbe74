"""Options that several commands have."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from omnix_cli.places import DataDir

if TYPE_CHECKING:
    from rich.console import Console

    from omnix_cli.api import Gateway

DataDirOption = Annotated[
    Path, typer.Option("--data-dir", envvar="OMNIX_SUITE_DIR", help="Where the suite keeps its files.")
]
UrlOption = Annotated[
    str | None,
    typer.Option("--url", envvar="OMNIX_URL", help="Of the gateway; by default that of the suite.", show_default=False),
]
KeyOption = Annotated[
    str | None,
    typer.Option("--key", envvar="OMNIX_API_KEY", help="By default the suite's admin key.", show_default=False),
]
NatsOption = Annotated[
    str | None,
    typer.Option("--nats", envvar="OMNIX_NATS_URL", help="By default that of the suite.", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]

_WIDE = 200
"""Columns where nothing says how many there are: a pipe breaks no lines."""


def gateway(url: str | None, key: str | None, data_dir: Path) -> "Gateway":
    from omnix_cli import access
    from omnix_cli.api import Gateway

    data = DataDir.at(data_dir)
    return Gateway(access.gateway_url(url, data), access.key(key, data))


def refuse_before_subcommand(context: typer.Context) -> None:
    """Options of a group mean nothing to its commands."""
    from omnix_cli.errors import UsageError

    sources = {name: context.get_parameter_source(name) for name in context.params}
    given = [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
    if given:
        raise UsageError(f"put --{given[0].replace('_', '-')} after '{context.invoked_subcommand}'")


def console() -> "Console":
    import sys

    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)
