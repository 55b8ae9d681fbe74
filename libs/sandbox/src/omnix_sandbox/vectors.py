"""Embeddings that a test can compute for itself.

    >>> vectors.vector("Grüezi", 1536)

A text's vector is a pure function of the text; it says nothing of the text's meaning.
"""

from array import array
from base64 import b64encode
from hashlib import shake_256
from math import sqrt
from sys import byteorder
from typing import Final

_HALF: Final = 1 << 31


def vector(text: str, dimensions: int) -> list[float]:
    """The text's vector: unit length, numbers that 32-bit floats hold exactly.

    A shorter one is the beginning of a longer one, stretched to unit length again, as models give it that are trained
    for this.
    """
    numbers = array("I", shake_256(text.encode("utf-8", "surrogatepass")).digest(4 * dimensions))
    if byteorder == "big":
        numbers.byteswap()
    values = [(number - _HALF) / _HALF for number in numbers]
    length = sqrt(sum(value * value for value in values)) or 1.0
    return array("f", [value / length for value in values]).tolist()


def packed(values: list[float]) -> str:
    """Base64 of little-endian 32-bit floats."""
    numbers = array("f", values)
    if byteorder == "big":
        numbers.byteswap()
    return b64encode(numbers.tobytes()).decode()
