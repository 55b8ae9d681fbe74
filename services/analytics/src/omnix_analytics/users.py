"""How many different users there were, in bounded space.

The smallest of the users' hashes are kept, with how often each came. As long as there is room that is everyone; beyond,
how far the kept ones reach into all possible hashes tells how many there are (k minimum values). Sets add up in any
order to the same.
"""

from collections.abc import Mapping
from hashlib import blake2b

KEPT = 1024
"""Below this the count is exact; beyond, its standard error is about 1 in the root of this: 3 %."""
_HASHES = 2**63


def hash_of(user: str) -> int:
    return int.from_bytes(blake2b(user.encode(), digest_size=8).digest()) >> 1


def put(users: dict[int, int], other: Mapping[int, int]) -> None:
    """Add how often each came; negative numbers take out, also ahead of what they are taken from."""
    for user, times in other.items():
        now = users.get(user, 0) + times
        if now:
            users[user] = now
        else:
            users.pop(user, None)
    if len(users) > KEPT:
        for user in sorted(users)[KEPT:]:
            del users[user]


def settle(users: dict[int, int]) -> None:
    """Forget who was taken out without being there, as those are whose hash was not among the smallest."""
    for user in [user for user, times in users.items() if times < 0]:
        del users[user]


def count(users: Mapping[int, int]) -> int:
    if len(users) < KEPT:
        return len(users)
    return round((KEPT - 1) * _HASHES / max(users))
