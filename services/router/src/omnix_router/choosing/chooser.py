"""Chooses among the models that can be called now."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from omnix_kit.errors import CallerError, Reason

from omnix_router.adapters import Adapters
from omnix_router.catalogue.models import price_at
from omnix_router.choosing.auto import AUTO, TARGETS, Request, eased, requirements_of
from omnix_router.choosing.reasons import none_fits
from omnix_router.naming import Names
from omnix_router.routing import Plan, Target
from omnix_router.selection import (
    UNKNOWN_HEALTH,
    Candidate,
    Choice,
    Health,
    Requirements,
    Selection,
    distinct,
    select,
    targets,
)

_KEPT = 1.0
"""Seconds for which the candidates are kept: finding them takes longer than choosing among them."""
_MOST_KEPT = 64


class Chooser:
    """Knows the candidates."""

    def __init__(self, adapters: Adapters, health: Callable[[str], Health] = lambda target: UNKNOWN_HEALTH) -> None:
        """:param health: of a target, by ``provider/model``."""
        self._adapters = adapters
        self._health = health
        self._candidates: Sequence[Candidate] = ()
        self._fitting: dict[Requirements, Sequence[Candidate]] = {}
        """What fits requests of any length that are alike otherwise."""
        self._names: Names | None = None
        self._found_at = 0.0

    def select(self, requirements: Requirements) -> Selection:
        now = datetime.now(UTC)
        return select(requirements, self._current(now), now)

    def plan(self, request: Request) -> Plan:
        """The targets of a completion whose caller leaves the model to the router.

        :raises CallerError: ``INVALID_REQUEST`` when no model can do what the request needs.
        """
        now = datetime.now(UTC)
        candidates = self._current(now)
        for requirements in eased(requirements_of(request)):
            found = select(requirements, self._alike(requirements, candidates, now), now)
            if found.order:
                return Plan(tuple(_target(choice) for choice in targets(found.order, TARGETS)), AUTO)
        raise CallerError(
            f"No model fits what '{AUTO}' is asked for: {none_fits(select(requirements, candidates, now))}.",
            reason=Reason.INVALID_REQUEST,
            param="model",
        )

    def _alike(self, requirements: Requirements, candidates: Sequence[Candidate], now: datetime) -> Sequence[Candidate]:
        """Requests differ in length more than in what they need, and most of the work is finding what can do that."""
        alike = replace(requirements, context_tokens=0, input_tokens=0, output_tokens=0, max_output_tokens=0)
        found = self._fitting.get(alike)
        if found is None:
            found = [choice.candidate for choice in select(alike, candidates, now).order]
            if len(self._fitting) < _MOST_KEPT:
                self._fitting[alike] = found
        return found

    def _current(self, now: datetime) -> Sequence[Candidate]:
        """Of every provider that an adapter serves; the catalogue's own models alone, since of others nothing is known.

        Adapters that come and go change the names, and so do catalogue and configuration.
        """
        names, clock = self._adapters.names, time.monotonic()
        if names is not self._names or clock - self._found_at >= _KEPT:
            self._candidates = distinct(
                Candidate(
                    model,
                    price_at(model.prices, now),
                    model.provider in self._adapters.sandboxes,
                    self._health(model.id) if model.provider in self._adapters.callable else Health(available=False),
                )
                for model in names.catalogue.models.values()
                if model.provider in names.providers
            )
            self._fitting = {}
            self._names, self._found_at = names, clock
        return self._candidates


def _target(choice: Choice) -> Target:
    return Target(choice.model.provider, choice.model.name, choice.model, route=AUTO)
