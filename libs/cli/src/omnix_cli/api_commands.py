"""The commands that talk to a gateway, on this machine or elsewhere."""

import sys
from typing import Annotated, Literal

import typer

from omnix_cli import options
from omnix_cli.errors import UsageError
from omnix_cli.options import DataDirOption, JsonOption, KeyOption, UrlOption
from omnix_cli.places import DEFAULT

models = typer.Typer(help="The models and routes: list them, or find those that fit.", invoke_without_command=True)
keys = typer.Typer(help="API keys: make, list and revoke them.", no_args_is_help=True)


def chat(
    prompt: Annotated[
        str | None,
        typer.Argument(help="The question; - reads standard input; none begins a conversation.", show_default=False),
    ] = None,
    model: Annotated[str, typer.Option("--model", "-m", envvar="OMNIX_MODEL", help="Model or route.")] = "gpt-4o",
    system: Annotated[str | None, typer.Option("--system", "-s", help="What the model is told first.")] = None,
    stream: Annotated[bool, typer.Option("--stream/--no-stream", help="Show the answer as it comes.")] = True,
    url: UrlOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = DEFAULT,
) -> None:
    """Ask a model. The answer goes to standard output; model, tokens and cost to standard error."""
    from omnix_cli import chat as talk

    with options.gateway(url, key, data_dir) as gateway:
        asked = talk.Chat(gateway, model, system, stream)
        if prompt is None and sys.stdin.isatty():
            talk.converse(asked)
            return
        question = sys.stdin.read() if prompt in (None, "-") else prompt or ""
        if not question.strip():
            raise UsageError("there is no question; give it as an argument or on standard input")
        talk.once(asked, question)


@models.callback()
def list_models(
    context: typer.Context,
    json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = DEFAULT,
) -> None:
    """List the models and routes, with their prices."""
    if context.invoked_subcommand is not None:
        options.refuse_before_subcommand(context)
        return
    from omnix_cli import listings

    with options.gateway(url, key, data_dir) as gateway:
        found = listings.all_of(gateway, "/v1/models")
        if json:
            _print_json(found)
        else:
            options.console().print(listings.models([gateway.decode(raw, listings.Model) for raw in found]))


def health(
    history: Annotated[bool, typer.Option("--history", help="The last changes in place of the state now.")] = False,
    json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = DEFAULT,
) -> None:
    """Show how the providers and their models fare."""
    from omnix_cli import listings, wellbeing

    with options.gateway(url, key, data_dir) as gateway:
        found = listings.all_of(gateway, "/v1/providers/health", {"history": "true"} if history else {})
        if json:
            _print_json(found)
            return
        decoded = [gateway.decode(raw, wellbeing.Provider) for raw in found]
        options.console().print(wellbeing.changes(decoded) if history else wellbeing.states(decoded))


@models.command()
def select(
    capability: Annotated[
        list[str] | None, typer.Option(help="What it must take or do, such as tools; may come again.")
    ] = None,
    mode: Annotated[
        Literal["flash", "think", "ultra-think"] | None, typer.Option(help="A compute mode that it must do.")
    ] = None,
    context: Annotated[int | None, typer.Option(min=0, help="Tokens that must fit, the answer included.")] = None,
    max_cost: Annotated[str | None, typer.Option(help="US dollars for a request of 1,000 and 500 tokens.")] = None,
    quality: Annotated[float | None, typer.Option(min=0, max=100, help="The least quality.")] = None,
    provider: Annotated[list[str] | None, typer.Option(help="One that is allowed; may come again.")] = None,
    embeddings: Annotated[bool, typer.Option("--embeddings", help="Models that make vectors.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 10,
    json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = DEFAULT,
) -> None:
    """Show which models fit, the best first, and why the first one is it."""
    import msgspec

    from omnix_cli import listings

    wanted: dict[str, object] = {
        "type": "embeddings" if embeddings else "chat",
        "capabilities": capability,
        "mode": mode,
        "context_tokens": context,
        "max_cost": max_cost,
        "quality_floor": quality,
        "providers": provider,
        "limit": limit,
        "recommend": True,
    }
    body = {name: value for name, value in wanted.items() if value is not None}
    with options.gateway(url, key, data_dir) as gateway:
        raw = gateway.call("POST", "/v1/models/select", msgspec.Raw, body=body)
        found = gateway.decode(raw, listings.Selection)
    if json:
        typer.echo(bytes(raw))
        return
    options.console().print(listings.selection(found))
    typer.echo(
        found.recommendation or "No model fits; rejected were " + listings.counted(found.rejected) + ".", err=True
    )


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is for.", show_default=False)],
    role: Annotated[Literal["member", "admin"], typer.Option(help="What it may do.")] = "member",
    expires: Annotated[
        str | None, typer.Option(help="After how long: 12h, 30d. Never, if not given.", show_default=False)
    ] = None,
    on_disconnect: Annotated[
        str | None,
        typer.Option(help="What its streams do whose clients leave: cancel, continue, grace=30s.", show_default=False),
    ] = None,
    json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = DEFAULT,
) -> None:
    """Make a key. It is shown this once: alone on standard output, what belongs to it on standard error."""
    from datetime import UTC, datetime

    import msgspec

    from omnix_cli import listings

    body: dict[str, object] = {"name": name, "role": role}
    if expires is not None:
        body["expires_at"] = int((datetime.now(UTC) + listings.duration(expires)).timestamp())
    if on_disconnect is not None:
        body["on_disconnect"] = on_disconnect
    with options.gateway(url, key, data_dir) as gateway:
        raw = gateway.call("POST", "/v1/keys", msgspec.Raw, body=body)
        made = gateway.decode(raw, listings.NewKey)
    if json:
        typer.echo(bytes(raw))
    else:
        typer.echo(f"{made.role} key {made.name!r}, id {made.id}; this is the only time it is shown:", err=True)
        typer.echo(made.key)


@keys.command("list")
def list_keys(
    json: JsonOption = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many.")] = 100,
    url: UrlOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = DEFAULT,
) -> None:
    """List the keys, newest first."""
    from datetime import UTC, datetime

    from omnix_cli import listings

    with options.gateway(url, key, data_dir) as gateway:
        found = listings.pages(gateway, "/v1/keys", limit)
        if json:
            _print_json(found)
        else:
            decoded = [gateway.decode(raw, listings.Key) for raw in found]
            options.console().print(listings.keys(decoded, datetime.now(UTC)))


@keys.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As listed.", show_default=False)],
    url: UrlOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = DEFAULT,
) -> None:
    """Revoke a key at once; its open streams end within seconds."""
    from urllib.parse import quote

    with options.gateway(url, key, data_dir) as gateway:
        gateway.response("DELETE", f"/v1/keys/{quote(key_id, safe='')}")
    typer.echo(f"revoked {key_id}")


def _print_json(found: object) -> None:
    import msgspec

    typer.echo(msgspec.json.encode(found))
