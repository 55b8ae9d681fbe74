"""The models this Bedrock knows, and what they can't do.

Identifiers: https://docs.aws.amazon.com/bedrock/latest/userguide/models-supported.html, read 2026-11-22.
"""

import re
from enum import Enum, auto
from typing import Final

from omnix_sandbox.steering import MODEL_PREFIX

REGION: Final = "us-east-1"
ACCOUNT: Final = "123456789012"


class Family(Enum):
    """Whose rules a model's requests follow."""

    SANDBOX = auto()
    CLAUDE = auto()
    NOVA = auto()
    OPEN = auto()  # reasons in the open, with neither switch nor signature
    PLAIN = auto()


_CLAUDE: Final = """
claude-3-haiku-20240307-v1:0 claude-3-sonnet-20240229-v1:0 claude-3-opus-20240229-v1:0
claude-3-5-haiku-20241022-v1:0 claude-3-5-sonnet-20240620-v1:0 claude-3-5-sonnet-20241022-v2:0
claude-3-7-sonnet-20250219-v1:0 claude-sonnet-4-20250514-v1:0 claude-opus-4-20250514-v1:0
claude-opus-4-1-20250805-v1:0 claude-sonnet-4-5-20250929-v1:0 claude-haiku-4-5-20251001-v1:0
claude-opus-4-5-20251101-v1:0 claude-opus-4-6-v1 claude-sonnet-4-6 claude-opus-4-7 claude-opus-4-8 claude-opus-5
claude-opus-5-5 claude-sonnet-5 claude-sonnet-5-5 claude-haiku-5-5 claude-fable-5 claude-fable-5-1 claude-mythos-5
claude-mythos-5-1 claude-mythos-preview
""".split()  # noqa: SIM905 - as in the vendor's table
_OTHERS: Final = """
amazon.nova-micro-v1:0 amazon.nova-lite-v1:0 amazon.nova-pro-v1:0 amazon.nova-premier-v1:0 amazon.nova-2-lite-v1:0
amazon.nova-2-pro-preview-20251202-v1:0 amazon.titan-text-lite-v1 amazon.titan-text-express-v1
amazon.titan-text-premier-v1:0
meta.llama3-8b-instruct-v1:0 meta.llama3-70b-instruct-v1:0 meta.llama3-1-8b-instruct-v1:0
meta.llama3-1-70b-instruct-v1:0 meta.llama3-1-405b-instruct-v1:0 meta.llama3-2-1b-instruct-v1:0
meta.llama3-2-3b-instruct-v1:0 meta.llama3-2-11b-instruct-v1:0 meta.llama3-2-90b-instruct-v1:0
meta.llama3-3-70b-instruct-v1:0 meta.llama4-maverick-17b-instruct-v1:0 meta.llama4-scout-17b-instruct-v1:0
mistral.mistral-7b-instruct-v0:2 mistral.mixtral-8x7b-instruct-v0:1 mistral.mistral-large-2402-v1:0
mistral.mistral-large-2407-v1:0 mistral.mistral-small-2402-v1:0 mistral.pixtral-large-2502-v1:0
mistral.magistral-small-2509 mistral.ministral-3-3b-instruct mistral.ministral-3-8b-instruct
mistral.ministral-3-14b-instruct mistral.mistral-large-3-675b-instruct mistral.devstral-2-123b
mistral.voxtral-mini-3b-2507 mistral.voxtral-small-24b-2507
cohere.command-r-v1:0 cohere.command-r-plus-v1:0 ai21.jamba-1-5-large-v1:0 ai21.jamba-1-5-mini-v1:0
deepseek.r1-v1:0 deepseek.v3-v1:0 deepseek.v3.2 google.gemma-3-4b-it google.gemma-3-12b-it google.gemma-3-27b-it
openai.gpt-oss-20b-1:0 openai.gpt-oss-120b-1:0 qwen.qwen3-32b-v1:0 qwen.qwen3-235b-a22b-2507-v1:0
qwen.qwen3-coder-30b-a3b-v1:0 qwen.qwen3-coder-480b-a35b-v1:0 qwen.qwen3-next-80b-a3b qwen.qwen3-vl-235b-a22b
qwen.qwen3-coder-next minimax.minimax-m2
minimax.minimax-m2.1 minimax.minimax-m2.5 moonshot.kimi-k2-thinking moonshotai.kimi-k2.5
nvidia.nemotron-nano-9b-v2 nvidia.nemotron-nano-12b-v2 nvidia.nemotron-super-3-120b
writer.palmyra-x4-v1:0 writer.palmyra-x5-v1:0 zai.glm-4.7 zai.glm-5
""".split()  # noqa: SIM905 - as above

