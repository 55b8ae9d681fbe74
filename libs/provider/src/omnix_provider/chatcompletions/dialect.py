"""In what the servers that speak OpenAI's format differ, as data."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Literal

from omnix_provider.types import Effort

EFFORTS: Mapping[Effort, str] = MappingProxyType(
    {
        Effort.NONE: "none",
        Effort.MINIMAL: "minimal",
        Effort.LOW: "low",
        Effort.MEDIUM: "medium",
        Effort.HIGH: "high",
        Effort.EXTRA_HIGH: "xhigh",
        Effort.MAX: "max",
    }
)
"""https://developers.openai.com/api/docs/guides/reasoning, read 2026-11-22."""

Media = Literal["image", "audio", "file"]
Continued = Literal["continue_final_message", "prefix", "last_message"]
"""How a server is asked to go on with an answer whose beginning is the last message, by the assistant: by two flags of
the request, as vLLM and SGLang; by a flag of the message, as DeepSeek and Mistral; or by nothing else, as TGI.

https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html,
https://api-docs.deepseek.com/guides/chat_prefix_completion,
https://docs.mistral.ai/capabilities/completion/prefix/, https://github.com/huggingface/text-generation-inference/pull/2733;
read 2026-11-22.
"""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How to ask one server. The defaults say what every server may be asked."""

    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_tokens"
    stream_usage: bool = True
    """It knows ``stream_options.include_usage``."""
    developer_role: bool = False
    """It tells ``developer`` from ``system``; otherwise both are sent as ``system``."""
    parameters: Set[str] = frozenset()
    """Vendor parameters that are passed on; ``top_k`` is one."""
    lacks: Set[str] = frozenset()
    """Fields of the body that it would ignore or refuse; what all servers do anyway is asked without them."""
    end_user: bool = True
    """It takes a name of the end user."""
    reasoning_field: Literal["reasoning_content", "reasoning"] | None = None
    """As which it takes an assistant's reasoning back; None when it does not."""
    efforts: Mapping[Effort, str] = field(default_factory=lambda: EFFORTS)
    """Its words for ``reasoning_effort``; empty when it has no such field."""
    switch: Literal["reasoning_effort", "chat_template_kwargs"] | None = "reasoning_effort"
    """By which field reasoning is turned on and off; None when by none."""
    media: Set[Media] = frozenset({"image", "audio", "file"})
    """What a user's message may hold besides text."""
    refusals: bool = False
    """It tells an assistant's refusal from its text; otherwise a refusal is sent as text."""
    media_of_tools: bool = False
    """A tool's message may hold images too."""
    audio_formats: Set[str] | None = None
    """None when any is passed on."""
    cache_lifetimes: Sequence[tuple[timedelta, str]] = ()
    """Least lifetimes that a breakpoint can ask for, rising, with their words; empty when it knows no breakpoints."""
    json_object: bool = True
    """It can be held to JSON without a schema."""
    schema_in: Literal["json_schema", "value"] = "json_schema"
    """Where a response format holds its schema."""
    continued: Continued | None = None
    """How it is told the beginning of its answer; None when it cannot be."""
