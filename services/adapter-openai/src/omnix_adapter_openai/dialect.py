"""In what the servers that speak OpenAI's format differ, as data."""

from collections.abc import Set
from dataclasses import dataclass
from typing import Literal

OPENAI_PARAMETERS = frozenset(
    {
        "logit_bias",
        "prediction",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "verbosity",
        "web_search_options",
    }
)
"""OpenAI's own parameters that need nothing of the answer's contract."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How to ask one server."""

    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    stream_usage: bool = True
    """It knows ``stream_options.include_usage``."""
    developer_role: bool = True
    """It tells ``developer`` from ``system``; otherwise both are sent as ``system``."""
    parameters: Set[str] = OPENAI_PARAMETERS
    """Vendor parameters that are passed on."""
    reasoning_content: bool = False
    """It takes an assistant's reasoning back, as ``reasoning_content``."""


OPENAI = Dialect()
