"""``omnix logs``: the services' logs as one, in the order of time."""

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.text import Text

from omnix_cli import logfiles
from omnix_cli.errors import UsageError
from omnix_cli.places import DataDir

_LOOK_EVERY = 0.2
_READ_AT_ONCE = 1024 * 1024
_NATS = re.compile(r"\[\d+\] (\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d+) \[(\w+)\] (.*)")
_NATS_LEVELS = {"DBG": "debug", "TRC": "debug", "INF": "info", "WRN": "warning", "ERR": "error", "FTL": "critical"}
_COLOURS = {"debug": "dim", "warning": "yellow", "error": "red", "critical": "bold red"}
_NOT_SHOWN = frozenset({"time", "level", "service", "logger", "message", "event", "exception"})


@dataclass(frozen=True, slots=True)
class Line:
    """One line of one log. ``fields`` is None where the line is no JSON object."""

    service: str
    time: float
    """Seconds since the epoch; a line without a time of its own has that of the line before."""
    level: str
    message: str
    raw: str
    fields: Mapping[str, object] | None = None


def read(raw: str, service: str, before: float) -> Line:
    """Understand one line as JSON, as NATS writes, or as bare text."""
    if raw.startswith("{"):
        try:
            fields: object = json.loads(raw)
        except ValueError:
            fields = None
        if isinstance(fields, dict):
            told = str(fields.get("message") or fields.get("event") or "")
            level = str(fields.get("level", "info")).lower()
            return Line(service, _time(fields.get("time"), before), level, told, raw, fields)
    if found := _NATS.fullmatch(raw):
        at = datetime.strptime(found[1], "%Y/%m/%d %H:%M:%S.%f").replace(tzinfo=UTC).timestamp()
        return Line(service, at, _NATS_LEVELS.get(found[2], "info"), found[3], raw)
    return Line(service, before, "info", raw, raw)


def pretty(line: Line, width: int) -> Text:
    """Time of day, service, level where it is not ``info``, message, fields, exception."""
    colour = _COLOURS.get(line.level, "")
    text = Text()
    text.append(datetime.fromtimestamp(line.time).astimezone().strftime("%H:%M:%S.%f")[:-3], style="dim")
    text.append(f" {line.service:<{width}} ", style="cyan")
    if line.level != "info":
        text.append(f"{line.level.upper()} ", style=colour)
    text.append(line.message, style=colour)
    for name, value in (line.fields or {}).items():
        if name not in _NOT_SHOWN:
            text.append(f" {name}=", style="dim")
            text.append(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    if exception := (line.fields or {}).get("exception"):
        text.append(f"\n{exception}", style="red")
    return text


def as_json(line: Line) -> str:
    """The line as it was written, made an object where it was none."""
    if line.fields is not None:
        return line.raw
    at = datetime.fromtimestamp(line.time, UTC).isoformat(timespec="milliseconds")
    fields = {"time": at, "level": line.level, "service": line.service, "message": line.message}
    return json.dumps(fields, ensure_ascii=False)


def names(data: DataDir, service: str | None) -> list[str]:
    """The services that have a log; only the one that was asked for.

    :raises UsageError: when that one has none.
    """
    present = sorted(path.stem for path in data.logs.glob("*.log"))
    if service is None:
        return present
    if service not in present:
        known = f"there are {', '.join(present)}" if present else f"no suite ever ran on {data.root}"
        raise UsageError(f"there is no log of {service}; {known}")
    return [service]


def last(data: DataDir, services: Sequence[str], count: int) -> list[Line]:
    """The newest lines of all logs together, oldest first."""
    lines = [line for name in services for line in _last_of(data.log(name), name, count)]
    return sorted(lines, key=lambda line: line.time)[-count:] if count else []


def follow(data: DataDir, services: Sequence[str], starts: Mapping[str, int]) -> Iterator[Line]:
    """What is written from the given offsets on, for ever. A log that was emptied is read from its beginning."""
    offsets, before = dict(starts), dict.fromkeys(services, time.time())
    while True:
        fresh: list[Line] = []
        for name in services:
            for raw in _from(data.log(name), offsets, name):
                line = read(raw, name, before[name])
                before[name] = line.time
                fresh.append(line)
        yield from sorted(fresh, key=lambda line: line.time)
        if not fresh:
            time.sleep(_LOOK_EVERY)


def ends(data: DataDir, services: Sequence[str]) -> dict[str, int]:
    return {name: logfiles.size(data.log(name)) for name in services}


def _last_of(path: Path, service: str, count: int) -> Iterator[Line]:
    raws = logfiles.tail(path, count)
    if len(raws) < count:
        raws = logfiles.tail(logfiles.older(path), count - len(raws)) + raws
    before = 0.0
    for raw in raws:
        line = read(raw, service, before)
        before = line.time
        yield line


def _from(path: Path, offsets: dict[str, int], name: str) -> list[str]:
    """The whole lines after the offset, which is moved behind them."""
    size = logfiles.size(path)
    offset = offsets.get(name, 0)
    if size < offset:
        offset = 0
    if size == offset:
        return []
    with path.open("rb") as file:
        file.seek(offset)
        content = file.read(_READ_AT_ONCE)
    whole = content.rfind(b"\n") + 1
    if not whole and len(content) == _READ_AT_ONCE:
        whole = len(content)  # a line without end is shown in pieces
    offsets[name] = offset + whole
    return content[:whole].decode(errors="replace").splitlines()


def _time(value: object, before: float) -> float:
    match value:
        case int() | float():
            return float(value)
        case str():
            try:
                return datetime.fromisoformat(value).timestamp()
            except ValueError:
                return before
        case _:
            return before
