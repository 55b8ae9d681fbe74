"""Content that is too large for one message."""

from functools import reduce

import pytest
from omnix_kit.digest import digest
from omnix_provider.convert.answered import chunk_to_proto
from omnix_provider.kept import Kept
from omnix_provider.pieces import grouped
from omnix_provider.types import Chunk, FinishReason, Reasoned, ToolCallDelta

LONG = "日本語😀x" * 10_000


@pytest.mark.parametrize(
    "chunk",
    [
        Chunk(LONG, 1, finish_reason=FinishReason.STOP),
        Chunk(refusal=LONG),
        Chunk(reasoning=Reasoned(LONG, b"signature", provider="p")),
        Chunk(tool_calls=(ToolCallDelta(2, "call-1", "f", LONG),)),
    ],
    ids=["text", "refusal", "reasoning", "arguments"],
)
def test_large_chunk_is_cut_without_losing_anything(chunk: Chunk) -> None:
    groups = list(grouped([Chunk("before"), chunk, Chunk("after")]))
    messages = [[chunk_to_proto(piece) for piece in group] for group in groups]
    assert max(sum(piece.ByteSize() for piece in group) for group in messages) < 64 * 1024 + 1024
    pieces = [piece for group in groups for piece in group][1:-1]
    assert "".join(piece.text for piece in pieces) == chunk.text
    assert "".join(piece.refusal for piece in pieces) == chunk.refusal
    assert "".join(piece.reasoning.text for piece in pieces if piece.reasoning) == (
        chunk.reasoning.text if chunk.reasoning else ""
    )
    arguments = "".join(call.arguments_json for piece in pieces for call in piece.tool_calls)
    assert arguments == "".join(call.arguments_json for call in chunk.tool_calls)
    assert [piece.finish_reason for piece in pieces][-1] == chunk.finish_reason
    assert {piece.choice_index for piece in pieces} == {chunk.choice_index}
    assert reduce(digest, (piece for group in messages for piece in group), 0) > 0


def test_kept_messages_are_bounded_and_the_last_is_never_dropped() -> None:
    kept = Kept("a.subject")
    messages = [bytes([number % 256]) * 1000 for number in range(600)]
    for message in messages:
        kept.append(message)
        kept.sent = len(kept)
    assert kept.size <= 256 * 1024
    assert [kept[index][1] for index in range(len(kept))] == messages[-len(kept) :]
    kept.append(b"x" * 1_000_000)
    assert kept[len(kept) - 1] == ("a.subject", b"x" * 1_000_000)
