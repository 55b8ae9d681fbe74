"""The models that this Hugging Face routes and hosts, and the providers behind the router.

A model's name may end in a provider or a policy: `meta-llama/Llama-3.3-70B-Instruct:groq`, `…:cheapest`.
https://huggingface.co/docs/inference-providers/index#model-names-and-providers (2026-11)
"""

from dataclasses import dataclass
from typing import Any, Final

from omnix_sandbox.steering import MODEL_PREFIX

_CREATED: Final = 1_776_837_885

POLICIES: Final = ("fastest", "cheapest", "preferred")
PROVIDERS: Final = (
    "cerebras",
    "cohere",
    "deepinfra",
    "featherless-ai",
    "fireworks-ai",
    "groq",
    "hf-inference",
    "novita",
    "nscale",
    "ovhcloud",
    "publicai",
    "scaleway",
    "together",
    "zai-org",
)


@dataclass(frozen=True, slots=True)
class Model:
    """A model that is routed; the first provider is the fastest, the last the cheapest."""

    name: str
    providers: tuple[str, ...] = ("groq", "together", "novita")
    context: int = 131_072
    sees: bool = False


_ROUTED: Final = {
    model.name: model
    for model in (
        Model("deepseek-ai/DeepSeek-V4-Pro", ("fireworks-ai", "together", "novita"), 1_048_576),
        Model("deepseek-ai/DeepSeek-V3.2", ("fireworks-ai", "together", "novita"), 163_840),
        Model("deepseek-ai/DeepSeek-R1", ("together", "novita"), 163_840),
        Model("meta-llama/Llama-3.3-70B-Instruct", ("cerebras", "groq", "together", "novita")),
        Model("meta-llama/Llama-3.1-8B-Instruct", ("groq", "together", "novita")),
        Model("meta-llama/Llama-4-Scout-17B-16E-Instruct", ("groq", "together"), 327_680, sees=True),
        Model("openai/gpt-oss-120b", ("cerebras", "groq", "together", "novita")),
        Model("openai/gpt-oss-20b", ("groq", "together", "novita")),
        Model("Qwen/Qwen3-235B-A22B-Instruct-2507", ("cerebras", "together", "novita"), 262_144),
        Model("Qwen/Qwen3-32B", ("groq", "novita"), 40_960),
        Model("Qwen/Qwen3-VL-235B-A22B-Instruct", ("together", "novita"), 262_144, sees=True),
        Model("moonshotai/Kimi-K2-Instruct-0905", ("groq", "together", "novita"), 262_144),
        Model("zai-org/GLM-4.6", ("zai-org", "novita"), 202_752),
        Model("google/gemma-3-27b-it", ("scaleway", "featherless-ai"), 131_072, sees=True),
        Model("mistralai/Mistral-7B-Instruct-v0.3", ("together", "featherless-ai"), 32_768),
        Model("MiniMaxAI/MiniMax-M2.1", ("together", "novita"), 204_800),
        Model("MiniMaxAI/MiniMax-M2.5", ("together", "novita"), 204_800),
        Model("MiniMaxAI/MiniMax-M2.7", ("together", "novita"), 204_800),
        Model("MiniMaxAI/MiniMax-M2", ("together", "novita"), 204_800),
        Model("MiniMaxAI/MiniMax-M3", ("together", "novita"), 524_288, sees=True),
        Model("Qwen/Qwen3-235B-A22B-Thinking-2507", ("together", "novita"), 262_144),
        Model("Qwen/Qwen3-Coder-30B-A3B-Instruct", ("together", "novita"), 262_144),
        Model("Qwen/Qwen3-Coder-480B-A35B-Instruct", ("together", "novita"), 262_144),
        Model("Qwen/Qwen3-Coder-Next", ("together", "novita"), 262_144),
        Model("Qwen/Qwen3-Next-80B-A3B-Instruct", ("together", "novita"), 262_144),
        Model("Qwen/Qwen3-Next-80B-A3B-Thinking", ("together", "novita"), 262_144),
        Model("Qwen/Qwen3.5-122B-A10B", ("together", "novita"), 262_144, sees=True),
        Model("Qwen/Qwen3.5-27B", ("together", "novita"), 262_144, sees=True),
        Model("Qwen/Qwen3.5-35B-A3B", ("together", "novita"), 262_144, sees=True),
        Model("Qwen/Qwen3.5-397B-A17B", ("together", "novita"), 262_144, sees=True),
        Model("Qwen/Qwen3.5-9B", ("together", "novita"), 262_144, sees=True),
        Model("Qwen/Qwen3.6-27B", ("together", "novita"), 262_144, sees=True),
        Model("Qwen/Qwen3.6-35B-A3B", ("together", "novita"), 262_144, sees=True),
        Model("XiaomiMiMo/MiMo-V2.5-Pro", ("together", "novita"), 1_048_576),
        Model("deepseek-ai/DeepSeek-R1-0528", ("fireworks-ai", "together", "novita"), 163_840),
        Model("deepseek-ai/DeepSeek-V4-Flash", ("fireworks-ai", "together", "novita"), 1_048_576),
        Model("google/gemma-4-26B-A4B-it", ("together", "novita"), 262_144, sees=True),
        Model("google/gemma-4-31B-it", ("together", "novita"), 262_144, sees=True),
        Model("moonshotai/Kimi-K2-Thinking", ("together", "novita"), 262_144),
        Model("moonshotai/Kimi-K2.5", ("together", "novita"), 262_144, sees=True),
        Model("moonshotai/Kimi-K2.6", ("together", "novita"), 262_144, sees=True),
        Model("moonshotai/Kimi-K2.7-Code", ("together", "novita"), 262_144, sees=True),
        Model("stepfun-ai/Step-3.5-Flash", ("together", "novita"), 262_144),
        Model("stepfun-ai/Step-3.7-Flash", ("together", "novita"), 262_144, sees=True),
        Model("zai-org/GLM-4.5-Air", ("zai-org", "novita"), 131_072),
        Model("zai-org/GLM-4.5V", ("zai-org", "novita"), 65_536, sees=True),
        Model("zai-org/GLM-4.7", ("zai-org", "novita"), 204_800),
        Model("zai-org/GLM-5.1", ("zai-org", "novita"), 202_752),
        Model("zai-org/GLM-5.2", ("zai-org", "novita"), 262_144),
    )
}

