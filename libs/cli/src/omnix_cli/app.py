"""The ``omnix`` command. What a command needs is imported when it runs, so that ``--help`` is quick."""

from typing import Annotated

import typer

from omnix_cli import api_commands, suite_commands

app = typer.Typer(
    name="omnix",
    help="Run OmniX on this machine and talk to its API.",
    epilog="Exit codes: 0 done, 1 failed or not ready, 2 wrong usage or configuration, 130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_SUITE, _API = "Suite", "API"

app.command(rich_help_panel=_SUITE)(suite_commands.up)
app.command(rich_help_panel=_SUITE)(suite_commands.down)
app.command(rich_help_panel=_SUITE)(suite_commands.status)
app.command(rich_help_panel=_SUITE)(suite_commands.logs)
app.add_typer(suite_commands.dead, name="dead", rich_help_panel=_SUITE)
app.command(rich_help_panel=_API)(api_commands.chat)
app.command(rich_help_panel=_API)(api_commands.models)
app.command(rich_help_panel=_API)(api_commands.usage)
app.add_typer(api_commands.keys, name="keys", rich_help_panel=_API)


@app.command()
def version(json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Print the version."""
    from importlib import metadata

    found = metadata.version("omnix-cli")
    typer.echo(f'{{"version": "{found}"}}' if json else f"omnix {found}")
