"""In what an adapter lawfully differs from others, told beside its tests; the conformance suite keeps it to that."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from omnix_kit.errors import Reason


@dataclass(frozen=True, slots=True)
class Refused:
    """A behaviour that the vendor cannot honour, and by which name it is refused before anything is sent."""

    param: str
    why: str


@dataclass(frozen=True, slots=True)
class Told:
    """A failure that the vendor tells otherwise than most do."""

    why: str
    reason: Reason | None = None
    """None for the reason that others tell too."""
    status: int | None = None
    """None for the status that the failure is named after."""


EMBEDDING: Final = (
    "embedding",
    "embeddings",
    "embedding_dimensions",
    "embedding_usage",
    "embedding_purpose",
    "embedding_of_tokens",
    "embedding_refused_by_the_vendor",
    "malformed_embedding",
    "left_embedding",
)
"""Behaviours that need a model for embeddings."""
CONTINUED: Final = ("continued/in a word", "continued/after white space")
"""Behaviours that need a model which continues an answer."""
BUDGET: Final = Refused("reasoning.budget_tokens", "the format knows efforts only")
MODE: Final = Refused("mode", "only the catalogue knows what it means for a model")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One vendor in the conformance suite. Behaviours go by their names, such as ``image`` and ``sampling/top_k``."""

    provider: str
    title: str
    """As the table has it."""
    model: str
    """A real one, whose rules the sandbox keeps, for whatever needs no other."""
    models: Mapping[str, str] = field(default_factory=dict)
    """For behaviours that need a certain one, such as those of embeddings."""
    refused: Mapping[str, Refused] = field(default_factory=dict)
    told: Mapping[str, Told] = field(default_factory=dict)
    provisos: Mapping[str, str] = field(default_factory=dict)
    """Behaviours whose meaning is the same as far as the vendor goes, and what it does not do. What follows from one
    is said by the behaviour's test."""

    @property
    def module(self) -> str:
        """Run by ``python -m``, it is the adapter."""
        return f"omnix_adapter_{self.provider}"
