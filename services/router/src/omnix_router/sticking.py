"""Keeps a user or a conversation at one target, so that what the vendor cached of the prompt is hit. Pure.

Rendezvous hashing: every target draws a number for the key, weighted, and the highest comes first. All routers order
alike without telling each other, a target that is away hands its keys on to the others by their weights, and one that
is added takes no more than its share.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from math import log

from omnix_router.conditions import Facts

CONVERSATION = "conversation_id"
"""The metadata that names a conversation, where no ``prompt_cache_key`` does."""
_BITS = 64


class By(StrEnum):
    """What stays together."""

    USER = "user"
    """The end user, else the user that the key belongs to."""
    CONVERSATION = "conversation"
    """``prompt_cache_key``, else ``metadata.conversation_id``, else as ``user``."""
    METADATA = "metadata"
    """A field of the metadata."""


@dataclass(frozen=True, slots=True)
class Sticky:
    """What a route keeps at one target."""

    by: By
    field: str = ""
    """Of the metadata, for ``METADATA``."""


def key_of(sticky: Sticky | None, facts: Facts) -> str:
    """What the request has in common with others that belong to the same target; empty for nothing.

    The tenant is part of it: names of users are each tenant's own.
    """
    if sticky is None:
        return ""
    match sticky.by:
        case By.USER:
            name = facts.user
        case By.CONVERSATION:
            name = facts.cache_key or facts.metadata.get(CONVERSATION, "") or facts.user
        case By.METADATA:
            name = facts.metadata.get(sticky.field, "")
    return f"{facts.tenant}\0{name}" if name else ""


def rendezvous(key: str, ids: Sequence[str], weights: Sequence[int]) -> list[int]:
    """The order in which ``key`` meets the targets: indices, the first being where it belongs."""
    scores = [_score(key, one, weight) for one, weight in zip(ids, weights, strict=True)]
    return sorted(range(len(ids)), key=scores.__getitem__, reverse=True)


def _score(key: str, target: str, weight: int) -> float:
    drawn = int.from_bytes(
        blake2b(f"{target}\0{key}".encode("utf-8", "surrogatepass"), digest_size=_BITS // 8).digest()
    )
    # A half more keeps it off 0, whose logarithm there is not; the smaller divisor off 1, whose logarithm is 0.
    share = (drawn + 0.5) / (1 << _BITS)
    return -weight / log(min(share, 1 - 2**-53))
