"""The commands about the catalogue: models and their prices.

The router owns the catalogue. Its own tool does the work in a process of its own, as each service has one, on the files
that the suite's router reads; it needs no running suite, and a running one sees the change by itself.
"""

from pathlib import Path
from typing import Annotated

import typer

from omnix_cli.options import DataDirOption, JsonOption
from omnix_cli.places import DEFAULT, DataDir

catalogue = typer.Typer(help="The catalogue: models, what they can do and cost.", no_args_is_help=True)

_OutOption = Annotated[
    Path | None,
    typer.Option("--out", help="The catalogue file of imports; by default that of the suite.", show_default=False),
]
_DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would change, and write nothing.")]
_ForceOption = Annotated[bool, typer.Option("--force", help="Believe a map that lost models or whose prices jumped.")]


@catalogue.command("import")
def import_(
    source: Annotated[
        str, typer.Argument(metavar="FILE|URL", help="A price map in LiteLLM's JSON format.", show_default=False)
    ],
    out: _OutOption = None,
    dry_run: _DryRunOption = False,
    force: _ForceOption = False,
    data_dir: DataDirOption = DEFAULT,
) -> None:
    """Take models and prices from the community's price map; new prices hold from today on."""
    _run(data_dir, out, "import", *_flags(dry_run, force), "--", source)


@catalogue.command()
def refresh(
    out: _OutOption = None,
    dry_run: _DryRunOption = False,
    force: _ForceOption = False,
    data_dir: DataDirOption = DEFAULT,
) -> None:
    """Import again, from OMNIX_CATALOGUE_URL or from where the last import came."""
    _run(data_dir, out, "refresh", *_flags(dry_run, force))


@catalogue.command()
def show(
    model: Annotated[
        str | None, typer.Argument(help="One model, by any of its names; all without.", show_default=False)
    ] = None,
    out: _OutOption = None,
    json: JsonOption = False,
    data_dir: DataDirOption = DEFAULT,
) -> None:
    """Show what the catalogue knows: the package's data, what was imported, and the operator's file."""
    _run(data_dir, out, "show", *(["--json"] if json else []), *(["--", model] if model else []))


def _flags(dry_run: bool, force: bool) -> list[str]:
    return [flag for flag, wanted in (("--dry-run", dry_run), ("--force", force)) if wanted]


def _run(data_dir: Path, out: Path | None, command: str, *words: str) -> None:
    import os
    import subprocess
    import sys

    from omnix_cli import environment

    outside = environment.outside(os.environ, Path(".env"))
    data = DataDir.at(data_dir)
    if out is None and command != "show":
        data.make()  # for its owner alone: keys will lie there, too
    where = [] if out is None else ["--out", str(out)]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "omnix_router.catalogue", command, *where, *words],
        env=environment.of_service(outside, (), {"OMNIX_DATA_DIR": str(data.data / "router")}, ""),
        check=False,
    )
    if done.returncode:
        raise typer.Exit(done.returncode if done.returncode > 0 else 1)
