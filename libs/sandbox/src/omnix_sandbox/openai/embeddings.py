"""`POST /embeddings`.

https://developers.openai.com/api/reference/resources/embeddings/methods/create, read 2026-11-22.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from omnix_sandbox.formats import Asked, Making
from omnix_sandbox.openai import errors
from omnix_sandbox.openai.errors import Refusal
from omnix_sandbox.openai.models import DIMENSIONS, is_known
from omnix_sandbox.openai.request import decode
from omnix_sandbox.record import Operation
from omnix_sandbox.script import count_tokens
from omnix_sandbox.steering import Steering, steering_of_model
from omnix_sandbox.vectors import packed, vector

MOST_INPUTS: Final = 2048
MOST_TOKENS: Final = 8192
MOST_TOKENS_IN_ALL: Final = 300_000

Token = Annotated[int, Meta(ge=0, le=200_000)]


class EmbeddingRequest(msgspec.Struct, forbid_unknown_fields=True):
    model: str
    input: str | list[str | Token | list[Token]]
    dimensions: Annotated[int, Meta(ge=1)] | None = None
    encoding_format: Literal["float", "base64"] = "float"
    user: str | None = None


_decoder = msgspec.json.Decoder(EmbeddingRequest)


class AskedEmbeddings(Asked):
    """A request for the vectors of texts, or of texts that are tokens already."""

    operation = Operation.EMBEDDINGS

    def __init__(self, request: EmbeddingRequest) -> None:
        self.model = request.model
        self._request = request
        self._inputs = _inputs(request)
        self._dimensions = _dimensions(request)

    @property
    def steering(self) -> Steering:
        return steering_of_model(self.model)

    def input_tokens(self) -> int:
        return sum(_length(one) for one in self._inputs)

    def unary(self, making: Making) -> bytes:
        whole: dict[str, Any] = {
            "object": "list",
            "data": [
                {"object": "embedding", "index": at, "embedding": self._encoded(text_of(one))}
                for at, one in enumerate(self._inputs)
            ],
            "model": self.model,
        }
        if making.billing is not None:
            tokens = making.billing.input_tokens
            whole["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
        return msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n"

    def _encoded(self, text: str) -> list[float] | str:
        made = vector(text, self._dimensions)
        return made if self._request.encoding_format == "float" else packed(made)


def take(body: bytes) -> AskedEmbeddings:
    """Read a request's body.

    Raises:
        Refusal: OpenAI would not take it.
    """
    request = decode(_decoder, body)
    if not is_known(request.model):
        raise errors.unknown_model(request.model)
    return AskedEmbeddings(request)


def text_of(given: str | Sequence[int]) -> str:
    """The text whose vector an input has; that of tokens is their numbers, set apart by spaces."""
    return given if isinstance(given, str) else " ".join(map(str, given))


def _length(given: str | Sequence[int]) -> int:
    return count_tokens(given) if isinstance(given, str) else len(given)


def _inputs(request: EmbeddingRequest) -> list[str | Sequence[int]]:
    given = request.input
    inputs: list[str | Sequence[int]]
    if isinstance(given, str):
        inputs = [given]
    else:
        texts = [one for one in given if isinstance(one, str)]
        tokens = [one for one in given if isinstance(one, int)]
        lists = [one for one in given if isinstance(one, list)]
        if (bool(texts) + bool(tokens) + bool(lists)) != 1:
            raise _invalid_input()
        inputs = [*texts, *lists] if not tokens else [tokens]
    if len(inputs) > MOST_INPUTS:
        raise Refusal(
            400,
            f"Invalid 'input': array too long. Expected an array with maximum length {MOST_INPUTS}, but got an array "
            f"with length {len(inputs)} instead.",
            param="input",
            code="array_above_max_length",
        )
    lengths = [_length(one) for one in inputs]
    if not all(lengths):
        raise _invalid_input()
    if max(lengths) > MOST_TOKENS:
        raise Refusal(
            400,
            f"This model's maximum context length is {MOST_TOKENS} tokens, however you requested {max(lengths)} tokens "
            f"({max(lengths)} in your prompt; 0 for the completion). Please reduce your prompt; or completion length.",
        )
    if sum(lengths) > MOST_TOKENS_IN_ALL:
        raise Refusal(
            400,
            f"Requested {sum(lengths)} tokens, max {MOST_TOKENS_IN_ALL} tokens per request",
            type="max_tokens_per_request",
            code="max_tokens_per_request",
        )
    return inputs


def _invalid_input() -> Refusal:
    return Refusal(
        400,
        "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference.",
        param="input",
    )


def _dimensions(request: EmbeddingRequest) -> int:
    most = DIMENSIONS.get(request.model)
    if most is None and not request.model.startswith("sandbox-"):
        raise Refusal(403, "You are not allowed to generate embeddings from this model")
    if request.dimensions is None:
        return most or DIMENSIONS["text-embedding-3-small"]
    if request.model == "text-embedding-ada-002":
        raise Refusal(400, "This model does not support specifying dimensions.", param="dimensions")
    if request.dimensions > (most or DIMENSIONS["text-embedding-3-large"]):
        raise Refusal(
            400,
            f"Invalid value for 'dimensions' = {request.dimensions}. Must be less than or equal to {most}.",
            param="dimensions",
        )
    return request.dimensions