EMBEDDERS: Final = {
    "BAAI/bge-m3": 1024,
    "BAAI/bge-large-en-v1.5": 1024,
    "sentence-transformers/all-MiniLM-L6-v2": 384,
    "intfloat/multilingual-e5-large": 1024,
    "intfloat/multilingual-e5-large-instruct": 1024,
    "google/embeddinggemma-300m": 768,
    "Qwen/Qwen3-Embedding-4B": 2560,
    "Qwen/Qwen3-Embedding-8B": 4096,
}
"""Models that hf-inference makes vectors by, with their dimensions."""

SANDBOX_DIMENSIONS: Final = 1024
HOSTED: Final = "meta-llama/Llama-3.1-8B-Instruct"
"""What the TGI server hosts."""
EMBEDDING_HOSTED: Final = "BAAI/bge-m3"
"""What the TEI server hosts."""

NAMES: Final = (*_ROUTED, "sandbox-chat")


def find(name: str) -> Model | None:
    """A routed model by its name without suffix, or one of the sandbox's own, of which there is no end."""
    return Model(name) if name.startswith(MODEL_PREFIX) else _ROUTED.get(name)


def dimensions_of(name: str) -> int | None:
    return SANDBOX_DIMENSIONS if name.startswith(MODEL_PREFIX) else EMBEDDERS.get(name)


def provider_of(model: Model, suffix: str) -> str | None:
    """The provider that a suffix leads to; None where it serves the model not."""
    if suffix in ("", "fastest", "preferred"):
        return model.providers[0]
    if suffix == "cheapest":
        return model.providers[-1]
    served = suffix in PROVIDERS if model.name.startswith(MODEL_PREFIX) else suffix in model.providers
    return suffix if served else None


def served_as(model: str, provider: str) -> str:
    """The name under which a provider answers, which is often its own."""
    if model.startswith(MODEL_PREFIX):
        return model
    short = model.rpartition("/")[2]
    return {
        "groq": short.lower(),
        "together": f"{model}-Turbo",
        "fireworks-ai": f"accounts/fireworks/models/{short.lower().replace('.', 'p')}",
    }.get(provider, model)


def described(name: str) -> dict[str, Any]:
    """As the router lists it: https://huggingface.co/docs/inference-providers/hub-api#list-openai-compatible-models."""
    model = find(name) or Model(name)
    return {
        "id": name,
        "object": "model",
        "created": _CREATED,
        "owned_by": name.partition("/")[0] if "/" in name else "omnix-sandbox",
        "architecture": {
            "input_modalities": ["text", "image"] if model.sees else ["text"],
            "output_modalities": ["text"],
        },
        "providers": [
            {
                "provider": provider,
                "status": "live",
                "context_length": model.context,
                "pricing": {"input": 0.6 - at / 10, "output": 1.2 - at / 5},
                "supports_tools": True,
                "supports_structured_output": provider != "featherless-ai",
                "first_token_latency_ms": 300 + 200 * at,
                "throughput": 200 / (at + 1),
                "is_model_author": provider == "zai-org",
            }
            for at, provider in enumerate(model.providers)
        ],
    }
