"""The commands about answers that are being streamed."""

from typing import Annotated

import typer

from omnix_cli import options
from omnix_cli.options import DataDirOption, JsonOption, KeyOption, UrlOption
from omnix_cli.places import DEFAULT

streams = typer.Typer(help="Answers being streamed: list, watch and cancel them.", no_args_is_help=True)

_StreamId = Annotated[str, typer.Argument(metavar="ID", help="As listed: chatcmpl-…", show_default=False)]


@streams.command("list")
def list_streams(
    json: JsonOption = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 100,
    url: UrlOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = DEFAULT,
) -> None:
    """List what is being streamed now, newest first: the key's own, for admins the tenant's."""
    from datetime import UTC, datetime

    import msgspec

    from omnix_cli import listings

    with options.gateway(url, key, data_dir) as gateway:
        raw = gateway.call("GET", "/v1/streams", msgspec.Raw, params={"limit": limit})
        found = gateway.decode(raw, listings.StreamPage)
    if json:
        typer.echo(bytes(raw))
    elif not found.data:
        typer.echo("nothing is being streamed")
    else:
        options.console().print(listings.streams(found.data, datetime.now(UTC)))
        if found.has_more:
            typer.echo("there are more; see --limit", err=True)


@streams.command()
def watch(
    stream_id: _StreamId,
    url: UrlOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = DEFAULT,
) -> None:
    """Write an answer from its beginning, and on as it comes; also one that ended less than ten minutes ago."""
    from omnix_cli.chat import Turn, follow, write

    turn = Turn(stream_id=stream_id)
    with options.gateway(url, key, data_dir) as gateway:
        write(follow(gateway, turn))
    typer.echo()
    typer.echo(turn.summary(), err=True)


@streams.command()
def cancel(
    stream_id: _StreamId,
    url: UrlOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = DEFAULT,
) -> None:
    """Cancel an answer; its vendor's connection is closed within a second."""
    from urllib.parse import quote

    import msgspec

    class Cancelled(msgspec.Struct):
        id: str
        cancelled: bool

    with options.gateway(url, key, data_dir) as gateway:
        told = gateway.call("DELETE", f"/v1/streams/{quote(stream_id, safe='')}", Cancelled)
    typer.echo(f"cancelled {told.id}" if told.cancelled else f"{told.id} has ended already")
