"""Answers that several attempts give, as hypothesis draws them: the messages, and what is right to make of them."""

from dataclasses import dataclass, field
from string import ascii_letters

from hypothesis import strategies as st
from omnix.completion.v1 import completion_pb2 as pb
from omnix_kit.convert import error_to_proto
from omnix_kit.digest import digest
from omnix_kit.errors import Reason, error_for

Message = pb.CompletionChunks


@dataclass
class Chain:
    """The messages of a completion in the order in which they were published, and its answer."""

    root: int = 1
    recorded: list[bytes] = field(default_factory=list)
    right: str = ""
    """What stands of all attempts."""
    wrong: list[str] = field(default_factory=list)
    """What a reader may have given before it is told that this is not the answer."""
    is_whole: bool = True
    tokens: int = 0
    """Of all attempts that told."""


def texts_of(attempt: int, count: int) -> list[str]:
    """No two attempts have a letter in common, so that a mixture shows."""
    return [f"{ascii_letters[attempt]}{number} " for number in range(count)]


def attempt_messages(
    attempt: int, texts: list[str], continues: int = 0, *, at_once: int = 1, whole: bool = False
) -> tuple[list[Message], pb.End]:
    """The messages of an attempt without its end, and the end."""
    chunks = [pb.Chunk(text=text) for text in texts]
    if whole:
        chunks.append(pb.Chunk(finish_reason=pb.FINISH_REASON_STOP))
    messages = [
        Message(attempt=attempt, first_seq=seq, chunks=chunks[seq : seq + at_once])
        for seq in range(0, len(chunks), at_once)
    ]
    messages[0].start.CopyFrom(
        pb.Start(model=f"x/{attempt}", sender_id=f"s{attempt}", router_id="r", continued_attempt=continues)
    )
    running = 0
    for chunk in chunks:
        running = digest(running, chunk)
    end = pb.End(count=len(chunks), digest=running, cost_micros=10)
    end.usage.output_tokens = len(chunks)
    return messages, end


def ended(attempt: int, end: pb.End, *, cut: bool = False, may_go_on: bool = False) -> Message:
    if cut:
        end.error.CopyFrom(error_to_proto(error_for(Reason.PROVIDER_CUT, f"{attempt} broke off.")))
        end.may_go_on = may_go_on
    return Message(attempt=attempt, first_seq=end.count, end=end)


def word(attempt: int, next_attempt: int, count: int) -> Message:
    """The router's, of what follows an attempt."""
    succession = pb.Succession(next_attempt=next_attempt, count=count)
    if not next_attempt:
        succession.error.CopyFrom(error_to_proto(error_for(Reason.PROVIDER_CUT, "No other attempt could go on.")))
    return Message(attempt=attempt, first_seq=count, succession=succession)


@st.composite
def chains(draw: st.DrawFn) -> Chain:
    """Attempts given up before the root, those that follow each other, and some that nobody named."""
    chain = Chain()
    at_once = draw(st.integers(1, 3))
    published: list[Message] = []
    if draw(st.booleans()):
        dead, _ = attempt_messages(1, texts_of(1, 3), at_once=at_once)
        published += dead
        chain.wrong.append("".join(texts_of(1, 3)))
        chain.root = 2
    before = 0
    owed: list[Message] = []  # what is published while the next attempt is under way already
    if draw(st.booleans()):  # the root runs beside a slow attempt, which is late
        before, chain.root = chain.root, chain.root + 1
        slow, end = attempt_messages(before, texts_of(before, 3), at_once=at_once)
        late = slow[: draw(st.integers(0, len(slow)))]
        owed = draw(_merged([word(before, chain.root, 0)], late))
        if len(late) == len(slow):
            owed.append(ended(before, end, cut=True))
        chain.wrong.append("".join(texts_of(before, 3)))
    attempt = chain.root
    for _ in range(draw(st.integers(0, 3))):
        texts = texts_of(attempt, draw(st.integers(1, 6)))
        messages, end = attempt_messages(attempt, texts, before, at_once=at_once)
        told = draw(st.booleans())  # or the sender fell silent, and what it sends later counts no more
        kept = len(messages) if told else draw(st.integers(1, len(messages)))
        stands = end.count if kept == len(messages) else messages[kept].first_seq
        published += draw(_merged(owed, messages[:kept]))
        if told:
            published.append(ended(attempt, end, cut=True, may_go_on=True))
            chain.tokens += end.count
        if kept < len(messages):
            chain.wrong.append(chain.right + "".join(texts))
        chain.right += "".join(texts[:stands])
        following = attempt + 1
        if draw(st.booleans()):
            unnamed, _ = attempt_messages(following, texts_of(following, 2), attempt, at_once=at_once)
            published += unnamed
            following += 1
        owed = draw(_merged([word(attempt, following, stands)], messages[kept:]))
        attempt, before = following, attempt
    texts = texts_of(attempt, draw(st.integers(1, 6)))
    how = draw(st.sampled_from(["whole", "whole", "cut", "given up"]))
    chain.is_whole = how == "whole"
    messages, end = attempt_messages(attempt, texts, before, at_once=at_once, whole=chain.is_whole)
    published += draw(_merged(owed, messages))
    chain.right += "".join(texts)
    chain.tokens += end.count
    published.append(ended(attempt, end, cut=not chain.is_whole, may_go_on=how == "given up"))
    if how == "given up":
        published.append(word(attempt, 0, len(texts)))
    chain.recorded = [message.SerializeToString() for message in published]
    return chain


@st.composite
def _merged(draw: st.DrawFn, some: list[Message], others: list[Message]) -> list[Message]:
    """Both, each in its order."""
    merged: list[Message] = []
    left, right = list(some), list(others)
    while left or right:
        merged.append((left if left and (not right or draw(st.booleans())) else right).pop(0))
    return merged
