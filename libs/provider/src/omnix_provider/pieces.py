"""Chunks of any size as groups that fit into messages."""

from collections.abc import Iterator, Sequence

from omnix_provider.types import Chunk, Reasoned, ToolCallDelta

LONGEST_DELTA = 12 * 1024
"""Characters. A delta that is longer is split: at four bytes a character it still fits into a message."""
_MESSAGE_BYTES = 64 * 1024


def grouped(chunks: Sequence[Chunk]) -> Iterator[list[Chunk]]:
    """Cut chunks into messages of bounded size."""
    group: list[Chunk] = []
    size = 0
    for chunk in chunks:
        for piece in _pieces(chunk):
            weight = 4 * _characters(piece) + 64
            if group and size + weight > _MESSAGE_BYTES:
                yield group
                group, size = [], 0
            group.append(piece)
            size += weight
    if group:
        yield group


def _characters(chunk: Chunk) -> int:
    count = len(chunk.text) + len(chunk.refusal)
    if chunk.reasoning is not None:
        count += len(chunk.reasoning.text) + len(chunk.reasoning.signature) + len(chunk.reasoning.redacted)
    for call in chunk.tool_calls:
        count += len(call.id) + len(call.name) + len(call.arguments_json) + len(call.signature)
    return count


def _pieces(chunk: Chunk) -> Iterator[Chunk]:
    """A chunk that is too large for one message as several that append to the same."""
    if _characters(chunk) <= LONGEST_DELTA:
        yield chunk
        return
    index = chunk.choice_index
    if chunk.reasoning is not None:
        for text in _cut(chunk.reasoning.text):
            yield Chunk(choice_index=index, reasoning=Reasoned(text, provider=chunk.reasoning.provider))
        if chunk.reasoning.signature or chunk.reasoning.redacted:
            reasoned = chunk.reasoning
            yield Chunk(
                choice_index=index,
                reasoning=Reasoned("", reasoned.signature, reasoned.redacted, reasoned.provider),
            )
    for text in _cut(chunk.text):
        yield Chunk(text, index)
    for text in _cut(chunk.refusal):
        yield Chunk(choice_index=index, refusal=text)
    for call in chunk.tool_calls:
        first, *more = list(_cut(call.arguments_json)) or [""]
        yield Chunk(
            choice_index=index,
            tool_calls=(ToolCallDelta(call.index, call.id, call.name, first, call.signature),),
        )
        for text in more:
            yield Chunk(choice_index=index, tool_calls=(ToolCallDelta(call.index, arguments_json=text),))
    if chunk.finish_reason is not None:
        yield Chunk(choice_index=index, finish_reason=chunk.finish_reason)


def _cut(text: str) -> Iterator[str]:
    for at in range(0, len(text), LONGEST_DELTA):
        yield text[at : at + LONGEST_DELTA]
