"""Plugins as the operator sets them up, and when they are called. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

NO_SETTINGS: Mapping[str, str] = {}


class Hook(StrEnum):
    """A moment of a completion."""

    REQUEST = "request"
    ATTEMPT = "attempt"
    ANSWER = "answer"
    END = "end"


@dataclass(frozen=True, slots=True)
class Plugin:
    """A process that answers ``PluginService``."""

    name: str
    address: str
    timeout: timedelta
    """For each call."""
    closes: bool
    """Its failure fails the completion, which otherwise goes on as if it were not there."""
    hooks: frozenset[Hook] | None = None
    """When it is called; None asks the plugin itself."""
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Named:
    """A plugin that a route names."""

    name: str
    settings: Mapping[str, str] = field(default_factory=dict)
    """Of this route, before the plugin's own."""


@dataclass(frozen=True, slots=True)
class Plugins:
    """All that are set up."""

    by_name: Mapping[str, Plugin] = field(default_factory=dict)
    always: tuple[str, ...] = ()
    """Called for every completion, in this order, before those of its route."""
