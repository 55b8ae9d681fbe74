"""How Hugging Face's router and the servers behind endpoints are asked.

The router: https://huggingface.co/docs/inference-providers/tasks/chat-completion, read 2026-11-22. It passes a request
on to providers that differ; what is not in its specification is refused, because some would ignore it in silence: the
beginning of an answer, too.
text-generation-inference: ``ChatRequest`` and ``GrammarType`` of
https://github.com/huggingface/text-generation-inference/blob/main/router/src/lib.rs, read 2026-11-22.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from omnix_provider.chatcompletions.dialect import EFFORTS, Dialect
from omnix_provider.types import Effort

Embedding = Literal["openai", "pipeline"]
"""By ``/embeddings`` of OpenAI's format, or by hf-inference's pipeline of feature extraction."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """What can be asked of one kind of server, and how."""

    chat: Dialect | None
    embedding: Embedding | None


ROUTER = Abilities(
    Dialect(
        parameters=frozenset({"logit_bias", "tool_prompt"}),
        lacks=frozenset({"n", "parallel_tool_calls"}),
        end_user=False,
        reasoning_field="reasoning",
        # Its strongest word is xhigh; to ask for the most is to ask for that.
        efforts={**EFFORTS, Effort.MAX: "xhigh"},
        media=frozenset({"image"}),
    ),
    "pipeline",
)

TGI = Abilities(
    Dialect(
        parameters=frozenset({"tool_prompt"}),
        lacks=frozenset({"n", "parallel_tool_calls"}),
        end_user=False,
        efforts={},
        switch=None,
        media=frozenset({"image"}),
        json_object=False,  # its grammar needs a schema with properties
        schema_in="value",
        continued="last_message",
    ),
    None,
)

TEI = Abilities(None, "openai")

VLLM = Abilities(
    Dialect(
        parameters=frozenset(
            {"top_k", "min_p", "repetition_penalty", "logit_bias", "chat_template_kwargs", "structured_outputs"}
        ),
        reasoning_field="reasoning",
        switch="chat_template_kwargs",
        continued="continue_final_message",
    ),
    "openai",
)

ENDPOINTS: Mapping[str, Abilities] = MappingProxyType({"tgi": TGI, "tei": TEI, "vllm": VLLM})
