import base64
import math
import struct

import pytest
from omnix_sandbox.signatures import is_sealed, is_signed, seal, sign
from omnix_sandbox.vectors import packed, vector


@pytest.mark.parametrize("dimensions", [1, 256, 1536, 3072])
def test_a_vector_has_unit_length_and_belongs_to_its_text(dimensions: int) -> None:
    made = vector("Grüezi 🚀", dimensions)

    assert len(made) == dimensions
    assert math.isclose(math.hypot(*made), 1, rel_tol=1e-5)
    assert made == vector("Grüezi 🚀", dimensions)
    assert dimensions == 1 or made != vector("Grüezi", dimensions)


def test_a_short_vector_points_where_the_long_one_begins() -> None:
    short, long = vector("x", 64), vector("x", 1536)[:64]

    length = math.hypot(*long)
    assert short == pytest.approx([value / length for value in long], abs=1e-6)


def test_packed_numbers_are_the_same_numbers() -> None:
    made = vector("x", 8)

    assert list(struct.unpack("<8f", base64.b64decode(packed(made)))) == made


def test_signatures_belong_to_their_text() -> None:
    assert is_signed("so, 東京", sign("so, 東京"))
    assert not is_signed("so, 東京", sign("so"))
    assert is_sealed(seal("so, 東京"))
    assert not is_sealed(seal("so, 東京")[:-4])
    assert not is_sealed(b"***")
