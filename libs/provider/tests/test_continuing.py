"""What is new of an answer that goes on: whatever is said and however it is cut, readers get one whole answer."""

from collections.abc import Iterable, Iterator, Sequence

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import Struct
from omnix_provider.continuing import Continuation, Way, continuing
from omnix_provider.errors import Departed
from omnix_provider.types import Chunk, FinishReason, Reasoned, TokenLogprob, ToolCall, ToolCallDelta

STOP = Chunk(finish_reason=FinishReason.STOP)
TEXT = st.text("ab \n😀é", max_size=12)
NAMES = st.sampled_from(["get", "get_weather", "set"])
ARGUMENTS = st.text('{"a":1} ', max_size=8)


class Answer(Struct, frozen=True):
    """As a reader puts it together."""

    text: str = ""
    refusal: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    """Name and arguments."""

    def begins_with(self, other: "Answer") -> bool:
        if len(other.calls) > len(self.calls):
            return False
        return (
            self.text.startswith(other.text)
            and self.refusal.startswith(other.refusal)
            and all(
                name == other_name and arguments.startswith(other_arguments)
                for (name, arguments), (other_name, other_arguments) in zip(self.calls, other.calls, strict=False)
            )
        )


ANSWERS = st.builds(Answer, TEXT, st.just("") | TEXT, st.lists(st.tuples(NAMES, ARGUMENTS), max_size=3).map(tuple))


def had(answer: Answer, way: Way = Way.RESTART) -> Continuation:
    calls = tuple(ToolCall(f"first-{index}", *call) for index, call in enumerate(answer.calls))
    return Continuation(1, way, answer.text, answer.refusal, calls)


def put_together(chunks: Iterable[Chunk]) -> Answer:
    text = refusal = ""
    calls: dict[int, tuple[str, str]] = {}
    for chunk in chunks:
        text += chunk.text
        refusal += chunk.refusal
        for delta in chunk.tool_calls:
            name, arguments = calls.get(delta.index, ("", ""))
            calls[delta.index] = (name + delta.name, arguments + delta.arguments_json)
    return Answer(text, refusal, tuple(calls[index] for index in sorted(calls)))


