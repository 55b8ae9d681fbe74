"""The models this OpenAI knows."""

from typing import Final

from omnix_sandbox.steering import MODEL_PREFIX

_CREATED: Final = 1_715_367_049

_SNAPSHOTS: Final = {
    "gpt-6.2-astra": "gpt-6.2-astra",
    "gpt-6.2-sol": "gpt-6.2-sol",
    "gpt-6.1-sol": "gpt-6.1-sol",
    "gpt-6.1-terra": "gpt-6.1-terra",
    "gpt-6-astra": "gpt-6-astra",
    "gpt-6-sol": "gpt-6-sol",
    "gpt-6-luna": "gpt-6-luna",
    "gpt-5.6-sol": "gpt-5.6-sol",
    "gpt-5.6-terra": "gpt-5.6-terra",
    "gpt-5.6-luna": "gpt-5.6-luna",
    "gpt-5.5": "gpt-5.5-2026-04-23",
    "gpt-5.4": "gpt-5.4-2026-03-05",
    "gpt-5.4-mini": "gpt-5.4-mini-2026-03-17",
    "gpt-5.4-nano": "gpt-5.4-nano-2026-03-17",
    "gpt-5.2": "gpt-5.2-2025-12-11",
    "gpt-5.1": "gpt-5.1-2025-11-13",
    "gpt-5": "gpt-5-2025-08-07",
    "gpt-5-mini": "gpt-5-mini-2025-08-07",
    "gpt-5-nano": "gpt-5-nano-2025-08-07",
    "gpt-4.1": "gpt-4.1-2025-04-14",
    "gpt-4.1-mini": "gpt-4.1-mini-2025-04-14",
    "gpt-4.1-nano": "gpt-4.1-nano-2025-04-14",
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-audio": "gpt-audio-2025-08-28",
    "gpt-audio-1.5": "gpt-audio-1.5",
    "gpt-audio-mini": "gpt-audio-mini-2025-12-15",
    "gpt-4-turbo": "gpt-4-turbo-2024-04-09",
    "gpt-4": "gpt-4-0613",
    "gpt-3.5-turbo": "gpt-3.5-turbo-0125",
    "o4-mini": "o4-mini-2025-04-16",
    "o3": "o3-2025-04-16",
    "o3-mini": "o3-mini-2025-01-31",
    "o1": "o1-2024-12-17",
}
"""What an alias answers as."""

CHAT: Final = tuple(dict.fromkeys([*_SNAPSHOTS, *_SNAPSHOTS.values(), "gpt-4o-2024-11-20", "sandbox-chat"]))
DIMENSIONS: Final = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
"""Embedding models, and how long their vectors are."""
NAMES: Final = (*CHAT, *DIMENSIONS)
_KNOWN: Final = frozenset(NAMES)


def is_known(model: str) -> bool:
    """Whether the model is listed, or one of the sandbox's own, of which there is no end."""
    return model in _KNOWN or model.startswith(MODEL_PREFIX)


def snapshot(model: str) -> str:
    """The name under which the model answers."""
    return _SNAPSHOTS.get(model, model)


def described(model: str) -> dict[str, object]:
    owner = "omnix-sandbox" if model.startswith(MODEL_PREFIX) else "system"
    return {"id": model, "object": "model", "created": _CREATED, "owned_by": owner}
