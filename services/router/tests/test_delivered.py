"""What the caller has, put together from what was recorded."""

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from omnix.common.v1 import errors_pb2
from omnix.completion.v1 import completion_pb2 as pb
from omnix_kit.errors import Reason
from omnix_router.recovery.convert import published_from_bytes, succession_to_bytes
from omnix_router.recovery.delivered import Call, Delivered, Gathering, Link, Piece, Published

PIECES = st.builds(
    Piece,
    text=st.text(max_size=5),
    refusal=st.text(max_size=3),
    calls=st.lists(
        st.builds(
            Call,
            index=st.integers(0, 2),
            id=st.text(max_size=2),
            name=st.text(max_size=2),
            arguments=st.text(max_size=3),
            signature=st.binary(max_size=2),
        ),
        max_size=2,
    ).map(tuple),
)


@dataclass(frozen=True)
class Told:
    """An answer of several attempts, and one of the ways in which it may be found in the recording."""

    attempts: list[list[Piece]]
    messages: list[Published]


@st.composite
def recordings(draw: st.DrawFn) -> Told:
    attempts = draw(st.lists(st.lists(PIECES, max_size=8), min_size=1, max_size=3))
    messages = []
    for number, pieces in enumerate(attempts, 1):
        cuts = sorted({0, len(pieces), *draw(st.lists(st.integers(0, len(pieces)), max_size=4))})
        messages += [Published(number, first, tuple(pieces[first:last])) for first, last in pairwise(cuts)]
    twice = draw(st.lists(st.sampled_from(messages), max_size=4)) if messages else []
    # Attempts that are no part of the answer are recorded, too.
    stray = [Published(99, 0, (Piece("stray"),))]
    return Told(attempts, draw(st.permutations(messages + twice + stray)))


@given(recordings())
def test_any_split_order_and_repetition_give_the_same_answer(told: Told) -> None:
    *earlier, last = told.attempts
    gathering = Gathering([Link(number, len(pieces)) for number, pieces in enumerate(earlier, 1)], len(told.attempts))
    for message in told.messages:
        gathering.add(message)
    pieces = [piece for attempt in told.attempts for piece in attempt]
    found = gathering.delivered()
    assert (found.count, found.whole, found.end) == (len(last), True, None)
    assert found.text == "".join(piece.text for piece in pieces)
    assert found.refusal == "".join(piece.refusal for piece in pieces)
    calls = [call for piece in pieces for call in piece.calls]
    assert [call.index for call in found.calls] == sorted({call.index for call in calls})
    for call in found.calls:
        parts = [part for part in calls if part.index == call.index]
        assert (call.name, call.arguments) == ("".join(p.name for p in parts), "".join(p.arguments for p in parts))


def test_what_comes_after_a_gap_does_not_count() -> None:
    gathering = Gathering([], 1)
    gathering.add(Published(1, 2, (Piece("c"),)))
    gathering.add(Published(1, 0, (Piece("a"),)))
    assert gathering.delivered() == Delivered(1, whole=True, text="a")
    gathering.add(Published(1, 1, (Piece("b"),)))
    assert gathering.delivered() == Delivered(3, whole=True, text="abc")


def test_chunks_that_do_not_stand_are_left_out() -> None:
    gathering = Gathering([Link(1, 1)], 3)
    gathering.add(Published(1, 0, (Piece("a"), Piece("does not stand"))))
    gathering.add(Published(2, 0, (Piece("was never followed"),)))
    gathering.add(Published(3, 0, (Piece("b"),)))
    assert gathering.delivered() == Delivered(1, whole=True, text="ab")


def test_earlier_attempt_that_is_not_all_there_is_told() -> None:
    gathering = Gathering([Link(1, 2)], 2)
    gathering.add(Published(1, 0, (Piece("a"),)))
    assert not gathering.delivered().whole


def test_only_text_may_be_a_prefix() -> None:
    text = Delivered(1, whole=True, text="a")
    assert text.may_be_prefix
    assert not Delivered(1, whole=True, text=" \n").may_be_prefix
    assert not Delivered(1, whole=True, text="a", refusal="b").may_be_prefix
    assert not Delivered(1, whole=True, text="a", calls=(Call(0),)).may_be_prefix


def test_calls_are_told_only_when_their_places_are_their_indexes() -> None:
    assert Delivered(1, whole=True, calls=(Call(0), Call(1))).can_be_told
    assert not Delivered(1, whole=True, calls=(Call(1),)).can_be_told


def test_messages_are_read_and_words_of_routers_are_none() -> None:
    chunk = pb.Chunk(
        text="a",
        reasoning=pb.ReasoningPart(text="not told"),
        tool_calls=[pb.ToolCallDelta(index=1, id="i", name="n", arguments_json="{", signature=b"s")],
    )
    message = pb.CompletionChunks(attempt=2, first_seq=3, chunks=[chunk])
    found = published_from_bytes(message.SerializeToString())
    assert found == Published(2, 3, (Piece("a", calls=(Call(1, "i", "n", "{", b"s"),)),))
    assert published_from_bytes(succession_to_bytes("c", 1, 3, following=2)) is None
    assert published_from_bytes(b"\xff") is None


def test_end_is_read_with_its_error() -> None:
    message = pb.CompletionChunks(attempt=1, first_seq=1, end=pb.End(count=1, may_go_on=True))
    message.end.error.reason = errors_pb2.ERROR_REASON_PROVIDER_CUT
    found = published_from_bytes(message.SerializeToString())
    assert found is not None
    assert found.end is not None
    assert found.end.error is not None
    assert (found.end.count, found.end.may_go_on, found.end.error.reason) == (1, True, Reason.PROVIDER_CUT)
