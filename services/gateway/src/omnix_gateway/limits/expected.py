"""What a request is about to take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Expected:
    """In tokens, before anybody has counted them."""

    input: int
    output: int
