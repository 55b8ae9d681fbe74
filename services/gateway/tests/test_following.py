"""Whatever the order of the messages: the one right answer, or an error, and never texts of two."""

from hypothesis import given, settings
from hypothesis import strategies as st
from omnix.completion.v1 import completion_pb2 as pb
from omnix_gateway.streaming.assembly import Bounds, Pieces
from omnix_gateway.streaming.following import Following, Seen
from omnix_kit.errors import OmnixError, Reason

from .chains import Chain, Message, attempt_messages, chains, ended, texts_of, word

ROOMY = Bounds(messages=1000, bytes=1_000_000)
NARROW = Bounds(messages=2, bytes=100)


class Reading:
    """A following with its recording, and what it gave."""

    def __init__(self, *, late: bool = False, bounds: Bounds = ROOMY) -> None:
        self.errors: list[OmnixError] = []
        self.pieces: Pieces = []
        self.wants_recording = False
        self.following = Following(bounds, late=late, fail=self.errors.append, wants_recording=self._wanted)

    def _wanted(self) -> None:
        self.wants_recording = True

    @property
    def text(self) -> str:
        return "".join(chunk.text for _, _, chunks in self.pieces for chunk in chunks)

    def waits_because(self) -> OmnixError | None:
        return self.following.cut

    @property
    def is_over(self) -> bool:
        return bool(self.errors) or self.following.end is not None

    def hear(self, *messages: bytes | Message) -> None:
        for message in messages:
            if not self.is_over:
                data = message if isinstance(message, bytes) else message.SerializeToString()
                self.following.accept(data, self.pieces)

    def read(self, recorded: list[bytes]) -> None:
        """Once, and then as often as there is a reason to."""
        for _ in range(20):
            self.wants_recording = False
            self.hear(*recorded)
            if self.is_over or not (self.wants_recording or self.following.gap_since):
                return

    def survey(self, recorded: list[bytes]) -> None:
        for data in recorded:
            self.following.survey(data)
        self.following.surveyed()


def assert_right(reading: Reading, chain: Chain) -> None:
    """The right answer to its end, or an error that says why not."""
    following = reading.following
    assert reading.is_over
    assert following.end is None or not reading.errors
    if following.end is not None:
        assert chain.is_whole
        assert reading.text == chain.right
        assert following.end.usage.estimated or following.end.usage.output_tokens == chain.tokens
        assert [chunk.finish_reason for _, _, chunks in reading.pieces for chunk in chunks][-1]
        return
    [error] = reading.errors
    if error.reason is Reason.STREAM_LOST:
        assert any(wrong.startswith(reading.text) for wrong in chain.wrong)
    else:
        assert error.reason is Reason.PROVIDER_CUT
        assert not chain.is_whole
        assert reading.text == chain.right


def assert_nothing_wrong(reading: Reading, chain: Chain) -> None:
    texts = [chain.right, *chain.wrong]
    assert any(text.startswith(reading.text) for text in texts), (reading.text, texts)
    finishing = [chunk for _, _, chunks in reading.pieces for chunk in chunks if chunk.finish_reason]
    assert not finishing or reading.following.end is not None


@settings(max_examples=300)
@given(st.data(), chains(), st.sampled_from([ROOMY, NARROW]))
def test_whoever_reads_from_the_beginning_gets_the_right_answer_in_whatever_order(
    data: st.DataObject, chain: Chain, bounds: Bounds
) -> None:
    reading = Reading(bounds=bounds)
    reading.following.begin(chain.root)
    for message in data.draw(st.lists(st.sampled_from(chain.recorded), max_size=40)):
        reading.hear(message)
        assert_nothing_wrong(reading, chain)
    reading.read(chain.recorded)
    assert_right(reading, chain)


