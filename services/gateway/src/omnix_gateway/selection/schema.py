"""What is required of a model, and the models that fit."""

from decimal import Decimal
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

Tokens = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Word = Annotated[str, Meta(min_length=1, max_length=100)]


class SelectionRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """What is required; what is left out is not.

    Costs are US dollars: `max_cost` for a request of `input_tokens` and `output_tokens` (1,000 and 500 unless given),
    `max_price` for a million tokens in that proportion. `quality_floor` is from 0 to 100; models of unknown quality are
    left out. `max_first_content_ms` leaves out models that were slower lately.
    """

    type: Literal["chat", "embeddings"] = "chat"
    capabilities: Annotated[list[Word], Meta(max_length=20)] = []
    context_tokens: Tokens = 0
    input_tokens: Tokens | None = None
    output_tokens: Tokens | None = None
    max_cost: Decimal | None = None
    max_price: Decimal | None = None
    quality_floor: Annotated[float, Meta(ge=0, le=100)] | None = None
    mode: Literal["flash", "think", "ultra-think"] | None = None
    max_first_content_ms: Annotated[int, Meta(ge=1, le=600_000)] | None = None
    providers: Annotated[list[Word], Meta(max_length=100)] = []
    limit: Annotated[int, Meta(ge=1, le=1000)] = 10
    recommend: bool = False


class SelectedModel(Struct, kw_only=True):
    """A model that fits. `score` is from 0 to 100 and comparable within one answer; null is unknown."""

    id: str
    object: Literal["model.choice"] = "model.choice"
    provider: str
    model: str
    display_name: str
    score: float
    cost_micros: int | None
    cost: str | None
    quality: float | None
    quality_as_of: str | None
    first_content_ms: float | None
    sandbox: bool
    reasons: list[str]


class ModelSelection(Struct, kw_only=True):
    """The models that fit, best first; `total` are all that do.

    `rejected` counts the others by what they lack first: `type`, `provider`, `retired`, `unavailable`, `capabilities`,
    `context`, `output`, `mode`, `quality`, `cost`, `latency`. `recommendation` is there when it was asked for, and null
    when no model fits.
    """

    object: Literal["list"] = "list"
    data: list[SelectedModel]
    total: int
    rejected: dict[str, int]
    recommendation: str | UnsetType | None = UNSET
