"""What became of a request's wish, as the answer's headers and the access log tell it. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """HIT: answered from the cache. MISS: sought there in vain. JOINED: shares the answer of another request.
    BYPASS: not sought."""

    HIT = "hit"
    MISS = "miss"
    JOINED = "joined"
    BYPASS = "bypass"


@dataclass(frozen=True, slots=True)
class Cached:
    """What became of the wish; of an answer out of the cache, how many seconds it is old and whose it was first."""

    outcome: Outcome
    age: int = 0
    source: str = ""

    def __str__(self) -> str:
        return self.outcome

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        told = [(b"x-omnix-cache", self.outcome.encode())]
        if self.outcome is Outcome.HIT:
            told += [(b"age", b"%d" % self.age), (b"x-omnix-cache-source", self.source.encode())]
        return told
