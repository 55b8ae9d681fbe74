"""The commands about the ledger."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal

import typer

from omnix_cli import options
from omnix_cli.errors import CommandError, UsageError
from omnix_cli.options import DataDirOption, JsonOption, KeyOption, UrlOption
from omnix_cli.places import DEFAULT

if TYPE_CHECKING:
    from omnix_cli.api import Gateway
    from omnix_cli.exporting import Format

usage = typer.Typer(help="The ledger: one entry for each call of a provider.", invoke_without_command=True)

_SinceOption = Annotated[
    str | None, typer.Option(help="A time such as 2026-01-31, or how long ago: 12h, 30d.", show_default=False)
]
_UntilOption = Annotated[str | None, typer.Option(help="Before this time, or before so long ago.", show_default=False)]
_FilterOption = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        metavar="NAME=VALUE",
        help="Such as model=gpt-4o, team_id=x, outcome=failed, metadata.job=nightly; may come again.",
    ),
]


@usage.callback()
def show(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many entries.")] = 20,
    since: _SinceOption = None,
    filters: _FilterOption = None,
    json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = DEFAULT,
) -> None:
    """Show the ledger, newest first: one entry for each call of a provider."""
    if context.invoked_subcommand is not None:
        options.refuse_before_subcommand(context)
        return
    import msgspec

    from omnix_cli import listings

    with options.gateway(url, key, data_dir) as gateway:
        found = listings.pages(gateway, "/v1/usage", limit, _params(since, None, filters))
        if json:
            typer.echo(msgspec.json.encode(found))
        else:
            options.console().print(listings.usage([gateway.decode(raw, listings.Entry) for raw in found]))


@usage.command()
def export(
    out: Annotated[str, typer.Option("--out", "-o", metavar="FILE", help="Where to; - for standard output.")],
    form: Annotated[Literal["csv", "jsonl", "parquet"], typer.Option("--format", "-f", help="As what.")] = "jsonl",
    since: _SinceOption = None,
    until: _UntilOption = None,
    filters: _FilterOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = DEFAULT,
) -> None:
    """Write the ledger to a file, newest first. FILE is there once it is whole; broken connections are made anew."""
    from omnix_cli import exporting

    params = _params(since, until, filters)
    # What is recorded while it runs is left out, so that it ends.
    params.setdefault("end_time", datetime.now(UTC).isoformat(timespec="milliseconds"))
    writing = _format(form)
    with options.gateway(url, key, data_dir) as gateway, _opened(out) as file, _progress(gateway, params) as told:
        count = exporting.export(gateway, writing, file, params, told)
    typer.echo(f"{count} entries", err=True)


@usage.command()
def rerate(
    since: Annotated[str, typer.Option(help="Entries that began at or after: 2026-01-31, or how long ago: 30d.")],
    until: _UntilOption = None,
    provider: Annotated[str | None, typer.Option(help="Of this provider alone.", show_default=False)] = None,
    model: Annotated[
        str | None, typer.Option(help="Of this model alone, by the vendor's name.", show_default=False)
    ] = None,
    prices: Annotated[
        str,
        typer.Option(
            metavar="catalogue|recorded|FILE",
            help="The catalogue's of now, those the entries have (for new rules), or a JSON file.",
        ),
    ] = "catalogue",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = DEFAULT,
) -> None:
    """Rate entries again after a price or a rule changed. Doing it again changes nothing; former ratings are kept."""
    import msgspec

    from omnix_cli import rerating

    span = _params(since, until, None)
    chosen = {name: value for name, value in (("provider", provider), ("model", model)) if value}
    wish = {**span, **chosen, "prices": rerating.prices_of(prices), "dry_run": dry_run}
    with (
        options.gateway(url, key, data_dir) as gateway,
        _progress(gateway, {**span, **chosen}, "rating again") as told,
    ):
        done = rerating.rerate(gateway, wish, told)
    if json:
        typer.echo(msgspec.json.encode(done))
        return
    if done.totals:
        options.console().print(rerating.shown(done))
    typer.echo(f"{done.changed} of {done.looked_at} entries {'would change' if dry_run else 'changed'}", err=True)


def _format(name: Literal["csv", "jsonl", "parquet"]) -> "Format":
    from omnix_cli import exporting

    match name:
        case "csv":
            return exporting.Csv()
        case "jsonl":
            return exporting.JsonLines()
        case "parquet":
            from omnix_cli.parquet import Parquet

            return Parquet()


def _params(since: str | None, until: str | None, filters: list[str] | None) -> dict[str, str]:
    from omnix_cli import listings

    params: dict[str, str] = {}
    for given in filters or ():
        name, equals, value = given.partition("=")
        if not equals or not name or name in ("limit", "page_token", "format", "start_time", "end_time"):
            raise UsageError(f"--filter {given!r} is not NAME=VALUE with a name such as model, team_id, metadata.job")
        params[name] = value
    now = datetime.now(UTC)
    if since is not None:
        params["start_time"] = listings.since(since, now)
    if until is not None:
        params["end_time"] = listings.since(until, now, "--until")
    return params


@contextmanager
def _opened(out: str) -> Iterator[BinaryIO]:
    """The file under another name, until it is whole."""
    if out == "-":
        yield sys.stdout.buffer
        return
    path = Path(out)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(path)
    except OSError as exc:
        raise CommandError(f"{out} cannot be written: {exc.strerror}") from exc
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def _progress(gateway: "Gateway", params: dict[str, str], what: str = "exporting") -> Iterator[Callable[[int], None]]:
    """On standard error, where that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as shown:
        task = shown.add_task(what, total=_total(gateway, params))
        yield lambda count: shown.update(task, completed=count)


def _total(gateway: "Gateway", params: dict[str, str]) -> int | None:
    """How many entries there are; None where that cannot be told."""
    from omnix_cli import listings

    try:
        return listings.attempts(gateway, params)
    except CommandError:
        return None
