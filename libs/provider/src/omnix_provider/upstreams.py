"""The servers that an operator names, in variables and in a TOML file: what is wrong is told by the key at fault."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct
from omnix_kit.errors import ConfigurationError
from omnix_kit.settings import parse_duration
from pydantic import SecretStr


class Table(Struct, forbid_unknown_fields=True, kw_only=True):
    """One server of the file, with what all servers have."""

    name: str
    keep_alive: str = "4s"


FileT = TypeVar("FileT", bound=Struct)
TableT = TypeVar("TableT", bound=Table)


@dataclass(frozen=True, slots=True)
class Key:
    """The secret in a variable."""

    secret: SecretStr | None
    """None when the server wants none, or there is a problem."""
    problem: str | None


def read_file(path: Path, form: type[FileT], variable: str) -> FileT:
    """The file in this form.

    :param variable: names the file.
    :raises ConfigurationError: naming variable, file and key.
    """
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), form)
    except OSError as exc:
        raise ConfigurationError(f"{variable}: cannot read {path}: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as exc:
        raise ConfigurationError(f"{variable}: {path}: {exc}") from exc


def named(tables: Sequence[TableT], where: str, own: str) -> Iterator[tuple[str, TableT]]:
    """Each table with where it stands, once its name is good.

    :param where: the list of them: variable, file and key.
    :param own: the name of the server that the variables tell of.
    :raises ConfigurationError: when a name is given twice or cannot be one.
    """
    names = {own}
    for number, table in enumerate(tables):
        at = f"{where}[{number}]"
        if table.name in names or not table.name or set(table.name) & set("/ "):
            raise ConfigurationError(f"{at}.name: must be given once, not be {own!r} and hold no '/' or space")
        names.add(table.name)
        yield at, table


def checked_url(url: str, where: str) -> str:
    """The address without the slash at its end, for paths to be put behind it.

    :raises ConfigurationError: without the address itself, which may hold a secret.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of brackets that do not match, or a port that is none
        good = False
    if not good or not url.isprintable() or " " in url:
        raise ConfigurationError(f"{where}: must be an http or https address")
    if "@" in parts.netloc:
        raise ConfigurationError(f"{where}: must hold no credentials")
    if "?" in url or "#" in url:
        raise ConfigurationError(f"{where}: must hold no query and no fragment")
    return url.rstrip("/")


def keep_alive(table: Table, at: str) -> timedelta:
    """:raises ConfigurationError: when it is no duration."""
    try:
        return parse_duration(table.keep_alive)  # type: ignore[return-value] # a string is always read as one
    except (ValueError, OverflowError) as exc:
        raise ConfigurationError(f"{at}.keep_alive: {exc}") from exc


def key_in(variable: str | None, environment: Mapping[str, str]) -> Key:
    """:param variable: None for a server that wants no key."""
    if variable is None:
        return Key(None, None)
    found = environment.get(variable, "")
    return Key(SecretStr(found), None) if found else Key(None, f"{variable} is not set.")
