"""What a model's id tells of it: whose it is, and in what its requests differ from others' within Converse.

An id is ``[region.]vendor.model``, alone or at the end of an ARN:
https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html. An ARN of an application inference
profile, of provisioned throughput or of a custom model hides it.
"""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    CLAUDE = "claude"
    NOVA = "nova"
    NOVA_2 = "nova-2"
    TITAN = "titan"
    LLAMA = "llama"
    MISTRAL = "mistral"
    COHERE = "cohere"
    AI21 = "ai21"
    GPT_OSS = "gpt-oss"
    GPT = "gpt"
    OTHER = "other"
    """A vendor without peculiarities."""
    OPAQUE = "opaque"
    """The id does not say."""


_VENDORS = {
    "anthropic": Kind.CLAUDE,
    "amazon": Kind.OTHER,
    "meta": Kind.LLAMA,
    "mistral": Kind.MISTRAL,
    "cohere": Kind.COHERE,
    "ai21": Kind.AI21,
    "openai": Kind.OTHER,
    "deepseek": Kind.OTHER,
    "google": Kind.OTHER,
    "minimax": Kind.OTHER,
    "moonshot": Kind.OTHER,
    "moonshotai": Kind.OTHER,
    "nvidia": Kind.OTHER,
    "qwen": Kind.OTHER,
    "writer": Kind.OTHER,
    "zai": Kind.OTHER,
}
_PREFIXES = (
    ("amazon.nova-2", Kind.NOVA_2),
    ("amazon.nova", Kind.NOVA),
    ("amazon.titan", Kind.TITAN),
    ("openai.gpt-oss", Kind.GPT_OSS),
    ("openai.gpt", Kind.GPT),
)
_NEWEST = (99, 0)
_ENDING_EARLY = frozenset({Kind.TITAN, Kind.LLAMA, Kind.MISTRAL, Kind.COHERE, Kind.AI21})


@dataclass(frozen=True, slots=True)
class Family:
    kind: Kind
    generation: tuple[int, int] = (0, 0)
    """Of Claude alone: 4.6 is ``(4, 6)``; what has a name and no number is the newest."""

    @property
    def caches(self) -> bool:
        """It knows cache points: https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html."""
        return self.kind in (Kind.CLAUDE, Kind.NOVA, Kind.NOVA_2, Kind.OPAQUE)

    @property
    def caches_tools(self) -> bool:
        """It knows them among tools, and with a time to live."""
        return self.kind in (Kind.CLAUDE, Kind.OPAQUE)

    @property
    def json_schema(self) -> bool:
        """It holds its answer to a schema.

        Of those that the page does not list, the ones whose ids tell are refused:
        https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html.
        """
        if self.kind is Kind.CLAUDE:
            return self.generation >= (4, 5)
        return self.kind not in (Kind.NOVA, Kind.NOVA_2, Kind.TITAN, Kind.LLAMA, Kind.COHERE, Kind.AI21)

    @property
    def wants_max_tokens(self) -> bool:
        """Without a number it ends early: at 512 tokens, for instance, in Llama's and Titan's case.

        https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-meta.html
        """
        return self.kind in _ENDING_EARLY

    @property
    def adapts(self) -> bool:
        """Claude that decides by itself how much to think, and takes an effort.

        https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-adaptive-thinking.html
        """
        return self.kind is Kind.CLAUDE and self.generation >= (4, 6)

    @property
    def budgets(self) -> bool:
        """Claude that takes a number of tokens to think with. Who hides its name may be one."""
        return self.kind is Kind.OPAQUE or (self.kind is Kind.CLAUDE and (3, 7) <= self.generation < (4, 7))

    @property
    def thinks_unasked(self) -> bool:
        return self.kind is Kind.CLAUDE and self.generation >= (5, 0)

    @property
    def continues(self) -> bool:
        """It goes on with an answer whose beginning is the conversation's last message.

        Nova says so, Claude refuses it from 4.6 on; others may or may not, and are asked:
        https://docs.aws.amazon.com/nova/latest/userguide/invoke.html,
        https://platform.claude.com/docs/en/about-claude/models/migration-guide; read 2026-11-22.
        """
        return self.kind is not Kind.CLAUDE or self.generation < (4, 6)

    @property
    def samples(self) -> bool:
        """It takes temperature and the like; Claude does no longer from 4.7 on."""
        return self.kind is not Kind.CLAUDE or self.generation < (4, 7)


def family_of(model: str) -> Family:
    name = model.rpartition("/")[2] if model.startswith("arn:") else model
    words = name.split(".")
    for position, word in enumerate(words[:2]):
        kind = _VENDORS.get(word)
        if kind is not None and position + 1 < len(words):
            bare = ".".join(words[position:])
            for prefix, special in _PREFIXES:
                if bare.startswith(prefix):
                    return Family(special)
            return Family(kind, _generation(bare) if kind is Kind.CLAUDE else (0, 0))
    return Family(Kind.OPAQUE)


def vendor_of(model: str) -> str:
    """The vendor's word in the id; empty when it hides it."""
    name = model.rpartition("/")[2] if model.startswith("arn:") else model
    return next((word for word in name.split(".")[:2] if word in _VENDORS), "")


def _generation(bare: str) -> tuple[int, int]:
    """Of ``anthropic.claude-3-7-sonnet-20250219-v1:0``, ``anthropic.claude-opus-4-6-v1`` and the like."""
    words = bare.partition("claude-")[2].split("-")
    if words[0].startswith(("v", "instant")):
        return (2, 0)
    numbers: list[int] = []
    for word in words:
        if word.isascii() and word.isdigit() and len(word) <= 2:
            numbers.append(int(word))
        elif numbers:
            break
    if not numbers:
        return _NEWEST
    return (numbers[0], numbers[1] if len(numbers) > 1 else 0)
