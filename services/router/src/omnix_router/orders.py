"""What one attempt is to be, and how it went."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from omnix_kit.money import Price

from omnix_router.health.admission import Entry
from omnix_router.routing import Target

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Order:
    """One attempt to be made."""

    attempt_id: str
    number: int
    """From 1."""
    target: Target
    price: Price | None
    route: str
    remaining: timedelta
    """Until the caller's deadline."""
    hedged: bool = False
    """Another one runs beside it, or may come to."""
    beside: int = 0
    """The slow attempt that it runs beside; 0 for none."""
    shadow: bool = False
    """A copy for another target, which nobody is shown; it is counted apart."""


@dataclass(frozen=True, slots=True)
class Report:
    """How one attempt went."""

    number: int
    provider: str
    model: str
    error_reason: str = ""


@dataclass(frozen=True, slots=True)
class Answered(Generic[T]):
    """The attempt that answered, its answer, and every attempt up to it."""

    order: Order
    answer: T
    reports: tuple[Report, ...]


Make = Callable[[Order], Awaitable[T]]
"""Makes one attempt, and answers with what it answered."""
Lose = Callable[[str, Order, asyncio.Future[T]], None]
"""Ends an attempt, given its completion and its task, because another one answered first."""


@dataclass(frozen=True, slots=True)
class Making:
    """An attempt under way."""

    order: Order
    index: int
    """Of its target."""
    entry: Entry
    began: float
    """By the clock that never goes back."""
    called: float
    """By the clock of the wall."""
