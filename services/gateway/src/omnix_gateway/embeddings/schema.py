"""The request of ``POST /v1/embeddings``: OpenAI's, and OmniX's few fields. Unknown fields are refused by name."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from omnix_gateway.chat.schema import CacheWish, Name, ProviderPreferences, Seconds, Wire

MOST_INPUTS = 2048
MOST_DIMENSIONS = 65_536
_INT32 = 2**31 - 1

Token = Annotated[int, Meta(ge=0, le=_INT32)]
Tokens = Annotated[list[Token], Meta(min_length=1, max_length=MOST_DIMENSIONS)]


class EmbeddingRequest(Wire):
    """`input` is a text, tokens of the model's vocabulary, or a list of either; `timeout` is in seconds."""

    model: Name
    input: str | Annotated[list[str | Token | Tokens], Meta(min_length=1)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Meta(ge=1, le=MOST_DIMENSIONS)] | None = None
    user: str | None = None

    # OpenRouter's.
    provider: ProviderPreferences | None = None

    # OmniX's own.
    timeout: Seconds | None = None
    cache: CacheWish | bool | None = None
    metadata: dict[str, str] | None = None
    purpose: Literal["query", "document", "similarity", "classification", "clustering"] | None = None
    input_type: (
        Literal["query", "document", "passage", "search_query", "search_document", "classification", "clustering"]
        | None
    ) = None


class EmbeddingUsage(Struct, kw_only=True):
    """OpenAI's two counts, and OmniX's cost; `cost` is null when the model has no price."""

    prompt_tokens: int
    total_tokens: int
    cost: str | None
    cost_micros: int | None
    estimated: bool


class Embedding(Struct, kw_only=True):
    """`embedding` is a list of numbers, or base64 of little-endian numbers of 32 bits."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingList(Struct, kw_only=True):
    """One embedding for each input, in their order."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage
