"""``python -m omnix_router.catalogue``: what ``omnix catalogue`` runs. It needs no running router."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from omnix_kit.errors import ConfigurationError

from omnix_router.catalogue.importing import ImportRefused
from omnix_router.catalogue.progress import Bar
from omnix_router.catalogue.reading import IMPORTED, import_before, load
from omnix_router.catalogue.telling import as_json, described, listed, told
from omnix_router.catalogue.writing import Importer

_FAILED, _WRONG = 1, 2


def main(words: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(words)
    try:
        if given.command == "show":
            return _show(given)
        return _import(given)
    except ConfigurationError as exc:
        return _end(str(exc), _WRONG)
    except ImportRefused as exc:
        return _end(f"nothing was imported: {exc}", _FAILED)
    except BrokenPipeError:  # whoever read it has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


@dataclass(frozen=True, slots=True)
class _Files:
    imported: Path
    operator: Path | None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="omnix catalogue", description="Models and their prices.")
    commands = parser.add_subparsers(dest="command", required=True)
    taking = commands.add_parser("import")
    taking.add_argument("source", metavar="FILE|URL")
    again = commands.add_parser("refresh")
    again.set_defaults(source=None)
    for one in (taking, again):
        one.add_argument("--dry-run", action="store_true")
        one.add_argument("--force", action="store_true")
    showing = commands.add_parser("show")
    showing.add_argument("model", nargs="?")
    showing.add_argument("--json", action="store_true")
    for one in (taking, again, showing):
        one.add_argument("--out", metavar="FILE", type=Path)
    return parser


def _files(given: argparse.Namespace) -> _Files:
    """The same files as a router of this environment reads."""
    folder = Path(os.environ.get("OMNIX_DATA_DIR") or ".omnix/data")
    operator = os.environ.get("OMNIX_CATALOGUE_FILE")
    return _Files(given.out or folder / IMPORTED, Path(operator) if operator else None)


def _import(given: argparse.Namespace) -> int:
    files = _files(given)
    source = given.source or _last_source(files.imported)
    with Bar(sys.stderr) as bar:
        importer = Importer(files.imported, files.operator)
        changes = importer.run(source, datetime.now(UTC), bar.move, force=given.force, dry_run=given.dry_run)
    if changes is None:
        sys.stdout.write("nothing has changed there since the last import\n")
        return 0
    for line in told(changes):
        sys.stdout.write(f"{line}\n")
    sys.stdout.write("nothing was written\n" if given.dry_run else f"written to {files.imported}\n")
    return 0


def _last_source(imported: Path) -> str:
    if address := os.environ.get("OMNIX_CATALOGUE_URL"):
        return address
    before = import_before(imported)
    if before is None or before.imported is None:
        raise ConfigurationError("there was no import yet; name a file or an address: omnix catalogue import FILE|URL")
    return before.imported.source


def _show(given: argparse.Namespace) -> int:
    files = _files(given)
    catalogue, now = load(files.operator, files.imported), datetime.now(UTC)
    if given.model is None:
        models = sorted(catalogue.models.values(), key=lambda model: model.id)
        lines = [json.dumps([as_json(model) for model in models])] if given.json else listed(models, now)
    else:
        provider, _, name = given.model.partition("/")
        exact = catalogue.find(provider, name) if name else None
        found = [exact] if exact else catalogue.short_names.get(given.model, ())
        if not found:
            return _end(f"the catalogue knows no model {given.model}", _FAILED)
        if given.json:
            lines = [json.dumps([as_json(model) for model in found])]
        else:
            lines = [line for model in found for line in described(model, now)]
    for line in lines:
        sys.stdout.write(f"{line}\n")
    return 0


def _end(message: str, code: int) -> int:
    sys.stderr.write(f"omnix: {message}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
