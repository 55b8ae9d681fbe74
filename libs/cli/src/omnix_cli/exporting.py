"""The ledger into a file: ``omnix usage export``.

The gateway tells it newest first in one long answer. Where that breaks off it is asked for what is not newer than the
last entry that came, and what came already is left out.
"""

import csv
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO, Final, Protocol

import msgspec

from omnix_cli.api import ApiError, Gateway, LostError

PATH: Final = "/v1/usage/export"
_TRIES: Final = 6
"""In a row without any entry."""
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 15.0
_BUSY: Final = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Record:
    """One entry, as the format has it."""

    id: str
    start_time: str
    line: bytes


class Format(Protocol):
    """How the gateway is asked, and how records are written."""

    @property
    def asked(self) -> str:
        """The gateway's word for it."""

    def read(self, lines: Iterator[bytes]) -> Iterator[Record]: ...

    def begin(self, out: BinaryIO) -> None: ...

    def write(self, records: Iterable[Record]) -> None: ...

    def end(self) -> None: ...


class _Known(msgspec.Struct):
    id: str
    start_time: str


class JsonLines:
    asked = "jsonl"
    _decoder = msgspec.json.Decoder(_Known)

    def read(self, lines: Iterator[bytes]) -> Iterator[Record]:
        for line in lines:
            known = self._decoder.decode(line)
            yield Record(known.id, known.start_time, line)

    def begin(self, out: BinaryIO) -> None:
        self._out = out

    def write(self, records: Iterable[Record]) -> None:
        for record in records:
            self._out.write(record.line)

    def end(self) -> None:
        self._out.flush()


class Csv(JsonLines):
    asked = "csv"

    def begin(self, out: BinaryIO) -> None:
        super().begin(out)
        self._head = False

    def read(self, lines: Iterator[bytes]) -> Iterator[Record]:
        parts: list[bytes] = []

        def texts() -> Iterator[str]:
            for line in lines:
                parts.append(line)
                yield line.decode()

        rows = csv.reader(texts(), strict=True)
        head = next(rows, None)
        if head is None:
            raise LostError("the export ended before it began")
        if not self._head:
            self._out.write(b"".join(parts))
            self._head = True
        parts.clear()
        at_id, at_time = head.index("id"), head.index("start_time")
        for row in rows:
            yield Record(row[at_id], row[at_time], b"".join(parts))
            parts.clear()


def export(
    gateway: Gateway,
    form: Format,
    out: BinaryIO,
    params: Mapping[str, str],
    told: Callable[[int], None],
    pause: Callable[[float], None] = time.sleep,
) -> int:
    """Write what is asked for, and return how many entries that is.

    :param told: called with the number of entries so far, after every few.
    :raises LostError: when the connection breaks again and again without a single entry.
    """
    form.begin(out)
    count = 0
    for some in _gathered(_records(gateway, form, params, pause)):
        form.write(some)
        count += len(some)
        told(count)
    form.end()
    return count


def _gathered(records: Iterator[Record], size: int = 1000) -> Iterator[list[Record]]:
    some: list[Record] = []
    for record in records:
        some.append(record)
        if len(some) == size:
            yield some
            some = []
    if some:
        yield some


def _records(
    gateway: Gateway, form: Format, params: Mapping[str, str], pause: Callable[[float], None]
) -> Iterator[Record]:
    last = ""
    at_last: set[str] = set()
    """Ids of the entries that began in the same millisecond as the last one."""
    failures = 0
    while True:
        asked = {**params, "format": form.asked, **({"end_time": _just_after(last)} if last else {})}
        try:
            with gateway.stream("GET", PATH, params=asked) as response:
                for record in form.read(_lines(response.iter_bytes())):
                    if record.start_time == last and record.id in at_last:
                        continue
                    if record.start_time != last:
                        last, at_last = record.start_time, set()
                    at_last.add(record.id)
                    failures = 0
                    yield record
                return
        except LostError:
            failures += 1
            if failures >= _TRIES:
                raise
        except ApiError as exc:
            failures += 1
            if exc.status not in _BUSY or failures >= _TRIES:
                raise
        pause(min(_FIRST_PAUSE * 2 ** (failures - 1), _LONGEST_PAUSE))


def _lines(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines with their ends. JSON and CSV may hold what Unicode takes for the end of a line."""
    rest = b""
    for part in parts:
        *whole, rest = (rest + part).split(b"\n")
        for line in whole:
            yield line + b"\n"
    if rest:
        raise LostError("the export ended in the middle of a line")


def _just_after(moment: str) -> str:
    """The ledger counts milliseconds."""
    return (datetime.fromisoformat(moment) + timedelta(milliseconds=1)).isoformat(timespec="milliseconds")