@settings(max_examples=300)
@given(st.data(), chains())
def test_whoever_joins_late_gets_the_right_answer_in_whatever_order(data: st.DataObject, chain: Chain) -> None:
    reading = Reading(late=True)
    reading.survey(chain.recorded)
    for message in data.draw(st.lists(st.sampled_from(chain.recorded), max_size=40)):
        reading.hear(message)
        assert_nothing_wrong(reading, chain)
    reading.read(chain.recorded)
    assert_right(reading, chain)


@settings(max_examples=300)
@given(st.data(), chains())
def test_whoever_joins_at_any_moment_gets_the_right_answer_or_an_error(data: st.DataObject, chain: Chain) -> None:
    reading = Reading(late=True)
    moment = data.draw(st.integers(0, len(chain.recorded)))
    reading.survey(chain.recorded[:moment])
    reading.read(chain.recorded[:moment])
    reading.hear(*chain.recorded[moment:])
    assert_nothing_wrong(reading, chain)
    if not reading.is_over:
        reading.read(chain.recorded)
    assert_right(reading, chain)


@settings(max_examples=300)
@given(st.data(), chains())
def test_whoever_was_given_what_does_not_stand_is_told(data: st.DataObject, chain: Chain) -> None:
    reading = Reading(late=True)
    seen = Seen(data.draw(st.integers(1, 8)), data.draw(st.integers(0, 8)))
    reading.following.seen = seen
    reading.survey(chain.recorded)
    reading.read(chain.recorded)
    counts = {opening.attempt: first + len(chunks) for opening, first, chunks in reading.pieces}
    if reading.following.end is not None:
        last = max(counts)
        assert seen.attempt is not None
        assert seen.attempt == last or counts.get(seen.attempt, 0) > seen.seq


def test_what_comes_late_of_a_broken_attempt_is_dropped() -> None:
    first, broken = attempt_messages(1, texts_of(1, 6), at_once=2)
    rest, whole = attempt_messages(2, texts_of(2, 2), continues=1, whole=True)
    late_end = ended(1, broken, cut=True, may_go_on=True)
    across, _ = attempt_messages(1, texts_of(1, 6), at_once=6)
    for heard in (
        [first[0], word(1, 2, 3), *across, *rest],
        [first[0], word(1, 2, 2), first[1], late_end, *rest, first[2]],
        [first[0], first[2], word(1, 2, 3), late_end, first[1], *rest],
        [word(1, 2, 3), late_end, *across, *rest],
    ):
        reading = Reading()
        reading.following.begin(1)
        reading.hear(*heard, ended(2, whole))
        count = next(message.succession.count for message in heard if message.HasField("succession"))
        assert reading.text == "".join([*texts_of(1, count), *texts_of(2, 2)])
        assert reading.following.end is not None


def test_the_word_about_an_attempt_may_come_before_the_attempt() -> None:
    first, broken = attempt_messages(1, texts_of(1, 2))
    middle, _ = attempt_messages(2, texts_of(2, 4), continues=1, at_once=4)
    rest, whole = attempt_messages(3, texts_of(3, 2), continues=2, whole=True)
    reading = Reading()
    reading.following.begin(1)
    reading.hear(word(2, 3, 2), *first, ended(1, broken, cut=True, may_go_on=True), word(1, 2, 2))
    reading.hear(*middle, *rest, ended(3, whole))
    assert reading.text == "".join([*texts_of(1, 2), *texts_of(2, 2), *texts_of(3, 2)])
    assert reading.following.end is not None


def test_whoever_joins_looks_up_how_an_attempt_began_once() -> None:
    messages, _ = attempt_messages(1, texts_of(1, 3))
    reading = Reading(late=True)
    reading.survey([])
    reading.hear(messages[1])
    assert reading.wants_recording
    reading.wants_recording = False
    reading.hear(messages[2])
    assert not reading.wants_recording
    assert reading.text == ""


