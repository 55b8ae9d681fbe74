"""AWS's event stream: the SDK's own vectors, every way of cutting, and what is broken."""

import random
import time
from binascii import crc32

import pytest
from omnix_adapter_bedrock.eventstream import EventStream, Frame

# Of https://github.com/boto/botocore/blob/04d1fae43b657952e49b21d16daa86378ddb4253/tests/unit/test_eventstream.py,
# read 2026-11-22.
EMPTY = b"\x00\x00\x00\x10\x00\x00\x00\x00\x05\xc2H\xeb}\x98\xc8\xff"
NO_HEADERS = b"\x00\x00\x00\x1d\x00\x00\x00\x00\xfdR\x8cZ{'foo':'bar'}\xc3e96"
ALL_TYPES = (
    b"\x00\x00\x00\x62\x00\x00\x00\x52\x03\xb5\xcb\x9c\x010\x00\x011\x01\x012\x02\x02\x013\x03\x00\x03"
    b"\x014\x04\x00\x00\x00\x04\x015\x05\x00\x00\x00\x00\x00\x00\x00\x05\x016\x06\x00\x05bytes\x017\x07\x00\x04utf8"
    b"\x018\x08\x00\x00\x00\x00\x00\x00\x00\x08\x019\x090123456789abcdef\x63\x35\x36\x71"
)
ERROR = (
    b"\x00\x00\x00\x52\x00\x00\x00\x42\xbf\x23\x63\x7e\x0d:message-type\x07\x00\x05error"
    b"\x0b:error-code\x07\x00\x04code\x0e:error-message\x07\x00\x07message\x6b\x6c\xea\x3d"
)
INITIAL = (
    b"\x00\x00\x00~\x00\x00\x00O\xc5\xa3\xdd\xc6\r:message-type\x07\x00\x05event\x0b:event-type\x07\x00"
    b'\x10initial-response\r:content-type\x07\x00\ttext/json{"InitialResponse": "sometext"}\xf6\x98$\x83'
)
MUTATIONS = 100_000


def framed(payload: bytes, headers: bytes = b"") -> bytes:
    prelude = (16 + len(headers) + len(payload)).to_bytes(4) + len(headers).to_bytes(4)
    begun = prelude + crc32(prelude).to_bytes(4) + headers + payload
    return begun + crc32(begun).to_bytes(4)


def header(name: bytes, value: bytes) -> bytes:
    return bytes([len(name)]) + name + b"\x07" + len(value).to_bytes(2) + value


@pytest.mark.parametrize(
    ("data", "frame"),
    [
        (EMPTY, Frame("", b"")),
        (NO_HEADERS, Frame("", b"{'foo':'bar'}")),
        (ALL_TYPES, Frame("", b"")),
        (ERROR, Frame("code", b"", True, "message")),
        (INITIAL, Frame("initial-response", b'{"InitialResponse": "sometext"}')),
    ],
)
def test_vectors_of_the_sdk(data: bytes, frame: Frame) -> None:
    assert EventStream().feed(data) == [frame]


@pytest.mark.parametrize("step", [1, 2, 7, 15, 16, 17, 100, 1000])
def test_frames_are_put_together_however_they_are_cut(step: int) -> None:
    data = EMPTY + INITIAL + ERROR + NO_HEADERS + INITIAL
    stream = EventStream()
    frames = [frame for at in range(0, len(data), step) for frame in stream.feed(data[at : at + step])]
    assert frames == EventStream().feed(data)
    assert len(frames) == 5
    assert not stream.broken


@pytest.mark.parametrize(
    "data",
    [
        b"\x01\x00\x00\x1d\x00\x00\x00\x00\xfdR\x8cZ{'foo':'bar'}\xc3e96",
        b"\x00\x00\x00\x1d\x00\x00\x00\x00\xfdR\x8cZ{'foo':'bar'\x8d\xc3e96",
        b"<html><body>Bad gateway</body></html>",
        framed(b"", b"\x04name\x63"),
        framed(b"", b"\x04name\x07\x00\x09x"),
        framed(b"", b"\x01\xff\x07\x00\x01x"),
        framed(b"", header(b":message-type", b"gossip")),
        (12).to_bytes(4) + (0).to_bytes(4) + crc32((12).to_bytes(4) + (0).to_bytes(4)).to_bytes(4) + b"xxxx",
    ],
)
def test_what_is_broken_is_told_after_what_came_before(data: bytes) -> None:
    stream = EventStream()
    assert stream.feed(INITIAL + data) == EventStream().feed(INITIAL)
    assert stream.broken
    assert stream.feed(INITIAL) == ()


def test_frame_beyond_the_bound_is_not_waited_for() -> None:
    stream = EventStream(max_frame_bytes=1000)
    assert stream.feed(framed(b"x" * 984)) == [Frame("", b"x" * 984)]
    assert stream.feed(framed(b"x" * 985)[:12]) == []
    assert "larger" in stream.broken


def test_large_frame_in_many_pieces_is_copied_once() -> None:
    data = framed(b"x" * 8_000_000)
    stream = EventStream()
    began = time.process_time()
    frames = [frame for at in range(0, len(data), 1000) for frame in stream.feed(data[at : at + 1000])]
    assert [len(frame.payload) for frame in frames] == [8_000_000]
    assert time.process_time() - began < 2  # quadratic, it would be a minute


def test_a_hundred_thousand_mutated_streams_neither_crash_nor_pile_up() -> None:
    """What a mutation leaves whole is told; nothing is ever told that was not sent."""
    source = random.Random(20261122)
    delta = framed(b'{"contentBlockIndex":0}', header(b":event-type", b"contentBlockDelta"))
    original = INITIAL + delta + ERROR
    sent = set(EventStream().feed(original))
    for _ in range(MUTATIONS):
        data = bytearray(original)
        for _ in range(source.randrange(1, 4)):
            at = source.randrange(len(data))
            match source.randrange(4):
                case 0:
                    data[at] ^= 1 << source.randrange(8)
                case 1:
                    del data[at : at + source.randrange(1, 20)]
                case 2:
                    data[at:at] = source.randbytes(source.randrange(1, 20))
                case _:
                    data[at : at + 4] = source.randbytes(4)
        cut = source.randrange(len(data) + 1)
        stream = EventStream(max_frame_bytes=4096)
        frames = [*stream.feed(bytes(data[:cut])), *stream.feed(bytes(data[cut:]))]
        assert sent.issuperset(frames)
        assert len(stream._held) <= 4096
