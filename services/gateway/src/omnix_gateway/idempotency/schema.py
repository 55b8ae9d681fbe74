"""What is told of the first call of an idempotency key when its answer cannot be."""

from typing import Literal

from msgspec import Struct


class KnownAttempt(Struct, kw_only=True):
    """One attempt that the ledger has. `cost_micros` is null when unpriced."""

    provider: str
    model: str
    outcome: str
    estimated: bool
    input_tokens: int
    output_tokens: int
    cost_micros: int | None


class KeyState(Struct, kw_only=True):
    """`attempts` is null when the ledger could not be asked; an attempt may come to be known a little later."""

    state: Literal["in_progress", "in_doubt", "cancelled", "answer_not_kept"]
    completion_id: str
    claim_time: str
    expire_time: str
    attempts: list[KnownAttempt] | None
    advice: str
