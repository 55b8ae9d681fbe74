"""Entries of the ledger as Parquet. Needs ``pyarrow``, which is heavy: it comes with the extra ``parquet``."""

import importlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any, BinaryIO, Final

import msgspec

from omnix_cli.errors import UsageError
from omnix_cli.exporting import JsonLines, Record

_TIMES: Final = ("start_time", "end_time", "record_time")
_NUMBERS: Final = (
    "attempt",
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "cache_write_input_tokens",
    "long_cache_write_input_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "cost_micros",
    "billed_micros",
)
_FLAGS: Final = ("streamed", "estimated", "unpriced", "sandbox")
_TEXTS: Final = (
    "id",
    "completion_id",
    "operation",
    "purpose",
    "key_id",
    "user_id",
    "team_id",
    "requested_model",
    "provider",
    "model",
    "route",
    "mode",
    "outcome",
    "cost",
    "currency",
    "billed",
    "billed_currency",
    "rule_id",
)


class Parquet(JsonLines):
    """Each part of up to 1000 entries is gathered to groups of rows by the library."""

    def __init__(self) -> None:
        """:raises UsageError: when the extra is not installed."""
        try:
            self._arrow: Any = importlib.import_module("pyarrow")
            self._parquet: Any = importlib.import_module("pyarrow.parquet")
        except ImportError as exc:
            raise UsageError(
                "Parquet needs pyarrow, which is not installed: install omnix-cli[parquet], or take --format jsonl"
            ) from exc

    def begin(self, out: BinaryIO) -> None:
        arrow = self._arrow
        self._schema = arrow.schema(
            [
                *((name, arrow.string()) for name in _TEXTS),
                *((name, arrow.int64()) for name in _NUMBERS),
                *((name, arrow.bool_()) for name in _FLAGS),
                *((name, arrow.timestamp("ms", tz="UTC")) for name in _TIMES),
                ("first_content_ms", arrow.float64()),
                ("error", arrow.string()),
                ("metadata", arrow.map_(arrow.string(), arrow.string())),
            ]
        )
        self._writer = self._parquet.ParquetWriter(out, self._schema)

    def write(self, records: Iterable[Record]) -> None:
        rows = [_row(msgspec.json.decode(record.line, type=dict[str, Any])) for record in records]
        self._writer.write_table(self._arrow.Table.from_pylist(rows, schema=self._schema))

    def end(self) -> None:
        self._writer.close()


def _row(entry: dict[str, Any]) -> dict[str, Any]:
    error = entry.get("error") or {}
    return {
        **{name: entry.get(name) for name in (*_TEXTS, *_NUMBERS, *_FLAGS, "first_content_ms")},
        **{name: datetime.fromisoformat(entry[name]) for name in _TIMES},
        "error": error.get("code"),
        "metadata": list((entry.get("metadata") or {}).items()),
    }
