"""What a request for embeddings means, and what of it cannot be honoured. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from omnix_gateway.chat.translate import check_metadata
from omnix_gateway.embeddings.schema import MOST_INPUTS, EmbeddingRequest
from omnix_gateway.errors import invalid
from omnix_gateway.preferences.translate import refuse_contradictions

_NUMBER_BYTES: Final = 4

_PURPOSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "query": "query",
        "search_query": "query",
        "document": "document",
        "passage": "document",
        "search_document": "document",
        "classification": "classification",
        "clustering": "clustering",
    }
)
"""What other APIs call the same in ``input_type``."""

Input = str | list[int]


def inputs(request: EmbeddingRequest) -> list[Input]:
    """What is to be embedded, one by one.

    :raises CallerError: when texts and tokens are mixed, one is empty, or there are too many.
    """
    asked = request.input
    if isinstance(asked, str):
        return [_text(asked, "input")]
    tokens = [each for each in asked if isinstance(each, int)]
    if len(tokens) == len(asked):
        return [tokens]
    if len(asked) > MOST_INPUTS:
        raise invalid(f"'input' may hold at most {MOST_INPUTS} texts or lists of tokens.", "input")
    texts: list[Input] = [_text(each, f"input.{index}") for index, each in enumerate(asked) if isinstance(each, str)]
    lists: list[Input] = [each for each in asked if isinstance(each, list)]
    if len(asked) not in (len(texts), len(lists)):
        raise invalid("'input' must hold only texts, only tokens or only lists of tokens.", "input")
    return texts or lists


def _text(text: str, param: str) -> str:
    if not text:
        raise invalid(f"'{param}' may not be empty.", param)
    return text


def purpose(request: EmbeddingRequest) -> str | None:
    """What the vectors are for, under either of its names."""
    theirs = None if request.input_type is None else _PURPOSES[request.input_type]
    if theirs is not None and request.purpose not in (None, theirs):
        raise invalid("'purpose' and 'input_type' are given and differ.", "input_type")
    return request.purpose or theirs


def refuse_what_is_not_honoured(request: EmbeddingRequest, count: int, most_bytes: int) -> None:
    """Refuse labels that are none, contradictions, and vectors that would not fit into one answer."""
    if request.metadata is not None:
        check_metadata(request.metadata)
    if request.provider is not None:
        refuse_contradictions(request.provider, (request.model,))
    if request.dimensions is not None and count * request.dimensions * _NUMBER_BYTES > most_bytes:
        most = most_bytes // (request.dimensions * _NUMBER_BYTES)
        raise invalid(f"With {request.dimensions} dimensions, 'input' may hold at most {most}.", "input")