def test_an_attempt_that_nobody_named_is_no_part_of_the_answer() -> None:
    first, end = attempt_messages(1, texts_of(1, 2))
    unnamed, _ = attempt_messages(2, texts_of(2, 2), continues=1)
    named, whole = attempt_messages(3, texts_of(3, 2), continues=1, whole=True)
    reading = Reading()
    reading.following.begin(1)
    reading.hear(*first, ended(1, end, cut=True, may_go_on=True), *unnamed)
    assert reading.following.cut is not None
    reading.hear(*named, ended(3, whole), word(1, 3, 2))
    assert reading.wants_recording
    reading.hear(*named, ended(3, whole))
    assert reading.text == "".join([*texts_of(1, 2), *texts_of(3, 2)])
    assert reading.following.end is not None


def test_a_successor_that_begins_the_answer_anew_is_not_put_behind_it() -> None:
    first, end = attempt_messages(1, texts_of(1, 2))
    anew, whole = attempt_messages(2, texts_of(2, 2), continues=0, whole=True)
    reading = Reading()
    reading.following.begin(1)
    reading.hear(*first, ended(1, end, cut=True, may_go_on=True), word(1, 2, 2), *anew, ended(2, whole))
    assert reading.text == "".join(texts_of(1, 2))
    assert [error.reason for error in reading.errors] == [Reason.STREAM_LOST]


def test_a_successor_that_is_none_ends_the_stream() -> None:
    for successor in (1, 2):
        first, end = attempt_messages(2, texts_of(2, 2))
        reading = Reading()
        reading.following.begin(2)
        reading.hear(*first, ended(2, end, cut=True, may_go_on=True), word(2, successor, 2))
        assert [error.reason for error in reading.errors] == [Reason.STREAM_LOST]


def test_a_broken_attempt_that_does_not_add_up_is_not_continued() -> None:
    first, end = attempt_messages(1, texts_of(1, 2))
    end.digest ^= 1
    reading = Reading()
    reading.following.begin(1)
    reading.hear(*first, ended(1, end, cut=True, may_go_on=True))
    assert [error.reason for error in reading.errors] == [Reason.STREAM_LOST]


def test_a_finish_reason_before_the_seam_is_never_told() -> None:
    first, _ = attempt_messages(1, texts_of(1, 2), whole=True)
    rest, whole = attempt_messages(2, [], continues=1, whole=True)
    reading = Reading()
    reading.following.begin(1)
    reading.hear(*first, word(1, 2, 3), *rest, ended(2, whole))
    finishes = [chunk.finish_reason for _, _, chunks in reading.pieces for chunk in chunks]
    assert finishes == [0, 0, 0, pb.FINISH_REASON_STOP]
    assert reading.following.end is not None


def test_a_sender_that_comes_back_is_waited_for_no_more() -> None:
    first, _ = attempt_messages(1, texts_of(1, 3))
    reading = Reading()
    reading.following.begin(1)
    reading.hear(*first[:2])
    error = OmnixError("Silent.", reason=Reason.PROVIDER_CUT)
    reading.following.break_off(error)
    assert reading.waits_because() == error
    reading.hear(first[2])
    assert reading.waits_because() is None
    assert reading.following.is_smooth


def test_usage_and_cost_are_those_of_all_attempts() -> None:
    first, end = attempt_messages(1, texts_of(1, 2))
    rest, whole = attempt_messages(2, texts_of(2, 3), continues=1, whole=True)
    broken, last = ended(1, end, cut=True, may_go_on=True), ended(2, whole)

    def told(*messages: Message) -> tuple[int, int | None, bool]:
        reading = Reading()
        reading.following.begin(1)
        reading.hear(*messages)
        found = reading.following.end
        assert found is not None
        cost = found.cost_micros if found.HasField("cost_micros") else None
        return found.usage.output_tokens, cost, found.usage.estimated

    assert told(*first, broken, word(1, 2, 2), *rest, last) == (6, 20, False)
    assert told(*first, word(1, 2, 2), *rest, last) == (4, 10, True)
    assert told(*first, word(1, 2, 2), *rest, broken, last) == (6, 20, False)
    broken.end.usage.estimated = True
    broken.end.ClearField("cost_micros")
    assert told(*first, broken, word(1, 2, 2), *rest, last) == (6, None, True)