CHAT: Final = (*(f"anthropic.{name}" for name in _CLAUDE), *_OTHERS)
EMBEDDINGS: Final = (
    "amazon.titan-embed-text-v1",
    "amazon.titan-embed-g1-text-02",
    "amazon.titan-embed-text-v2:0",
    "amazon.nova-2-multimodal-embeddings-v1:0",
    "cohere.embed-english-v3",
    "cohere.embed-multilingual-v3",
    "cohere.embed-v4:0",
)
NAMES: Final = (*CHAT, *EMBEDDINGS)
PROFILE_REGIONS: Final = ("us", "eu", "apac", "global")

_KNOWN: Final = frozenset(NAMES)
_GEOGRAPHY: Final = re.compile(r"(?:us|eu|apac|global|us-gov|jp|au|ca|in|sa|me)\.(?=[a-z0-9-]+)")
_ARN: Final = re.compile(
    r"arn:aws(?:-[a-z-]+)?:bedrock:[a-z0-9-]+:(?:\d{12})?:(foundation-model|inference-profile)/(.+)"
)
_OPAQUE: Final = re.compile(
    r"arn:aws(?:-[a-z-]+)?:bedrock:[a-z0-9-]+:\d{12}:"
    r"(?:application-inference-profile|provisioned-model|custom-model-deployment|imported-model)/[a-z0-9]{12}"
)
_OPEN: Final = ("deepseek.r1", "openai.gpt-oss", "minimax.", "moonshot", "mistral.magistral", "zai.", "qwen.qwen3-next")
_OLD_MISTRAL: Final = ("mistral.mistral-7b", "mistral.mixtral")
_NO_SYSTEM: Final = ("amazon.titan-text", *_OLD_MISTRAL)
_NO_TOOLS: Final = (
    *("amazon.titan-text", *_OLD_MISTRAL, "meta.llama3-8b", "meta.llama3-70b", "meta.llama3-2-1b", "meta.llama3-2-3b"),
    *("deepseek.r1", "google.gemma"),
)
_NO_IMAGES: Final = (
    *("amazon.titan-text", "amazon.nova-micro", "meta.llama3-8b", "meta.llama3-70b", "meta.llama3-1", "meta.llama3-3"),
    *(*_OLD_MISTRAL, "mistral.mistral-large-2", "mistral.mistral-small", "deepseek.", "openai.gpt-oss"),
    "anthropic.claude-3-5-haiku",
)
_NO_DOCUMENTS: Final = ("amazon.titan-text-premier", "amazon.nova-micro", "openai.gpt-oss", "meta.llama3-2-1b")
_ADAPTIVE_ONLY: Final = re.compile(r"anthropic\.claude-(opus-4-[78]|(opus|sonnet|haiku)-5|fable|mythos)")
_UNASKED: Final = re.compile(r"anthropic\.claude-((opus|sonnet|haiku)-5|fable|mythos)")
_ALWAYS: Final = re.compile(r"anthropic\.claude-(opus-5-5|fable|mythos)")
_BEGINS_ITSELF: Final = re.compile(
    r"anthropic\.claude-((opus|sonnet|haiku)-4-[6-9]|(opus|sonnet|haiku)-5|fable|mythos)"
)
_BUDGETED: Final = re.compile(r"anthropic\.claude-(3-7|(sonnet|opus|haiku)-4)")


def base_of(model: str) -> str:
    """The model behind a region's prefix or an ARN that names it."""
    if (arn := _ARN.fullmatch(model)) is not None:
        model = arn[2]
    return _GEOGRAPHY.sub("", model, count=1) if _GEOGRAPHY.match(model) else model


