"""Events come out the same however their bytes were cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnix_provider.sse import EventStream, EventTooLarge


def read_with(stream: EventStream, text: bytes) -> None:
    for at in range(len(text)):
        stream.feed(text[at : at + 1])


def read(*received: bytes) -> list[bytes]:
    stream = EventStream()
    return [event for part in received for event in stream.feed(part)]


@pytest.mark.parametrize(
    ("text", "events"),
    [
        (b"data: one\n\ndata: two\n\n", [b"one", b"two"]),
        (b"data: one\r\n\r\ndata: two\r\n\r\n", [b"one", b"two"]),
        (b"data: one\r\rdata: two\r\r", [b"one", b"two"]),
        (b": keep-alive\n\ndata: one\n\n", [b"one"]),
        (b"event: delta\nid: 7\ndata: one\n\n", [b"one"]),
        (b"data: first\ndata: second\n\n", [b"first\nsecond"]),
        (b"data:one\n\ndata:  two\n\n", [b"one", b" two"]),
        (b"data\n\n", [b""]),
        (b"\xef\xbb\xbfdata: one\n\n", [b"one"]),
        (b"\n\n\ndata: one\n\n\n\n", [b"one"]),
        (b"data: cut off", []),
        ("data: grüße 日本語 😀\n\n".encode(), ["grüße 日本語 😀".encode()]),
    ],
)
def test_events_are_read_whole_and_byte_by_byte(text: bytes, events: list[bytes]) -> None:
    assert read(text) == events
    assert read(*(text[at : at + 1] for at in range(len(text)))) == events


_LINE = st.sampled_from(["data: x", "data: ü😀", "data:", ": c", "event: e", "data", "", "", "id: 1", 'data: {"a": 1}'])


@given(st.lists(st.tuples(_LINE, st.sampled_from(["\n", "\r\n", "\r"])), max_size=30), st.lists(st.integers(0, 300)))
def test_any_cuts_give_the_same_events(lines: list[tuple[str, str]], cuts: list[int]) -> None:
    text = "".join(line + end for line, end in lines).encode()
    bounds = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    parts = [text[begin:end] for begin, end in pairwise(bounds)]
    assert read(*parts) == read(text) == read(*(text[at : at + 1] for at in range(len(text))))


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_garbage_never_breaks_the_parser(parts: list[bytes]) -> None:
    assert read(*parts) == read(b"".join(parts))


@pytest.mark.parametrize("endless", [b"data: " + b"x" * 40, b"data: xxxxxxxxxx\n" * 4, b"data:\n" * 40, b"x" * 40])
def test_event_without_an_end_is_bounded(endless: bytes) -> None:
    stream = EventStream(max_event_bytes=32)
    with pytest.raises(EventTooLarge):
        read_with(stream, endless)
