"""Who may call a target: everybody while its circuit is closed, nobody while it is open, one attempt in between."""

import time
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum, auto

from omnix_router import metrics
from omnix_router.health.state import Gate, Health, barred
from omnix_router.routing import Target

Claim = Callable[[str], Awaitable[bool]]
"""Asks the fleet for the probe of a target; true when this router has it."""


class Entry(Enum):
    """How an attempt may be made."""

    FREELY = auto()
    AS_PROBE = auto()
    NOT = auto()


class Admission:
    """Lets attempts through."""

    def __init__(self, health: Health, claim: Claim) -> None:
        self.health = health
        self._claim = claim

    async def enter(self, target: Target) -> Entry:
        health = self.health
        match health.gate(target.id, time.time()):
            case Gate.OPEN:
                return Entry.FREELY
            case Gate.BARRED:
                metrics.CIRCUIT_SKIPPED.labels(target.provider).inc()
                return Entry.NOT
            case Gate.DUE:
                if await self._claim(target.id):
                    metrics.PROBES.labels(target.provider).inc()
                    return Entry.AS_PROBE
                # Another router has it, or found meanwhile that the target answers.
                return Entry.FREELY if target.id not in health.outages else Entry.NOT

    async def first(self, targets: Sequence[Target]) -> tuple[int, Entry]:
        """The first target that may be called; of several of which none may, the least bad, with :attr:`Entry.NOT`.

        :raises OmnixError: ``UNAVAILABLE`` or ``RATE_LIMITED`` when there is only one, and it may not be called.
        """
        for index, target in enumerate(targets):
            entry = await self.enter(target)
            if entry is not Entry.NOT:
                return index, entry
        outages = self.health.outages
        if len(targets) == 1 and (outage := outages.get(targets[0].id)) is not None:
            metrics.CIRCUIT_REFUSED.labels(targets[0].provider).inc()
            raise barred(outage, time.time())

        def due(index: int) -> float:
            """When its circuit lets a probe through."""
            outage = outages.get(targets[index].id)
            return 0.0 if outage is None else outage.until

        return min(range(len(targets)), key=due), Entry.NOT
