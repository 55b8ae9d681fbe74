"""The commands about how much may be used."""

from typing import Annotated, Literal
from urllib.parse import quote

import typer

from omnix_cli import options
from omnix_cli.options import DataDirOption, JsonOption, KeyOption, UrlOption
from omnix_cli.places import DEFAULT

limits = typer.Typer(help="Limits and budgets: list, set and delete them, see what is used.", no_args_is_help=True)

_Id = Annotated[str, typer.Argument(metavar="ID", help="Its name within the tenant.", show_default=False)]
Subject = Literal["tenant", "team", "user", "key"]
Kind = Literal["requests_per_minute", "tokens_per_minute", "concurrent_requests", "cost_per_day", "cost_per_month"]


@limits.command("list")
def list_limits(
    json: JsonOption = False, url: UrlOption = None, key: KeyOption = None, data_dir: DataDirOption = DEFAULT
) -> None:
    """List the tenant's limits, by id."""
    import msgspec

    from omnix_cli import limits as known

    with options.gateway(url, key, data_dir) as gateway:
        raw = gateway.call("GET", "/v1/limits", msgspec.Raw)
        found = gateway.decode(raw, known.LimitList)
    if json:
        typer.echo(bytes(raw))
    elif found.data:
        options.console().print(known.listed(found.data))
    else:
        typer.echo("There are no limits yet; omnix limits set ID makes one.", err=True)


@limits.command()
def usage(
    json: JsonOption = False, url: UrlOption = None, key: KeyOption = None, data_dir: DataDirOption = DEFAULT
) -> None:
    """Show how much is used of the limits that concern the key, and when they begin anew."""
    import msgspec

    from omnix_cli import limits as known

    with options.gateway(url, key, data_dir) as gateway:
        raw = gateway.call("GET", "/v1/limits/usage", msgspec.Raw)
        found = gateway.decode(raw, known.UsageList)
    if json:
        typer.echo(bytes(raw))
    elif found.data:
        options.console().print(known.used(found.data))
    else:
        typer.echo("No limit concerns this key.", err=True)


@limits.command("set")
def set_limit(
    limit_id: _Id,
    kind: Annotated[Kind, typer.Option(help="What it counts.", show_default=False)],
    subject: Annotated[Subject, typer.Option(help="Whose use it counts.")] = "tenant",
    of: Annotated[
        str | None, typer.Option(metavar="ID", help="Which team, user or key; '*' for each one.", show_default=False)
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Only these models; '*' stands for anything.", show_default=False)
    ] = None,
    amount: Annotated[int | None, typer.Option(min=1, help="Requests or tokens.", show_default=False)] = None,
    cost: Annotated[str | None, typer.Option(help="US dollars, as 25.00.", show_default=False)] = None,
    soft: Annotated[bool, typer.Option("--soft", help="Tell when it is reached, and refuse nothing.")] = False,
    json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = DEFAULT,
) -> None:
    """Make a limit, or put another in its place; it holds at once."""
    import msgspec

    from omnix_cli import limits as known

    wanted = {
        "subject": subject,
        "subject_id": of,
        "model": model,
        "kind": kind,
        "amount": amount,
        "cost": cost,
        "enforcement": "soft" if soft else "hard",
    }
    body = {name: value for name, value in wanted.items() if value is not None}
    with options.gateway(url, key, data_dir) as gateway:
        raw = gateway.call("PUT", _path(limit_id), msgspec.Raw, body=body)
        found = gateway.decode(raw, known.Limit)
    if json:
        typer.echo(bytes(raw))
    else:
        options.console().print(known.listed([found]))


@limits.command()
def delete(limit_id: _Id, url: UrlOption = None, key: KeyOption = None, data_dir: DataDirOption = DEFAULT) -> None:
    """Delete a limit."""
    with options.gateway(url, key, data_dir) as gateway:
        gateway.response("DELETE", _path(limit_id))
    typer.echo(f"deleted {limit_id}")


def _path(limit_id: str) -> str:
    return f"/v1/limits/{quote(limit_id, safe='')}"
