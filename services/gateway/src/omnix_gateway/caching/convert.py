"""Requests to what the cache knows them by, and answers to bytes, to chunks, and back from them."""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

from google.protobuf.message import DecodeError
from omnix.completion.v1 import completion_pb2 as pb
from omnix.embedding.v1 import embedding_pb2
from omnix.router.v1 import router_service_pb2

from omnix_gateway.streaming.convert import Chunk, End, Start

CompleteResponse = router_service_pb2.CompleteResponse
EmbedResponse = router_service_pb2.EmbedResponse
StartCompletionResponse = router_service_pb2.StartCompletionResponse
Request = pb.CompletionRequest | embedding_pb2.EmbeddingRequest

_FORM: Final = b"1"
"""Written anew when the same request shall have another key."""
_NOT_FOR_THE_MODEL: Final = ("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "user")
"""Vendors' parameters that change what an answer costs or whom the vendor blames, and not the answer."""
_WHOLE: Final = (pb.FINISH_REASON_STOP, pb.FINISH_REASON_LENGTH, pb.FINISH_REASON_TOOL_CALLS)


def key_of(owner: Iterable[str], request: Request) -> bytes:
    """What the cache knows a request by: SHA-256 over whose it is and all that can change the answer.

    Metadata can: routes have rules by it.
    """
    digest = sha256(_FORM)
    for text in (*owner, request.DESCRIPTOR.full_name):
        part = text.encode()
        digest.update(len(part).to_bytes(4))
        digest.update(part)
    digest.update(_canonical(request))
    return digest.digest()


def _canonical(request: Request) -> bytes:
    plain: Request
    if isinstance(request, pb.CompletionRequest):
        plain = pb.CompletionRequest()
        plain.CopyFrom(request)
        for name in _NOT_FOR_THE_MODEL:
            plain.vendor_parameters.pop(name, None)
        if plain.candidate_count == 1:
            plain.ClearField("candidate_count")
    else:
        plain = embedding_pb2.EmbeddingRequest()
        plain.CopyFrom(request)
    plain.ClearField("end_user")
    return plain.SerializeToString(deterministic=True)


def is_whole(response: CompleteResponse) -> bool:
    """Whether every alternative ended as it should: neither cut, nor withheld, nor for a reason that nobody knows."""
    choices = response.completion.choices
    return bool(choices) and all(choice.finish_reason in _WHOLE for choice in choices)


def completion_to_bytes(response: CompleteResponse) -> bytes:
    """What is kept of an answer: who answered what, and nothing of what it took to have it."""
    kept = CompleteResponse()
    kept.CopyFrom(response)
    kept.ClearField("attempts")
    return kept.SerializeToString()


def completion_from_bytes(data: bytes) -> CompleteResponse | None:
    """An answer that costs nothing; None when it is none."""
    try:
        response = CompleteResponse.FromString(data)
    except DecodeError:
        return None
    response.cost_micros = 0
    return response if is_whole(response) else None


def vectors_to_bytes(response: EmbedResponse) -> bytes:
    """The same of vectors."""
    kept = EmbedResponse()
    kept.CopyFrom(response)
    kept.ClearField("attempts")
    return kept.SerializeToString()


def vectors_from_bytes(data: bytes, count: int) -> EmbedResponse | None:
    """Vectors that cost nothing; None when they are not as many."""
    try:
        response = EmbedResponse.FromString(data)
    except DecodeError:
        return None
    response.cost_micros = 0
    return response if len(response.embeddings.vectors) == count else None


def completion_of_stream(
    started: StartCompletionResponse, start: Start, chunks: Sequence[Chunk], end: End
) -> CompleteResponse:
    """The answer that a whole stream was, as a unary call would have told it."""
    response = CompleteResponse(
        model=started.model,
        attempts=started.attempts,
        cost_micros=end.cost_micros if end.HasField("cost_micros") else None,
        sandbox=started.sandbox,
        reasoning=started.reasoning if started.HasField("reasoning") else None,
        route=started.route,
        policy=started.policy,
    )
    completion = response.completion
    completion.create_time.CopyFrom(start.create_time)
    completion.vendor_model = start.vendor_model
    completion.system_fingerprint = start.system_fingerprint
    completion.service_tier = start.service_tier
    completion.usage.CopyFrom(end.usage)
    grown: dict[int, _Grown] = {}
    for chunk in chunks:
        found = grown.get(chunk.choice_index)
        if found is None:
            found = grown[chunk.choice_index] = _Grown(chunk.choice_index)
        found.add(chunk)
    completion.choices.extend(grown[index].whole() for index in sorted(grown))
    return response


class _Grown:
    """One alternative, put together from its chunks."""

    def __init__(self, index: int) -> None:
        self._choice = pb.Choice(index=index)
        self._choice.message.role = pb.ROLE_ASSISTANT
        self._texts: list[str] = []
        self._refusals: list[str] = []
        self._calls: dict[int, pb.ToolCall] = {}
        self._arguments: dict[int, list[str]] = {}

    def add(self, chunk: Chunk) -> None:
        choice = self._choice
        if chunk.text:
            self._texts.append(chunk.text)
        if chunk.refusal:
            self._refusals.append(chunk.refusal)
        if chunk.HasField("reasoning"):
            self._reason(chunk.reasoning)
        for delta in chunk.tool_calls:
            call = self._calls.setdefault(delta.index, pb.ToolCall())
            call.id = call.id or delta.id
            call.name = call.name or delta.name
            call.signature = delta.signature or call.signature
            self._arguments.setdefault(delta.index, []).append(delta.arguments_json)
        choice.logprobs.extend(chunk.logprobs)
        choice.refusal_logprobs.extend(chunk.refusal_logprobs)
        if chunk.finish_reason:
            choice.finish_reason = chunk.finish_reason

    def _reason(self, piece: pb.ReasoningPart) -> None:
        """A proof ends its piece; what only the vendor can read is one of its own (see ``chat.reasoning``)."""
        pieces = self._choice.message.reasoning
        if not pieces or piece.redacted or pieces[-1].signature or pieces[-1].redacted:
            pieces.append(piece)
            return
        pieces[-1].text += piece.text
        pieces[-1].signature = piece.signature
        pieces[-1].provider = pieces[-1].provider or piece.provider

    def whole(self) -> pb.Choice:
        message = self._choice.message
        if self._texts:
            message.parts.add(text="".join(self._texts))
        message.refusal = "".join(self._refusals)
        for index in sorted(self._calls):
            self._calls[index].arguments_json = "".join(self._arguments[index])
            message.tool_calls.append(self._calls[index])
        return self._choice


def stream_of_completion(response: CompleteResponse) -> tuple[Start, list[Chunk], End]:
    """The stream that an answer could have been."""
    completion = response.completion
    start = Start(
        create_time=completion.create_time,
        model=response.model,
        vendor_model=completion.vendor_model,
        system_fingerprint=completion.system_fingerprint,
        service_tier=completion.service_tier,
    )
    chunks = [chunk for choice in completion.choices for chunk in _chunks(choice)]
    cost = response.cost_micros if response.HasField("cost_micros") else None
    return start, chunks, End(count=len(chunks), usage=completion.usage, cost_micros=cost)


def _chunks(choice: pb.Choice) -> list[Chunk]:
    index, message = choice.index, choice.message
    chunks = [Chunk(choice_index=index, reasoning=piece) for piece in message.reasoning]
    text = "".join(part.text for part in message.parts)
    if text or choice.logprobs:
        chunks.append(Chunk(choice_index=index, text=text, logprobs=choice.logprobs))
    if message.refusal:
        chunks.append(Chunk(choice_index=index, refusal=message.refusal, refusal_logprobs=choice.refusal_logprobs))
    for number, call in enumerate(message.tool_calls):
        delta = pb.ToolCallDelta(
            index=number,
            id=call.id,
            name=call.name,
            arguments_json=call.arguments_json,
            signature=call.signature,
        )
        chunks.append(Chunk(choice_index=index, tool_calls=[delta]))
    chunks.append(Chunk(choice_index=index, finish_reason=choice.finish_reason))
    return chunks
