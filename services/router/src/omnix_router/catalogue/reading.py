"""Catalogue files: one per vendor in the package, the one that imports write, and the operator's own on top."""

import json
import tomllib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
from omnix_kit.errors import ConfigurationError

from omnix_router.catalogue.entries import File, models_of
from omnix_router.catalogue.layers import layered
from omnix_router.catalogue.models import Catalogue, Model

IMPORTED = "imported-catalogue.json"
"""The file of imports, in the router's data directory."""
MAX_FILE = 16 * 1024 * 1024
"""Bytes of one file."""


def load(extra: Path | None, imported: Path | None = None) -> Catalogue:
    """Read the package's files, what was imported, and ``extra``, whose entries replace those of the same name.

    ``imported`` may not be there yet.

    :raises ConfigurationError: naming file, key and what is wrong.
    """
    return Catalogue(layered(package(), _file("", imported), _file("OMNIX_CATALOGUE_FILE: ", extra)))


@lru_cache(maxsize=1)
def package() -> Mapping[str, Model]:
    """The models that the package ships."""
    models: dict[str, Model] = {}
    for file in sorted(
        resources.files("omnix_router").joinpath("catalogue", "vendors").iterdir(), key=lambda f: f.name
    ):
        if file.name.endswith(".toml"):
            models |= _by_id(file.name, parse(file.name, file.read_text("utf-8")))
    return models


def parse(name: str, text: str) -> list[Model]:
    """Read one file; ``name`` tells its format by its ending and stands in errors.

    :raises ConfigurationError: naming file, key and what is wrong.
    """
    try:
        return models_of(_parsed(name, text))
    except (ValueError, ArithmeticError) as exc:
        raise ConfigurationError(f"{name}: {exc}") from exc


def import_before(path: Path) -> File | None:
    """What the last import wrote; None when there was none.

    :raises ConfigurationError: when it cannot be read.
    """
    if not path.exists():
        return None
    return _parsed(str(path), _text("", path))


def _parsed(name: str, text: str) -> File:
    try:
        raw: Any
        if name.endswith(".json"):
            raw = json.loads(text, parse_float=Decimal)
        else:
            raw = tomllib.loads(text, parse_float=Decimal)
        return msgspec.convert(raw, File)
    except (msgspec.ValidationError, ValueError, ArithmeticError, RecursionError) as exc:
        raise ConfigurationError(f"{name}: {exc}") from exc


def _file(label: str, path: Path | None) -> Mapping[str, Model]:
    if path is None or (not label and not path.exists()):
        return {}
    name = f"{label}{path}"
    return _by_id(name, parse(name, _text(label, path)))


def _text(label: str, path: Path) -> str:
    try:
        if path.stat().st_size > MAX_FILE:
            raise ConfigurationError(f"{label}{path} has more than {MAX_FILE} bytes")
        return path.read_text("utf-8")
    except OSError as exc:
        raise ConfigurationError(f"{label}cannot read {path}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigurationError(f"{label}{path} is not UTF-8") from exc


def _by_id(file: str, models: Iterable[Model]) -> Mapping[str, Model]:
    found: dict[str, Model] = {}
    for model in models:
        if model.id in found:
            raise ConfigurationError(f"{file}: {model.id} is there twice")
        found[model.id] = model
    return found
