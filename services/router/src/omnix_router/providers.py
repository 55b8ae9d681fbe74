"""What adapters say of themselves."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Provider:
    """A vendor API that an adapter serves."""

    name: str
    kind: str
    sandbox: bool
    """It is the sandbox, not the vendor."""
    problem: str
    """What is wrong with its configuration; empty when it can be called."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """What one adapter serves now."""

    providers: tuple[Provider, ...]
    models: frozenset[tuple[str, str]]
    """Provider and vendor's name of each model that is offered."""
