import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnix_provider.vectors import MAX_DIMENSIONS, packed, unpacked


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=64))
def test_numbers_of_32_bits_come_back_as_they_were(numbers: list[float]) -> None:
    assert list(unpacked(packed(numbers))) == numbers


def test_bytes_are_little_endian() -> None:
    assert packed([1.0, -2.5]) == struct.pack("<2f", 1.0, -2.5)


@pytest.mark.parametrize("numbers", [[], [math.nan], [math.inf], [1e300], [0.0] * (MAX_DIMENSIONS + 1)])
def test_what_is_no_vector_is_refused(numbers: list[float]) -> None:
    with pytest.raises(ValueError, match="vector"):
        packed(numbers)


def test_part_of_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="part"):
        unpacked(b"12345")
