"""Vectors as they travel: little-endian IEEE 754 numbers of 32 bits.

Vendors compute with 32 bits or fewer, so nothing is lost, and a vector is a third of its JSON.
"""

import math
import struct
from collections.abc import Sequence

_SIZE = 4
MAX_DIMENSIONS = 65_536


def packed(numbers: Sequence[float]) -> bytes:
    """:raises ValueError: when there are none or too many of them, or one is no finite number of 32 bits."""
    if not 0 < len(numbers) <= MAX_DIMENSIONS:
        raise ValueError(f"a vector has {len(numbers)} numbers")
    try:
        data = struct.pack(f"<{len(numbers)}f", *numbers)
    except (struct.error, OverflowError) as exc:
        raise ValueError("a vector holds what is no number of 32 bits") from exc
    if not all(map(math.isfinite, numbers)):
        raise ValueError("a vector holds a number that is not finite")
    return data


def unpacked(data: bytes) -> tuple[float, ...]:
    """:raises ValueError: when the bytes are no whole numbers of four."""
    if len(data) % _SIZE:
        raise ValueError("a vector has a part of a number")
    return struct.unpack(f"<{len(data) // _SIZE}f", data)
