"""Which requests a rule of a route is for. Pure."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from omnix_router.catalogue.models import Mode

MODALITIES = ("image", "audio", "video", "file")
"""What a request may hold besides text."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What routes may ask of a request."""

    tenant: str = ""
    user: str = ""
    """The caller's end user, else the user that its key belongs to; empty for neither."""
    cache_key: str = ""
    """What the caller gave as ``prompt_cache_key``."""
    mode: Mode | None = None
    modalities: AbstractSet[str] = frozenset()
    """Some of ``MODALITIES``."""
    input_tokens: int = 0
    """Estimated: four bytes of text are a token; what is no text is not counted."""
    output_tokens: int | None = None
    """The most that the answer may have; None when nothing is said of it."""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What must hold for a rule; what is empty or None is not asked."""

    modes: frozenset[Mode] = frozenset()
    modalities: frozenset[str] = frozenset()
    """The request has one of these."""
    min_input_tokens: int | None = None
    max_input_tokens: int | None = None
    tenants: frozenset[str] = frozenset()
    metadata: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Every field of these has one of the values."""

    def hold(self, facts: Facts) -> bool:
        return (
            (not self.modes or facts.mode in self.modes)
            and (not self.modalities or not self.modalities.isdisjoint(facts.modalities))
            and (self.min_input_tokens is None or facts.input_tokens >= self.min_input_tokens)
            and (self.max_input_tokens is None or facts.input_tokens <= self.max_input_tokens)
            and (not self.tenants or facts.tenant in self.tenants)
            and all(facts.metadata.get(name) in values for name, values in self.metadata.items())
        )
