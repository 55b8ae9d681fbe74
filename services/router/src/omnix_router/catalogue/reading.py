"""Catalogue files: one per vendor in the package, and the operator's own on top."""

import json
import tomllib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
from omnix_kit.errors import ConfigurationError

from omnix_router.catalogue.entries import File, models_of
from omnix_router.catalogue.models import Catalogue, Model

_MAX_BYTES = 4 * 1024 * 1024


def load(extra: Path | None) -> Catalogue:
    """Read the package's files, then ``extra``, whose entries replace those of the same name.

    :raises ConfigurationError: naming file, key and what is wrong.
    """
    models: dict[str, Model] = {}
    for file in sorted(
        resources.files("omnix_router").joinpath("catalogue", "vendors").iterdir(), key=lambda f: f.name
    ):
        if file.name.endswith(".toml"):
            models |= _by_id(file.name, parse(file.name, file.read_text("utf-8")))
    if extra is not None:
        name = f"OMNIX_CATALOGUE_FILE: {extra}"
        models |= _by_id(name, parse(name, _text(extra)))
    return Catalogue(models)


def parse(name: str, text: str) -> list[Model]:
    """Read one file; ``name`` tells its format by its ending and stands in errors.

    :raises ConfigurationError: naming file, key and what is wrong.
    """
    try:
        raw: Any
        if name.endswith(".json"):
            raw = json.loads(text, parse_float=Decimal)
        else:
            raw = tomllib.loads(text, parse_float=Decimal)
        return models_of(msgspec.convert(raw, File))
    except (msgspec.ValidationError, ValueError, RecursionError) as exc:
        raise ConfigurationError(f"{name}: {exc}") from exc


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ConfigurationError(f"OMNIX_CATALOGUE_FILE: {path} has more than {_MAX_BYTES} bytes")
        return path.read_text("utf-8")
    except OSError as exc:
        raise ConfigurationError(f"OMNIX_CATALOGUE_FILE: cannot read {path}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigurationError(f"OMNIX_CATALOGUE_FILE: {path} is not UTF-8") from exc


def _by_id(file: str, models: Iterable[Model]) -> Mapping[str, Model]:
    found: dict[str, Model] = {}
    for model in models:
        if model.id in found:
            raise ConfigurationError(f"{file}: {model.id} is there twice")
        found[model.id] = model
    return found
