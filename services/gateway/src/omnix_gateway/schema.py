"""What the API tells and takes apart from chat: models, usage, keys, streams."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from omnix_gateway.errors import ErrorBody

PageSize = Annotated[int, Meta(ge=1, le=1000)]


class Rates(Struct, kw_only=True):
    """Decimal strings for a million tokens; null means as other units of the direction."""

    input: str
    output: str
    cached_input: str | None
    cache_write: str | None
    long_cache_write: str | None
    reasoning: str | None


class Tier(Rates, kw_only=True):
    """Rates that hold for the whole attempt when the prompt has more tokens than this."""

    above_input_tokens: int


class Pricing(Rates, kw_only=True):
    """What units cost; `batch_*` is what the vendor asks for its batch processing."""

    currency: str
    unit: Literal["1M tokens"] = "1M tokens"
    audio_input: str | None
    audio_output: str | None
    batch_input: str | None
    batch_output: str | None
    tiers: list[Tier]
    effective: int


class ReasoningControl(Struct, kw_only=True):
    """How a model's reasoning is controlled, and which values of `mode` it can do."""

    control: Literal["none", "fixed", "switch", "effort", "budget"]
    efforts: list[str]
    min_budget_tokens: int | None
    max_budget_tokens: int | None
    can_disable: bool
    modes: list[str]


class Target(Struct, kw_only=True):
    """One choice of a route."""

    provider: str
    model: str
    weight: int


class Model(Struct, kw_only=True):
    """A model or a route. The first four fields and `shutdown_date` are OpenAI's."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    shutdown_date: str | None
    provider: str | None
    model: str | None
    aliases: list[str]
    display_name: str
    context_window: int | None
    max_output_tokens: int | None
    capabilities: list[str]
    reasoning: ReasoningControl | None
    pricing: Pricing | None
    retirement: int | None
    sandbox: bool
    targets: list[Target] | UnsetType = UNSET


class ModelList(Struct, kw_only=True):
    """Every model and route of the catalogue."""

    object: Literal["list"] = "list"
    data: list[Model]


Purpose = Literal["shadow", "hedge"]


class UsageDimensions(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which entries. Times are RFC 3339; entries begin at or after `start_time`, before `end_time`.

    `purpose` is that of the entries, or `answer` for those that have none. `metadata.<name>=<value>` asks for one label
    of the caller's. `estimated` entries were not counted by the vendor, `unpriced` ones have no vendor's price.
    """

    key_id: str | None = None
    user_id: str | None = None
    completion_id: str | None = None
    model: str | None = None
    provider: str | None = None
    start_time: Annotated[datetime, Meta(tz=True)] | None = None
    end_time: Annotated[datetime, Meta(tz=True)] | None = None
    purpose: Literal["answer", "shadow", "hedge"] | None = None
    team_id: str | None = None
    route: str | None = None
    outcome: Literal["succeeded", "failed", "cancelled", "interrupted"] | None = None
    operation: Literal["chat", "embeddings"] | None = None
    streamed: bool | None = None
    mode: Literal["flash", "think", "ultra-think"] | None = None
    estimated: bool | None = None
    unpriced: bool | None = None


class UsageQuery(UsageDimensions, kw_only=True, forbid_unknown_fields=True):
    """Which entries, and which page of them."""

    limit: PageSize = 100
    page_token: str | None = None


class UsageExportQuery(UsageDimensions, kw_only=True, forbid_unknown_fields=True):
    """Which entries, and as what. `parquet` is refused here: the command line writes it."""

    format: Literal["jsonl", "csv", "parquet"] = "jsonl"


class UsageRating(Struct, kw_only=True):
    """How an entry was rated from `rate_time` on, until `key_id` replaced it at `replace_time`."""

    cost_micros: int | None
    currency: str | None
    billed_micros: int | None
    billed_currency: str | None
    rule_id: str | None
    rated_pricing: Pricing | None
    rate_time: str
    replace_time: str
    user_id: str | None
    key_id: str | None


