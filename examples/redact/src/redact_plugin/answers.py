"""The texts of an answer: whole, or in chunks, each of its texts flowing by itself."""

from collections.abc import Callable, Iterable, Iterator

from omnix.completion.v1 import completion_pb2 as pb

from redact_plugin.flowing import Flow
from redact_plugin.requests import in_json

_Key = tuple[int, str, int]
"""Alternative, field, and which of them."""


def change(completion: pb.Completion, changed: Callable[[str], str], *, reasoning: bool) -> None:
    """Change every text of a whole answer.

    :param reasoning: the model's reasoning, too.
    """
    for choice in completion.choices:
        message = choice.message
        before = _written(message)
        for part in message.parts:
            part.text = changed(part.text)
        message.refusal = changed(message.refusal)
        for call in message.tool_calls:
            call.arguments_json = in_json(call.arguments_json, changed)
        if reasoning:
            for reasoned in message.reasoning:
                reasoned.text = changed(reasoned.text)
        if _written(message) != before:
            # They repeat the text.
            del choice.logprobs[:], choice.refusal_logprobs[:]


def _written(message: pb.Message) -> list[str]:
    return [message.refusal, *(part.text for part in message.parts)]


class Answer:
    """One streamed answer on its way."""

    def __init__(self, new_flow: Callable[[bool], Flow], *, reasoning: bool) -> None:
        """:param new_flow: makes one for a text; told whether that stands in JSON."""
        self._new_flow = new_flow
        self._reasoning = reasoning
        self._flows: dict[_Key, Flow] = {}

    def told(self, chunks: Iterable[pb.Chunk]) -> list[pb.Chunk]:
        """What can be told now that these came."""
        told: list[pb.Chunk] = []
        for chunk in chunks:
            if chunk.finish_reason:
                self._advance(chunk)
                told += self._rest(chunk.choice_index, chunk)
            else:
                self._advance(chunk)
                told.append(chunk)
        return told

    def rest(self) -> list[pb.Chunk]:
        """What was held back, now that nothing more comes."""
        return [chunk for index in sorted({key[0] for key in self._flows}) for chunk in self._rest(index)]

    def held(self) -> list[pb.Chunk]:
        """What came and was not told, as it came."""
        return [_chunk(key, flow.held) for key, flow in self._flows.items() if flow.held]

    def _advance(self, chunk: pb.Chunk) -> None:
        before = chunk.text, chunk.refusal
        index = chunk.choice_index
        if chunk.text:
            chunk.text = self._flow((index, "text", 0)).told(chunk.text)
        if chunk.refusal:
            chunk.refusal = self._flow((index, "refusal", 0)).told(chunk.refusal)
        for call in chunk.tool_calls:
            if call.arguments_json:
                call.arguments_json = self._flow((index, "call", call.index)).told(call.arguments_json)
        if self._reasoning and chunk.reasoning.text:
            chunk.reasoning.text = self._flow((index, "reasoning", 0)).told(chunk.reasoning.text)
        if (chunk.text, chunk.refusal) != before:
            # They repeat the text.
            del chunk.logprobs[:], chunk.refusal_logprobs[:]

    def _rest(self, index: int, finishing: pb.Chunk | None = None) -> Iterator[pb.Chunk]:
        """The rests of an alternative's texts; a finish reason comes after them."""
        reason = pb.FINISH_REASON_UNSPECIFIED
        if finishing is not None:
            reason, finishing.finish_reason = finishing.finish_reason, pb.FINISH_REASON_UNSPECIFIED
            yield finishing
        for key in [key for key in self._flows if key[0] == index]:
            if rest := self._flows.pop(key).rest():
                yield _chunk(key, rest)
        if finishing is not None:
            yield pb.Chunk(choice_index=index, finish_reason=reason)

    def _flow(self, key: _Key) -> Flow:
        flow = self._flows.get(key)
        if flow is None:
            flow = self._flows[key] = self._new_flow(key[1] == "call")
        return flow


def _chunk(key: _Key, text: str) -> pb.Chunk:
    index, field, which = key
    match field:
        case "text":
            return pb.Chunk(choice_index=index, text=text)
        case "refusal":
            return pb.Chunk(choice_index=index, refusal=text)
        case "reasoning":
            return pb.Chunk(choice_index=index, reasoning=pb.ReasoningPart(text=text))
        case _:
            return pb.Chunk(choice_index=index, tool_calls=[pb.ToolCallDelta(index=which, arguments_json=text)])
