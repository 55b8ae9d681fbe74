"""The ``omnix`` command. What a command needs is imported when it runs, so that ``--help`` is quick."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from omnix_cli.errors import CommandError
from omnix_cli.places import DEFAULT, DataDir

_WIDE = 200
"""Columns where nothing says how many there are: a pipe breaks no lines."""

if TYPE_CHECKING:
    from omnix_cli.installation import Installation

app = typer.Typer(
    name="omnix",
    help="Run OmniX on this machine and talk to its API.",
    epilog="Exit codes: 0 done, 1 failed or not ready, 2 wrong usage or configuration, 130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

DataDirOption = Annotated[
    Path, typer.Option("--data-dir", envvar="OMNIX_SUITE_DIR", help="Where the suite keeps its files.")
]


@app.command(rich_help_panel="Suite")
def up(
    context: typer.Context,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return once all is ready; it runs on.")] = False,
    data_dir: DataDirOption = DEFAULT,
    port: Annotated[
        int, typer.Option(min=0, max=65535, envvar="OMNIX_HTTP_PORT", help="Of the gateway; 0 takes a free one.")
    ] = 8080,
    host: Annotated[str, typer.Option(envvar="OMNIX_HTTP_HOST", help="Where the gateway listens.")] = "127.0.0.1",
    grace: Annotated[
        float, typer.Option(min=0, max=600, help="Seconds for each service to finish its work when it stops.")
    ] = 10.0,
) -> None:
    """Start every service, wait until all are ready, and keep them running.

    Vendors' keys are read from the environment and from .env in the current directory; a provider without a key is
    played by the sandbox. Ctrl-C stops everything in order.
    """
    from omnix_cli.wish import Wish

    wish = Wish(DataDir.at(data_dir), host, port, grace)
    if detach:
        from omnix_cli import detached

        typer.echo(detached.launch(_installation(context), wish))
    else:
        from omnix_cli import foreground

        foreground.run(_installation(context), wish)


@app.command(rich_help_panel="Suite")
def down(
    data_dir: DataDirOption = DEFAULT,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds for an orderly stop; what is left is killed.")] = 90,
) -> None:
    """Stop the suite. Does nothing when none runs."""
    from omnix_cli.down import down as stop

    typer.echo(stop(DataDir.at(data_dir), timeout))


@app.command(rich_help_panel="Suite")
def status(
    context: typer.Context,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait until all is ready.")] = 0.0,
    json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
    data_dir: DataDirOption = DEFAULT,
) -> None:
    """Show the state of each service. Exit code 0 only when all are ready."""
    import msgspec
    from rich.console import Console

    from omnix_cli import announcement, table
    from omnix_cli import status as found
    from omnix_cli.state import Phase

    data = DataDir.at(data_dir)
    suite = found.now(data, _installation(context).services, wait)
    if json:
        told: dict[str, object] = {"ready": False, "services": {}} if suite is None else found.as_json(suite)
        typer.echo(msgspec.json.encode({"data_dir": str(data.root), **told}).decode())
    elif suite is None:
        raise CommandError(f"no suite runs on {data.root}; start one with omnix up")
    else:
        console = Console(width=None if sys.stdout.isatty() else _WIDE)
        console.print(f"{suite.url}: {suite.phase.value}", highlight=False)
        console.print(announcement.providers(suite.sandboxed), markup=False, highlight=False)
        console.print(table.services(suite, found.loads(suite)))
    if suite is None or suite.phase is not Phase.READY:
        raise typer.Exit(1)


def _installation(context: typer.Context) -> "Installation":
    from omnix_cli.installation import Installation

    given: object = context.obj
    return given if isinstance(given, Installation) else Installation()