def is_known(model: str) -> bool:
    """Whether the model is listed, one of the account's own, or one of the sandbox's, of which there is no end."""
    base = base_of(model)
    return base in _KNOWN or base.startswith(MODEL_PREFIX) or _OPAQUE.fullmatch(model) is not None


def family(base: str) -> Family:
    if base.startswith(MODEL_PREFIX):
        return Family.SANDBOX
    if base.startswith("anthropic."):
        return Family.CLAUDE
    if base.startswith("amazon.nova-2"):
        return Family.NOVA
    return Family.OPEN if base.startswith(_OPEN) else Family.PLAIN


def thinks_by_budget(base: str) -> bool:
    """Claude's models that take `thinking.budget_tokens`."""
    return _BUDGETED.match(base) is not None and not thinks_adaptively_only(base)


def thinks_adaptively(base: str) -> bool:
    return thinks_adaptively_only(base) or base.startswith(("anthropic.claude-opus-4-6", "anthropic.claude-sonnet-4-6"))


def thinks_adaptively_only(base: str) -> bool:
    """Claude's models that take neither a budget nor `temperature`, `topP` and `top_k`."""
    return _ADAPTIVE_ONLY.match(base) is not None


def thinks_unasked(base: str) -> bool:
    """Claude from its fifth generation on thinks where nothing is said of it, and leaves the text out.

    https://platform.claude.com/docs/en/models/opus-5/migration-guide, read 2026-11-22.
    """
    return _UNASKED.match(base) is not None


def thinks_always(base: str) -> bool:
    return _ALWAYS.match(base) is not None


def takes_prefix(base: str) -> bool:
    """Whether the last message may be the assistant's, which the answer then continues.

    Claude's may up to version 4.5: https://platform.claude.com/docs/en/about-claude/models/migration-guide and
    https://github.com/router-for-me/CLIProxyAPI/issues/5319, read 2026-11-22.
    """
    return _BEGINS_ITSELF.match(base) is None


def takes_system(base: str) -> bool:
    return not base.startswith(_NO_SYSTEM)


def takes_tools(base: str) -> bool:
    return not base.startswith(_NO_TOOLS)


def streams_tools(base: str) -> bool:
    return not base.startswith(("meta.llama", "ai21."))


def takes_images(base: str) -> bool:
    return not base.startswith(_NO_IMAGES)


def takes_documents(base: str) -> bool:
    return not base.startswith(_NO_DOCUMENTS)


def described(base: str) -> dict[str, object]:
    """The model as `ListFoundationModels` shows it."""
    embeds = base in EMBEDDINGS
    provider = base.split(".")[0]
    return {
        "modelArn": f"arn:aws:bedrock:{REGION}::foundation-model/{base}",
        "modelId": base,
        "modelName": base.split(".", 1)[-1],
        "providerName": provider.capitalize(),
        "inputModalities": ["TEXT", "IMAGE"] if not embeds and takes_images(base) else ["TEXT"],
        "outputModalities": ["EMBEDDING" if embeds else "TEXT"],
        "responseStreamingSupported": not embeds,
        "customizationsSupported": [],
        "inferenceTypesSupported": ["ON_DEMAND"],
        "modelLifecycle": {"status": "ACTIVE"},
    }


def profile(geography: str, base: str) -> dict[str, object]:
    """The inference profile of a model as `ListInferenceProfiles` shows it."""
    name = f"{geography}.{base}"
    return {
        "inferenceProfileName": name,
        "inferenceProfileArn": f"arn:aws:bedrock:{REGION}:{ACCOUNT}:inference-profile/{name}",
        "inferenceProfileId": name,
        "description": f"Routes requests to {base}.",
        "createdAt": "2026-01-01T00:00:00Z",
        "updatedAt": "2026-01-01T00:00:00Z",
        "models": [{"modelArn": f"arn:aws:bedrock:{REGION}::foundation-model/{base}"}],
        "status": "ACTIVE",
        "type": "SYSTEM_DEFINED",
    }
