import pytest
from omnix.completion.v1 import completion_pb2 as pb
from omnix_kit.digest import digest, digest_of_text
from omnix_provider.lone_text import head, is_lone_text, lone_text
from omnix_provider.types import Chunk, FinishReason, Reasoned, ToolCallDelta


@pytest.mark.parametrize("attempt", [1, 3, 200])
@pytest.mark.parametrize("seq", [0, 1, 127, 128, 16_383, 16_384, 3_000_000])
@pytest.mark.parametrize("text", ["a", "żółw 🐢", "x" * 120, "y" * 127, "z" * 128, "w" * 40_000])
def test_message_reads_back_as_what_protobuf_would_have_sent(attempt: int, seq: int, text: str) -> None:
    expected = pb.CompletionChunks(attempt=attempt, first_seq=seq, chunks=[pb.Chunk(text=text)])
    message = lone_text(head(attempt), seq, text.encode())
    assert pb.CompletionChunks.FromString(message) == expected
    assert message == expected.SerializeToString(deterministic=True)


def test_digest_of_text_is_that_of_its_chunk() -> None:
    assert digest_of_text(7, "żółw".encode()) == digest(7, pb.Chunk(text="żółw"))


@pytest.mark.parametrize(
    "chunk",
    [
        Chunk(),
        Chunk("a", 1),
        Chunk("a", tool_calls=(ToolCallDelta(0),)),
        Chunk("a", reasoning=Reasoned("b")),
        Chunk("a", refusal="no"),
        Chunk("a", finish_reason=FinishReason.STOP),
    ],
)
def test_chunk_that_says_more_is_no_lone_text(chunk: Chunk) -> None:
    assert is_lone_text(Chunk("a"))
    assert not is_lone_text(chunk)
