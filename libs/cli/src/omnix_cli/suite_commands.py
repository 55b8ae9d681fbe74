"""The commands about a suite on this machine."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from omnix_cli import options
from omnix_cli.errors import CommandError, UsageError
from omnix_cli.options import DataDirOption, JsonOption, NatsOption
from omnix_cli.places import DEFAULT, DataDir

if TYPE_CHECKING:
    from omnix_cli.installation import Installation

dead = typer.Typer(help="Messages that no service could process.", no_args_is_help=True)


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


def down(
    data_dir: DataDirOption = DEFAULT,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds for an orderly stop; what is left is killed.")] = 90,
) -> None:
    """Stop the suite. Does nothing when none runs."""
    from omnix_cli.down import down as stop

    typer.echo(stop(DataDir.at(data_dir), timeout))


def status(
    context: typer.Context,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait until all is ready.")] = 0.0,
    json: JsonOption = False,
    data_dir: DataDirOption = DEFAULT,
) -> None:
    """Show the state of each service. Exit code 0 only when all are ready."""
    import msgspec

    from omnix_cli import status as found
    from omnix_cli.state import Phase

    data = DataDir.at(data_dir)
    suite = found.now(data, _installation(context).services, wait)
    if json:
        told: dict[str, object] = {"ready": False, "services": {}} if suite is None else found.as_json(suite)
        typer.echo(msgspec.json.encode({"data_dir": str(data.root), **told}))
    elif suite is None:
        raise CommandError(f"no suite runs on {data.root}; start one with omnix up")
    else:
        from omnix_cli import announcement, table

        console = options.console()
        console.print(f"{suite.url}: {suite.phase.value}")
        console.print(announcement.providers(suite.sandboxed), markup=False)
        console.print(table.services(suite, found.loads(suite)))
    if suite is None or suite.phase is not Phase.READY:
        raise typer.Exit(1)


def logs(
    service: Annotated[str | None, typer.Argument(help="Only this one's.", show_default=False)] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show what is written from now on, too.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, max=100_000, help="How many of the last.")] = 50,
    json: JsonOption = False,
    data_dir: DataDirOption = DEFAULT,
) -> None:
    """Show the logs of all services as one, in the order of time."""
    from omnix_cli import logs as reading

    data = DataDir.at(data_dir)
    services = reading.names(data, service)
    starts = reading.ends(data, services)
    console = options.console()
    width = max((len(name) for name in services), default=0)

    def show(line: reading.Line) -> None:
        if json:
            sys.stdout.write(f"{reading.as_json(line)}\n")
        else:
            console.print(reading.pretty(line, width), soft_wrap=True)

    for line in reading.last(data, services, lines):
        show(line)
    if follow:
        for line in reading.follow(data, services, starts):
            show(line)
            sys.stdout.flush()


@dead.command("list")
def dead_list(nats: NatsOption = None, json: JsonOption = False, data_dir: DataDirOption = DEFAULT) -> None:
    """List them, oldest first."""
    from omnix_cli import access
    from omnix_cli import dead as letters

    found = letters.letters(access.nats_url(nats, DataDir.at(data_dir)))
    if json:
        import msgspec

        typer.echo(msgspec.json.encode([letters.as_json(letter) for letter in found]))
    elif found:
        options.console().print(letters.table(found))
    else:
        typer.echo("no dead messages")


@dead.command("replay")
def dead_replay(
    ids: Annotated[list[int] | None, typer.Argument(help="As listed.", show_default=False)] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are there now.")] = False,
    nats: NatsOption = None,
    data_dir: DataDirOption = DEFAULT,
) -> None:
    """Send messages to their subjects again, and take them off the list."""
    from omnix_cli import access
    from omnix_cli import dead as letters

    if bool(ids) == everything:
        raise UsageError("name the messages to replay, or --all")
    url = access.nats_url(nats, DataDir.at(data_dir))
    count = letters.replay(
        url,
        None if everything else ids,
        lambda letter: typer.echo(f"replayed {letter.sequence} ({letter.message_id}) to {letter.subject}"),
    )
    if not count:
        typer.echo("no dead messages")


def _installation(context: typer.Context) -> "Installation":
    from omnix_cli.installation import Installation

    given: object = context.obj
    return given if isinstance(given, Installation) else Installation()
