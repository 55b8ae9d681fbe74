"""Sums over attempts. Every part of a cell adds up in any order, and can be taken out again."""

from msgspec import Struct, field
from omnix_kit.usage.events import Outcome

from omnix_analytics import users
from omnix_analytics.facts import Fact
from omnix_analytics.sketch import Sketch


class Cell(Struct, array_like=True):
    """What some attempts add up to; see ``omnix.analytics.v1.Figures``."""

    attempts: int = 0
    requests: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    estimated: int = 0
    unpriced: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    latency_us: int = 0
    """Sum over those that succeeded."""
    first_content_us: int = 0
    """Sum over those that were streamed and had content."""
    costs: dict[str, int] = field(default_factory=dict)
    """Millionths by currency."""
    latency: Sketch = field(default_factory=Sketch)
    first_content: Sketch = field(default_factory=Sketch)
    active: dict[int, int] = field(default_factory=dict)
    """Who acted, see ``omnix_analytics.users``."""

    def add(self, fact: Fact, times: int = 1) -> None:
        """Count an attempt, or with -1 take one out that was counted."""
        self.attempts += times
        self.requests += times * fact.is_request
        match fact.outcome:
            case Outcome.SUCCEEDED:
                self.succeeded += times
                self.latency_us += times * fact.latency_us
                self.latency.add(fact.latency_us, times)
            case Outcome.FAILED | Outcome.INTERRUPTED:
                self.failed += times
            case Outcome.CANCELLED:
                self.cancelled += times
        if fact.first_content_us:
            self.first_content_us += times * fact.first_content_us
            self.first_content.add(fact.first_content_us, times)
        self.estimated += times * fact.estimated
        self.input_tokens += times * fact.input_tokens
        self.output_tokens += times * fact.output_tokens
        self.cached_input_tokens += times * fact.cached_input_tokens
        self.reasoning_tokens += times * fact.reasoning_tokens
        if fact.cost_micros is None:
            self.unpriced += times
        else:
            self._pay(fact.currency, times * fact.cost_micros)
        users.put(self.active, {users.hash_of(fact.actor): times})

    def merge(self, other: "Cell") -> None:
        self.attempts += other.attempts
        self.requests += other.requests
        self.succeeded += other.succeeded
        self.failed += other.failed
        self.cancelled += other.cancelled
        self.estimated += other.estimated
        self.unpriced += other.unpriced
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.cached_input_tokens += other.cached_input_tokens
        self.reasoning_tokens += other.reasoning_tokens
        self.latency_us += other.latency_us
        self.first_content_us += other.first_content_us
        for currency, micros in other.costs.items():
            self._pay(currency, micros)
        self.latency.merge(other.latency)
        self.first_content.merge(other.first_content)
        users.put(self.active, other.active)

    def _pay(self, currency: str, micros: int) -> None:
        """A currency stays even with a sum of 0: what is free is not unpriced."""
        self.costs[currency] = self.costs.get(currency, 0) + micros