class UsageEntry(Struct, kw_only=True):
    """One attempt in the ledger. `cost` is a decimal string; null when unpriced. `pricing` is what held then.

    `billed` is what is paid for it: the cost, unless the price rule `rule_id` says otherwise; null when neither is
    known. `rated_pricing` is by what it was rated again, and `former_ratings` what stood before, oldest first.

    `purpose` is null for an attempt at the answer, `shadow` for a copy to another target that nobody was shown, `hedge`
    for one that another attempt beside it outran.
    """

    id: str
    object: Literal["usage.entry"] = "usage.entry"
    completion_id: str
    operation: Literal["chat", "embeddings"]
    purpose: Purpose | None
    attempt: int
    key_id: str
    user_id: str | None
    team_id: str | None
    requested_model: str
    provider: str
    model: str
    route: str | None
    mode: str | None
    streamed: bool
    outcome: str
    error: ErrorBody | None
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    cache_write_input_tokens: int
    long_cache_write_input_tokens: int
    reasoning_tokens: int
    audio_input_tokens: int
    audio_output_tokens: int
    estimated: bool
    cost_micros: int | None
    cost: str | None
    currency: str | None
    unpriced: bool
    billed_micros: int | None
    billed: str | None
    billed_currency: str | None
    rule_id: str | None
    pricing: Pricing | None
    rated_pricing: Pricing | None
    former_ratings: list[UsageRating]
    start_time: str
    end_time: str
    record_time: str
    first_content_ms: float | None
    metadata: dict[str, str]
    sandbox: bool


class UsageList(Struct, kw_only=True):
    """Entries, newest first. A page that is short, or empty, may have a next one: `has_more` says so."""

    object: Literal["list"] = "list"
    data: list[UsageEntry]
    has_more: bool
    next_page_token: str | None


class UsageTotal(Struct, kw_only=True):
    """The total of one model in one currency, of attempts with the same `purpose`: null for those at answers."""

    provider: str
    model: str
    currency: str | None
    purpose: Purpose | None
    attempts: int
    input_tokens: int
    output_tokens: int
    cost_micros: int | None
    cost: str | None
    billed_micros: int | None
    billed: str | None
    billed_currency: str | None
    unpriced: bool


class UsageSummary(Struct, kw_only=True):
    """Totals, one for each provider, model, currency, billed currency and purpose."""

    object: Literal["usage.summary"] = "usage.summary"
    data: list[UsageTotal]


class StreamsQuery(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which streams: all that the caller may see, or those of one key."""

    key_id: str | None = None
    limit: PageSize = 100


class OpenStream(Struct, kw_only=True):
    """An answer that is being streamed: `GET` it to watch, `DELETE` it to cancel. `created_at` is in seconds."""

    id: str
    object: Literal["stream"] = "stream"
    created_at: int
    requested_model: str
    model: str
    route: str | None
    attempt: int
    key_id: str
    user_id: str | None


class OpenStreamList(Struct, kw_only=True):
    """Streams that are open now, newest first."""

    object: Literal["list"] = "list"
    data: list[OpenStream]
    has_more: bool


class KeyRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """What the new key is for. `expires_at` is in seconds since 1970.

    `on_disconnect` is what happens to its streams whose clients leave, unless a request says otherwise: `cancel`,
    `continue` or `grace=30s`.
    """

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    role: Literal["admin", "member"] = "member"
    user_id: Annotated[str, Meta(max_length=200)] | None = None
    team_id: Annotated[str, Meta(max_length=200)] | None = None
    expires_at: Annotated[int, Meta(ge=1, le=253402300799)] | None = None
    on_disconnect: Annotated[str, Meta(max_length=40)] | None = None


class Key(Struct, kw_only=True):
    """An API key; times are in seconds since 1970."""

    id: str
    object: Literal["key"] = "key"
    name: str
    hint: str
    role: str
    user_id: str | None
    team_id: str | None
    created_at: int
    expires_at: int | None
    revoked_at: int | None
    on_disconnect: str | None


class NewKey(Key, kw_only=True):
    """A new key. `key` is what callers show; it is told here and never again."""

    key: str


class KeyQuery(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which page of keys."""

    limit: PageSize = 100
    page_token: str | None = None


class KeyList(Struct, kw_only=True):
    """Keys, newest first, revoked ones included."""

    object: Literal["list"] = "list"
    data: list[Key]
    has_more: bool
    next_page_token: str | None


class StreamQuery(Struct, kw_only=True, forbid_unknown_fields=True):
    """Where to go on. `last_event_id` is for clients that cannot set the header `Last-Event-ID`."""

    last_event_id: str | None = None
    include_usage: bool = False


class StreamCancelled(Struct, kw_only=True):
    """`cancelled` is false when the stream had ended before."""

    id: str
    object: Literal["stream.cancelled"] = "stream.cancelled"
    cancelled: bool
