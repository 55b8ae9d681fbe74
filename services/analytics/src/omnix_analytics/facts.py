"""What analytics keeps of an attempt."""

from msgspec import Struct
from omnix_kit.usage.events import Certainty, Outcome


class Fact(Struct, frozen=True, array_like=True):
    """One attempt as it is counted. Its place is the moment when it ended."""

    attempt_id: str
    tenant_id: str
    team_id: str
    user_id: str
    key_id: str
    provider: str
    model: str
    outcome: Outcome
    certainty: Certainty
    is_request: bool
    """The first attempt that was made for the answer: each request of a caller has one."""
    end_ms: int
    """Milliseconds since 1970."""
    latency_us: int
    first_content_us: int
    """0 when there was none, or the answer was not streamed."""
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    reasoning_tokens: int
    cost_micros: int | None
    """None when unpriced."""
    currency: str

    @property
    def estimated(self) -> bool:
        return self.certainty is not Certainty.EXACT

    @property
    def actor(self) -> str:
        """Who acted: the user, or the key where it has none."""
        return f"user:{self.user_id}" if self.user_id else f"key:{self.key_id}"
