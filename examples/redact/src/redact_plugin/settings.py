"""What an operator sets for the plugin on a route, and how the process is started."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from redact_plugin.finding import Kind


class Mode(Enum):
    PLACEHOLDERS = "placeholders"
    """Requests get placeholders, which become the values again in answers."""
    REQUESTS = "requests"
    """Requests get placeholders, and answers keep them."""
    ANSWERS = "answers"
    """Requests stay as they are; answers get the names of kinds."""


class BadSetting(ValueError):
    """The message names it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is done for one completion."""

    mode: Mode = Mode.PLACEHOLDERS
    kinds: frozenset[Kind] = frozenset(Kind)
    refuse_attachments: bool = False
    """Images, sounds and files cannot be looked into."""


def wanted(settings: Mapping[str, str]) -> Wanted:
    """:raises BadSetting: a setting that is not understood must not mean that nothing is redacted."""
    if unknown := sorted(settings.keys() - {"mode", "kinds", "attachments"}):
        raise BadSetting(f"{unknown[0]} is none of mode, kinds, attachments")
    try:
        mode = Mode(settings.get("mode", Mode.PLACEHOLDERS.value))
        kinds = frozenset(Kind(each.strip()) for each in settings["kinds"].split(",")) if "kinds" in settings else None
    except ValueError as exc:
        raise BadSetting(str(exc)) from exc
    attachments = settings.get("attachments", "pass")
    if attachments not in ("pass", "refuse"):
        raise BadSetting(f"attachments is 'pass' or 'refuse', not {attachments!r}")
    return Wanted(mode, frozenset(Kind) if kinds is None else kinds, attachments == "refuse")


@dataclass(frozen=True, slots=True)
class Options:
    """Of the process."""

    listen: str
    completions: int
    """Whose values are kept at once; the oldest are forgotten first."""
    keep: float
    """Seconds after which the values of a completion are forgotten whose end was not told."""


def options(arguments: Sequence[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(prog="redact-plugin", description=__doc__)
    parser.add_argument("--listen", default="127.0.0.1:6001", help="host:port (%(default)s)")
    parser.add_argument("--completions", type=int, default=10_000, help="kept at once (%(default)s)")
    parser.add_argument("--keep", type=float, default=7200.0, help="seconds at most (%(default)s)")
    read = parser.parse_args(arguments)
    return Options(read.listen, read.completions, read.keep)
