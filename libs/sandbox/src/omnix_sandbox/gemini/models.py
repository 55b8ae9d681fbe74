"""The models that this Google knows, and what each may be asked.

Thinking by budget or by level: https://ai.google.dev/gemini-api/docs/thinking,
https://docs.cloud.google.com/vertex-ai/generative-ai/docs/thinking; both as of 2026-11.
"""

from dataclasses import dataclass
from typing import Any, Final

from omnix_sandbox.steering import MODEL_PREFIX


@dataclass(frozen=True, slots=True)
class Thinking:
    """What a model's thinking is told by: levels, or a budget from `least` to `most`, with 0 where it can be off."""

    levels: tuple[str, ...] = ()
    least: int = 0
    most: int = 0
    can_be_off: bool = False


@dataclass(frozen=True, slots=True)
class Model:
    """One model; `dimensions` are those of its vectors, 0 where it makes none. The sandbox's own do both."""

    name: str
    version: str = "001"
    input_limit: int = 1_048_576
    output_limit: int = 65_536
    thinking: Thinking | None = None
    dimensions: int = 0

    @property
    def makes_texts(self) -> bool:
        return not self.dimensions or self.name.startswith(MODEL_PREFIX)

    @property
    def methods(self) -> tuple[str, ...]:
        texts = ("generateContent", "createCachedContent", "batchGenerateContent") if self.makes_texts else ()
        vectors = ("embedContent", "countTextTokens", "asyncBatchEmbedContent") if self.dimensions else ()
        return (*texts, *vectors, "countTokens")

    @property
    def display_name(self) -> str:
        return self.name.replace("-", " ").title()


_ALL: Final = Thinking(("MINIMAL", "LOW", "MEDIUM", "HIGH"))
_NOT_MINIMAL: Final = Thinking(("LOW", "MEDIUM", "HIGH"))
_ANYTHING: Final = Thinking(("MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"), 0, 65_536, can_be_off=True)

_MODELS: Final = {
    model.name: model
    for model in (
        Model("gemini-4-carbon", output_limit=1_048_576, thinking=_NOT_MINIMAL),
        Model("gemini-4-argon", output_limit=1_048_576, thinking=_NOT_MINIMAL),
        Model("gemini-3.8-flash", thinking=_NOT_MINIMAL),
        Model("gemini-3.7-flash", thinking=_NOT_MINIMAL),
        Model("gemini-3.6-flash", thinking=_ALL),
        Model("gemini-3.5-flash", thinking=_ALL),
        Model("gemini-3.5-flash-lite", thinking=_ALL),
        Model("gemini-3.1-pro-preview", "3.1-pro-preview-01-2026", thinking=_NOT_MINIMAL),
        Model("gemini-3.1-flash-lite", thinking=_ALL),
        Model("gemini-3-pro-preview", "3-pro-preview-11-2025", thinking=Thinking(("LOW", "HIGH"))),
        Model("gemini-3-flash-preview", "3-flash-preview-12-2025", thinking=_ALL),
        Model("gemini-2.5-pro", "2.5", thinking=Thinking((), 128, 32_768)),
        Model("gemini-2.5-flash", thinking=Thinking((), 1, 24_576, can_be_off=True)),
        Model("gemini-2.5-flash-lite", thinking=Thinking((), 512, 24_576, can_be_off=True)),
        Model("gemini-2.0-flash", "2.0", output_limit=8_192),
        Model("gemini-2.0-flash-lite", "2.0", output_limit=8_192),
        Model("gemma-4-31b-it", input_limit=262_144, output_limit=32_768, thinking=Thinking(("MINIMAL", "HIGH"))),
        Model("gemma-4-26b-a4b-it", input_limit=262_144, output_limit=32_768, thinking=Thinking(("MINIMAL", "HIGH"))),
        Model("gemini-flash-latest", thinking=_NOT_MINIMAL),
        Model("gemini-pro-latest", thinking=_NOT_MINIMAL),
        Model("gemini-embedding-2", input_limit=8_192, output_limit=1, dimensions=3072),
        Model("gemini-embedding-2-preview", input_limit=8_192, output_limit=1, dimensions=3072),
        Model("gemini-embedding-001", input_limit=2_048, output_limit=1, dimensions=3072),
        Model("text-embedding-005", input_limit=2_048, output_limit=1, dimensions=768),
        Model("text-multilingual-embedding-002", input_limit=2_048, output_limit=1, dimensions=768),
        Model("sandbox-chat", thinking=_ANYTHING, dimensions=3072),
    )
}
_ALIASES: Final = {"gemini-flash-latest": "gemini-3.8-flash", "gemini-pro-latest": "gemini-3.1-pro-preview"}

NAMES: Final = tuple(_MODELS)


def find(name: str) -> Model | None:
    """A listed model, or one of the sandbox's own, of which there is no end."""
    if name.startswith(MODEL_PREFIX):
        return Model(name, thinking=_ANYTHING, dimensions=3072)
    return _MODELS.get(name)


def version_of(name: str) -> str:
    """The name under which the model answers."""
    return _ALIASES.get(name, name)


def is_third(name: str) -> bool:
    """Whether the model is of those generations that insist on their thought signatures and number their calls."""
    return version_of(name).startswith(("gemini-3", "gemini-4"))


def takes_prefix(name: str) -> bool:
    """Whether the last content may be the model's, which the answer then continues.

    Nobody documents it; models up to 3.1 do so: https://github.com/pipecat-ai/pipecat/pull/5821, read 2026-11-22.
    """
    return version_of(name).startswith((MODEL_PREFIX, "gemini-2.", "gemini-3-", "gemini-3.1-"))


def is_second(name: str) -> bool:
    """Whether the model is of the generation that has no ids for calls and tells parallel ones in one event."""
    return version_of(name).startswith("gemini-2")


def described(model: Model) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": f"models/{model.name}",
        "version": model.version,
        "displayName": model.display_name,
        "description": f"The sandbox's {model.display_name}.",
        "inputTokenLimit": model.input_limit,
        "outputTokenLimit": model.output_limit,
        "supportedGenerationMethods": list(model.methods),
    }
    if model.makes_texts:
        told |= {"temperature": 1, "topP": 0.95, "topK": 64, "maxTemperature": 2}
        if model.thinking is not None:
            told["thinking"] = True
    return told


def described_to_vertex(model: Model) -> dict[str, Any]:
    stage = "PUBLIC_PREVIEW" if "preview" in model.name else "GA"
    return {
        "name": f"publishers/google/models/{model.name}",
        "versionId": "default",
        "openSourceCategory": "PROPRIETARY",
        "launchStage": stage,
        "publisherModelTemplate": (
            f"projects/{{user-project}}/locations/{{location}}/publishers/google/models/{model.name}@default"
        ),
    }
