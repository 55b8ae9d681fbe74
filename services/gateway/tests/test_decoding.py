"""Depth is found without decoding, at a price that no body can raise."""

import time

import pytest
from omnix_gateway.chat.decoding import check_depth
from omnix_kit.errors import CallerError


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 65 + b'"' + b"a" * 500_000,
        b"[" * 65 + b'"' + b'\\"' * 500_000,
        b"[" * 65 + b'"a' * 300_000,
        b"[" * 65 + b"\\" * 500_000,
        b"[" * 1_000_000,
    ],
)
def test_hostile_body_costs_no_more_than_its_length(body: bytes) -> None:
    began = time.process_time()
    with pytest.raises(CallerError):
        check_depth(body, 64)
    assert time.process_time() - began < 2  # backtracking would take hours


def test_brackets_in_strings_do_not_count() -> None:
    check_depth(b'{"a": "' + b"[{" * 1000 + rb"\"[" + b'"}', 64)
    check_depth(b"[" * 64 + b"]" * 64, 64)
    check_depth(b"[" + b"[]," * 10_000 + b"[]]", 64)