@st.composite
def pieces(draw: st.DrawFn, text: str) -> list[str]:
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=4)))
    return [text[one:other] for one, other in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@st.composite
def chunks(draw: st.DrawFn, answer: Answer) -> list[Chunk]:
    """The answer in any pieces, its kinds interleaved, several in one chunk, with reasoning between."""
    lines: list[list[Chunk]] = [
        [Chunk(piece) for piece in draw(pieces(answer.text))],
        [Chunk(refusal=piece) for piece in draw(pieces(answer.refusal))],
    ]
    for index, (name, arguments) in enumerate(answer.calls):
        first, *more = draw(pieces(arguments))
        lines.append(
            [
                Chunk(tool_calls=(ToolCallDelta(index, f"id-{index}", name, first, b"proof"),)),
                *(Chunk(tool_calls=(ToolCallDelta(index, arguments_json=piece),)) for piece in more),
            ]
        )
    said: list[Chunk] = []
    while any(lines):
        line = draw(st.sampled_from([line for line in lines if line]))
        said.append(line.pop(0))
    merged: list[Chunk] = []
    for chunk in said:
        if draw(st.booleans()):
            merged.append(Chunk(reasoning=Reasoned("hm")))
        if draw(st.booleans()) and merged:
            merged[-1] = both(merged[-1], chunk)
        else:
            merged.append(chunk)
    if draw(st.booleans()) and merged:
        return [*merged[:-1], both(merged[-1], STOP)]
    return [*merged, STOP]


def both(one: Chunk, other: Chunk) -> Chunk:
    return Chunk(
        one.text + other.text,
        0,
        one.tool_calls + other.tool_calls,
        one.reasoning or other.reasoning,
        one.refusal + other.refusal,
        one.finish_reason or other.finish_reason,
    )


@st.composite
def cut(draw: st.DrawFn, answer: Answer) -> Answer:
    calls = answer.calls[: draw(st.integers(0, len(answer.calls)))]
    return Answer(
        answer.text[: draw(st.integers(0, len(answer.text)))],
        answer.refusal[: draw(st.integers(0, len(answer.refusal)))],
        tuple((name, arguments[: draw(st.integers(0, len(arguments)))]) for name, arguments in calls),
    )


def told(continuation: Continuation, said: Sequence[Chunk]) -> list[Chunk]:
    leaves_out = continuing(continuation, "openai")
    return [new for chunk in said for new in leaves_out.new(chunk)]


def first(answer: Answer) -> Iterator[Chunk]:
    yield Chunk(answer.text, refusal=answer.refusal)
    for index, call in enumerate(answer.calls):
        yield Chunk(tool_calls=(ToolCallDelta(index, f"first-{index}", *call),))


@given(st.data())
def test_what_the_caller_has_and_what_is_new_is_the_answer(data: st.DataObject) -> None:
    answer = data.draw(ANSWERS)
    delivered = data.draw(cut(answer))
    new = told(had(delivered), data.draw(chunks(answer)))
    assert put_together([*first(delivered), *new]) == answer
    assert [chunk.finish_reason for chunk in new if chunk.finish_reason] == [FinishReason.STOP]
    assert new[-1].finish_reason is FinishReason.STOP
    assert all(chunk.text or chunk.refusal or chunk.tool_calls or chunk.finish_reason for chunk in new)
    assert not any(chunk.reasoning for chunk in new)
    begun = {delta.index: delta.id for chunk in new for delta in chunk.tool_calls if delta.id}
    assert begun == {index: f"id-{index}" for index in range(len(delivered.calls), len(answer.calls))}


@given(st.data())
def test_another_answer_departs_before_anything_is_given(data: st.DataObject) -> None:
    delivered, answer = data.draw(ANSWERS), data.draw(ANSWERS)
    assume(not answer.begins_with(delivered))
    given_before: list[Chunk] = []

    def tell() -> None:
        leaves_out = continuing(had(delivered), "openai")
        for chunk in data.draw(chunks(answer)):
            given_before.extend(leaves_out.new(chunk))

    with pytest.raises(Departed):
        tell()
    assert given_before == []


@given(st.data())
def test_a_prefix_is_continued_without_doubling_the_white_space_at_its_end(data: st.DataObject) -> None:
    answer = data.draw(TEXT)
    delivered = answer[: data.draw(st.integers(0, len(answer)))]
    continuation = Continuation(1, Way.PREFIX, delivered)
    rest = answer.removeprefix(continuation.prefix)
    assume(not continuation.prefix or not rest.startswith(continuation.prefix))
    said = data.draw(chunks(Answer(rest)))
    new = told(continuation, said)
    assert delivered + put_together(new).text == answer
    assert new[-1].finish_reason is FinishReason.STOP
    assert not any(chunk.reasoning for chunk in new)


@pytest.mark.parametrize(
    ("delivered", "said", "whole"),
    [
        ("One \n", ["\n\nTwo"], "One \n\nTwo"),
        ("One\n\n", ["\n", "Two"], "One\n\nTwo"),
        ("One ", [", two"], "One , two"),
        ("One ", [" ", " ", "two"], "One  two"),
        ("One ", [" "], "One "),
        ("One", [" ", "two"], "One two"),
    ],
)
def test_white_space_that_the_caller_has_is_not_told_twice(delivered: str, said: list[str], whole: str) -> None:
    new = told(Continuation(1, Way.PREFIX, delivered), [*map(Chunk, said), STOP])
    assert delivered + put_together(new).text == whole


@given(st.data())
def test_echo_of_the_prefix_departs_before_anything_is_given(data: st.DataObject) -> None:
    prefix = data.draw(TEXT.map(str.strip).filter(bool))
    leaves_out = continuing(Continuation(1, Way.PREFIX, f"{prefix} "), "openai")
    *before, last = [Chunk(piece) for piece in data.draw(pieces(prefix)) if piece]
    assert [new for chunk in before for new in leaves_out.new(chunk)] == []
    with pytest.raises(Departed):
        leaves_out.new(
            Chunk(f"{last.text} and more", finish_reason=data.draw(st.sampled_from([None, FinishReason.STOP])))
        )


def test_answer_that_ends_where_it_broke_off_has_only_its_finish_reason_left() -> None:
    assert told(had(Answer("Hello")), [Chunk("Hel"), Chunk("lo"), STOP]) == [STOP]


def test_departure_is_told_at_the_first_piece_that_differs() -> None:
    leaves_out = continuing(had(Answer("Hello world")), "openai")
    assert leaves_out.new(Chunk("Hello")) == ()
    with pytest.raises(Departed):
        leaves_out.new(Chunk(" there"))


def test_tool_whose_name_only_begins_alike_is_another() -> None:
    with pytest.raises(Departed):
        told(had(Answer(calls=(("get", ""),))), [Chunk(tool_calls=(ToolCallDelta(0, "x", "get_weather"),))])


def test_what_is_new_is_held_until_the_rest_was_said_again() -> None:
    leaves_out = continuing(had(Answer("Let me see.", calls=(("get", '{"a"'),))), "openai")
    assert leaves_out.new(Chunk("Let me see. Well.")) == ()
    assert leaves_out.new(Chunk(tool_calls=(ToolCallDelta(0, "other", "get", '{"a":1}'),))) == [
        Chunk(" Well."),
        Chunk(tool_calls=(ToolCallDelta(0, arguments_json=":1}"),)),
    ]


def test_what_is_held_is_bounded() -> None:
    with pytest.raises(Departed):
        told(had(Answer("Hello", calls=(("get", ""),))), [Chunk("Hello"), *[Chunk("more " * 1000)] * 100])


def test_a_second_alternative_departs() -> None:
    with pytest.raises(Departed):
        told(had(Answer("Hello")), [Chunk("Hello", choice_index=1)])


def test_call_keeps_the_proof_that_the_caller_has() -> None:
    said = [Chunk(tool_calls=(ToolCallDelta(0, "other", "get", '{"a":1}', b"second"),))]
    signed = Continuation(1, Way.RESTART, tool_calls=(ToolCall("first", "get", '{"a"', b"first"),))
    unsigned = Continuation(1, Way.RESTART, tool_calls=(ToolCall("first", "get", '{"a"'),))
    assert told(signed, said) == [Chunk(tool_calls=(ToolCallDelta(0, arguments_json=":1}"),))]
    assert told(unsigned, said) == [
        Chunk(tool_calls=(ToolCallDelta(0, arguments_json=":1}", signature=b"second"),)),
    ]


def test_probabilities_are_those_of_the_tokens_that_are_new() -> None:
    tokens = tuple(TokenLogprob(token, -0.5) for token in ("Hel", "lo", " wor", "ld"))
    [whole] = told(had(Answer("Hello")), [Chunk("Hello world", logprobs=tokens)])
    assert (whole.text, whole.logprobs) == (" world", tokens[2:])
    [cut_in_a_token] = told(had(Answer("Hello w")), [Chunk("Hello world", logprobs=tokens)])
    assert (cut_in_a_token.text, cut_in_a_token.logprobs) == ("orld", tokens[3:])
    bytewise = (TokenLogprob("\\xf0", -0.5), TokenLogprob("\\x9f", -0.5))
    [unknown] = told(had(Answer("a")), [Chunk("a😀", logprobs=bytewise)])
    assert (unknown.text, unknown.logprobs) == ("😀", ())
