"""In what Google's two services and its models differ, as data and as functions of names. Pure."""

import re
from enum import Enum

_GENERATION = re.compile(r"gemini-(\d+)")
_VERSION = re.compile(r"gemini-(\d{1,4})(?:\.(\d{1,4}))?")
_LAST_TO_CONTINUE = (3, 1)
_NEWEST = 99


class Service(Enum):
    """Where Gemini is asked."""

    DEVELOPER = "developer"
    """The Gemini API, with a key: https://ai.google.dev/api."""
    CLOUD = "cloud"
    """Google Cloud (Vertex AI), with a project: https://docs.cloud.google.com/vertex-ai/generative-ai."""


def generation(model: str) -> int:
    """2 for ``gemini-2.5-pro``. A name without a number, such as ``gemini-flash-latest``, moves with the newest."""
    found = _GENERATION.search(model)
    return _NEWEST if found is None else int(found[1][:4])


def signs_calls(model: str) -> bool:
    """It refuses its own function calls when they come back without their signature.

    https://ai.google.dev/gemini-api/docs/thought-signatures
    """
    return generation(model) >= 3


def takes_media_in_results(model: str) -> bool:
    """A function's result may hold images and documents.

    https://ai.google.dev/gemini-api/docs/function-calling#multimodal
    """
    return generation(model) >= 3


def takes_alternatives(model: str) -> bool:
    """It knows ``candidateCount``, which ended with the third generation."""
    return generation(model) < 3


def continues(model: str) -> bool:
    """It goes on with an answer whose beginning is the last content; Gemini after 3.1 refuses that.

    Nobody at Google says so: https://github.com/pipecat-ai/pipecat/pull/5821,
    https://github.com/LibreChat-AI/agents/pull/323; read 2026-11-22. What is not Gemini is asked.
    """
    found = _VERSION.search(model)
    if found is None:
        return "gemini-" not in model
    return (int(found[1]), int(found[2] or 0)) <= _LAST_TO_CONTINUE


def thinks_by_level(model: str) -> bool:
    """It is told a level; its predecessors a budget. https://ai.google.dev/gemini-api/docs/thinking"""
    return generation(model) >= 3
