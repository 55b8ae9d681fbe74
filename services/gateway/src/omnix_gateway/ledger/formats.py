"""Entries of the ledger as lines of a file."""

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from io import StringIO
from typing import Any, Final

import msgspec

from omnix_gateway.errors import ErrorBody
from omnix_gateway.schema import UsageEntry

COLUMNS: Final = tuple(name for name in UsageEntry.__struct_fields__ if name != "object")
"""Of CSV: times are RFC 3339, `error` is its code, prices, `former_ratings` and `metadata` are JSON."""


@dataclass(frozen=True)
class Format:
    media_type: str
    head: bytes
    lines: Callable[[Iterable[UsageEntry]], bytes]


def _json_lines(entries: Iterable[UsageEntry]) -> bytes:
    return b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries)


def _csv_lines(entries: Iterable[UsageEntry]) -> bytes:
    return _rows([_cell(getattr(entry, name)) for name in COLUMNS] for entry in entries)


def _rows(rows: Iterable[Iterable[str]]) -> bytes:
    text = StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case ErrorBody():
            return value.code or ""
        case msgspec.Struct() | Mapping() | list():
            return msgspec.json.encode(value).decode()
        case _:
            return str(value)


FORMATS: Final[Mapping[str, Format]] = {
    "jsonl": Format("application/jsonl", b"", _json_lines),
    "csv": Format("text/csv; charset=utf-8", _rows([COLUMNS]), _csv_lines),
}
