"""The ``omnix`` command. What a command needs is imported when it runs, so that ``--help`` is quick."""

from typing import Annotated

import typer

from omnix_cli import (
    api_commands,
    catalogue_commands,
    limit_commands,
    route_commands,
    stream_commands,
    suite_commands,
    usage_commands,
)

app = typer.Typer(
    name="omnix",
    help="Run OmniX on this machine and talk to its API.",
    epilog="Exit codes: 0 done, 1 failed or not ready, 2 wrong usage or configuration, 130 interrupted.",
    no_args_is_help=True,
    rich_markup_mode=None,  # rich would take longer to load than everything else together
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command()(suite_commands.up)
app.command()(suite_commands.down)
app.command()(suite_commands.status)
app.command()(suite_commands.logs)
app.add_typer(suite_commands.dead, name="dead")
app.command()(api_commands.chat)
app.add_typer(api_commands.models, name="models")
app.command()(api_commands.health)
app.add_typer(usage_commands.usage, name="usage")
app.add_typer(api_commands.keys, name="keys")
app.add_typer(stream_commands.streams, name="streams")
app.add_typer(limit_commands.limits, name="limits")
app.add_typer(route_commands.routes, name="routes")
app.add_typer(catalogue_commands.catalogue, name="catalogue")


@app.command()
def version(json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Print the version."""
    from importlib import metadata

    found = metadata.version("omnix-cli")
    typer.echo(f'{{"version": "{found}"}}' if json else f"omnix {found}")
