"""The commands about the router's routes: those of its file, and those of its store, which they change."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from omnix_cli import options
from omnix_cli.errors import UsageError
from omnix_cli.options import DataDirOption, JsonOption, KeyOption, UrlOption
from omnix_cli.places import DEFAULT

routes = typer.Typer(
    help="The routes: show and change them, look at their history, go back in it.", no_args_is_help=True
)

_NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="As listed.", show_default=False)]


@routes.command("list")
def list_routes(
    json: JsonOption = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many.")] = 1000,
    url: UrlOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = DEFAULT,
) -> None:
    """List the routes, by name: those of the router's file and those of its store."""
    from omnix_cli import listings
    from omnix_cli import routes as known

    with options.gateway(url, key, data_dir) as gateway:
        found = listings.pages(gateway, "/v1/routes", limit)
        if json:
            _print_json(found)
        elif found:
            options.console().print(known.listed(gateway.decode(raw, known.Route) for raw in found))
        else:
            typer.echo("There are no routes yet; omnix routes apply FILE writes some.", err=True)


@routes.command()
def show(
    name: _NameArgument,
    json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = DEFAULT,
) -> None:
    """Show one route as a routes file holds it, so that it can be edited and applied."""
    import msgspec

    from omnix_cli import routes as known

    with options.gateway(url, key, data_dir) as gateway:
        raw = gateway.call("GET", known.path_of(name), msgspec.Raw)
        found = gateway.decode(raw, known.Route)
    if json:
        typer.echo(bytes(raw))
        return
    where = "the routes file" if found.version is None else f"the store, version {found.version}"
    typer.echo(f"# from {where}", err=True)
    typer.echo(known.toml(found))


@routes.command()
def apply(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A routes file (TOML); - reads standard input.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = DEFAULT,
) -> None:
    """Write the routes of a file: all, or none when one of them is refused. Others stay as they are."""
    from omnix_cli import routes as known

    wanted = known.read(_text(file))
    with options.gateway(url, key, data_dir) as gateway:
        done = []
        for applied in known.apply(gateway, wanted, dry=dry_run):
            done.append(applied.route)
            if not json:
                state = "" if applied.done == "unchanged" or dry_run else f", now version {applied.route.version}"
                typer.echo(f"{applied.done:<9}  {applied.route.name}{state}")
    if json:
        _print_json(done)
    elif dry_run:
        typer.echo("Nothing was changed: this was a dry run.", err=True)


@routes.command()
def delete(
    name: _NameArgument, url: UrlOption = None, key: KeyOption = None, data_dir: DataDirOption = DEFAULT
) -> None:
    """Delete a route of the store; its history stays for 90 days."""
    from omnix_cli import routes as known

    with options.gateway(url, key, data_dir) as gateway:
        gateway.response("DELETE", known.path_of(name))
    typer.echo(f"deleted {name}; omnix routes history and rollback bring it back")


@routes.command()
def history(
    name: _NameArgument,
    json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = DEFAULT,
) -> None:
    """Show who changed a route, when and how, newest first."""
    import msgspec

    from omnix_cli import routes as known

    with options.gateway(url, key, data_dir) as gateway:
        raw = gateway.call("GET", known.path_of(name, "/versions"), msgspec.Raw)
        found = gateway.decode(raw, known.Versions)
    if json:
        typer.echo(bytes(raw))
    else:
        options.console().print(known.history(found.data))


@routes.command()
def rollback(
    name: _NameArgument,
    version: Annotated[int, typer.Argument(min=1, help="The version to take again; see history.", show_default=False)],
    url: UrlOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = DEFAULT,
) -> None:
    """Take an earlier version of a route again, also of a deleted one."""
    from omnix_cli import routes as known

    with options.gateway(url, key, data_dir) as gateway:
        found = gateway.call("POST", known.path_of(name, "/rollback"), known.Route, body={"version": version})
    typer.echo(f"{name} is again as in version {version}, now version {found.version}")


def _text(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
    except OSError as exc:
        raise UsageError(f"{file} cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise UsageError(f"{file} is not UTF-8") from exc


def _print_json(found: object) -> None:
    import msgspec

    typer.echo(msgspec.json.encode(found))
