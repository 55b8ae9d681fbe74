"""Token estimates, for when the vendor's count does not come.

One rule: a token is four bytes of UTF-8. It is close for English prose and code, and errs upwards for other scripts.
For answers the number of content deltas counts where it is larger, because vendors send a token or a few in one.
Images, sounds and files are not estimated: their cost has no relation to their size.
"""

from omnix_provider.types import Chunk, CompletionRequest, EmbeddingRequest, Text

_BYTES_A_TOKEN = 4


def input_tokens(request: CompletionRequest) -> int:
    """What the prompt takes: texts, calls and tool definitions."""
    size = 0
    for message in request.messages:
        for part in message.parts:
            if isinstance(part, Text):
                size += _size(part.text)
        for call in message.tool_calls:
            size += _size(call.name) + _size(call.arguments_json)
        size += _size(message.refusal)
    for tool in request.tools:
        size += _size(tool.name) + _size(tool.description) + _size(tool.parameters_json)
    return _tokens(size)


def embedding_tokens(request: EmbeddingRequest) -> int:
    """What the inputs take."""
    return sum(tokens(each) if isinstance(each, str) else len(each) for each in request.inputs)


class OutputEstimate:
    """What the answer took so far."""

    __slots__ = ("_bytes", "_deltas")

    def __init__(self) -> None:
        self._bytes = 0
        self._deltas = 0

    def add(self, chunk: Chunk) -> bool:
        """Count a chunk; tells whether it carried content."""
        size = _size(chunk.text)
        if chunk.refusal:
            size += _size(chunk.refusal)
        if chunk.reasoning is not None:
            size += _size(chunk.reasoning.text) or 1
        for call in chunk.tool_calls:
            size += (_size(call.name) + _size(call.arguments_json)) or 1
        if size == 0:
            return False
        self._bytes += size
        self._deltas += 1
        return True

    @property
    def tokens(self) -> int:
        return max(self._deltas, _tokens(self._bytes))


def tokens(text: str) -> int:
    """What one text takes."""
    return _tokens(_size(text))


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _tokens(size: int) -> int:
    return -(-size // _BYTES_A_TOKEN)
