"""Durations, rates and sizes as people write them: `500ms`, `10/s`, `64k`."""

import re

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)?")
_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}
_RATE = re.compile(r"(\d+(?:\.\d+)?)(?:/s)?")
_SIZE = re.compile(r"(\d+)([km]?)")
_SIZE_UNITS = {"": 1, "k": 1024, "m": 1024 * 1024}

MAX_DURATION = 3600.0
MAX_SIZE = 64 * 1024 * 1024


def seconds(text: str) -> float:
    """Read `500ms`, `2s`, `1.5`, `1m`; a bare number is seconds."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration such as 500ms, 2s or 1m")
    value = float(match[1]) * _DURATION_UNITS[match[2] or "s"]
    if value > MAX_DURATION:
        raise ValueError(f"{text!r} is longer than {MAX_DURATION:.0f}s")
    return value


def tokens_per_second(text: str) -> float:
    """Read `10/s`, `10` or `burst`, which is 0: no pace, everything at once."""
    if text == "burst":
        return 0.0
    match = _RATE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a pace such as 10/s or burst")
    return float(match[1])


def size(text: str) -> int:
    """Read `4096`, `64k` or `1m` as a number of bytes."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a size such as 4096, 64k or 1m")
    value = int(match[1]) * _SIZE_UNITS[match[2]]
    if value > MAX_SIZE:
        raise ValueError(f"{text!r} is more than {MAX_SIZE} bytes")
    return value


def count(text: str, most: int) -> int:
    """Read a whole number from 0 to `most`."""
    if not text.isascii() or not text.isdigit() or int(text[:12]) > most or len(text) > 12:
        raise ValueError(f"{text!r} is not a whole number from 0 to {most}")
    return int(text)
