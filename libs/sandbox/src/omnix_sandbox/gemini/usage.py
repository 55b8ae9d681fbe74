"""What Google tells of the tokens.

The prompt's number includes the cached ones, the candidates' number leaves out the thoughts, and a zero is not told.
https://ai.google.dev/api/generate-content#UsageMetadata
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from omnix_sandbox.formats import Billing
from omnix_sandbox.gemini.prompt import is_media
from omnix_sandbox.gemini.request import GenerateContentRequest
from omnix_sandbox.script import TOKENS_PER_ATTACHMENT


def modality_of(mime_type: str) -> str:
    kind = mime_type.partition("/")[0].upper()
    return kind if kind in ("IMAGE", "AUDIO", "VIDEO") else "DOCUMENT"


def media_of(request: GenerateContentRequest) -> Mapping[str, int]:
    """How many media of each modality a request has."""
    found: Counter[str] = Counter()
    for content in request.contents:
        for part in content.parts:
            if is_media(part):
                media = part.inline_data or part.file_data
                found[modality_of(media.mime_type if media is not None else "")] += 1
            if part.function_response is not None:
                for inner in part.function_response.parts:
                    media = inner.inline_data or inner.file_data
                    found[modality_of(media.mime_type if media is not None else "")] += 1
    return found


def details(tokens: int, media: Mapping[str, int]) -> list[dict[str, Any]]:
    """Tokens by modality."""
    others = {modality: number * TOKENS_PER_ATTACHMENT for modality, number in media.items()}
    told = {"TEXT": tokens - sum(others.values()), **others}
    return [{"modality": modality, "tokenCount": number} for modality, number in told.items() if number > 0]


def usage_of(billing: Billing, media: Mapping[str, int], *, vertex: bool) -> dict[str, Any]:
    candidates = billing.output_tokens - billing.reasoning_tokens
    told: dict[str, Any] = {
        "promptTokenCount": billing.input_tokens,
        "candidatesTokenCount": candidates,
        "totalTokenCount": billing.input_tokens + billing.output_tokens,
        "cachedContentTokenCount": billing.cached_tokens,
        "promptTokensDetails": details(billing.input_tokens, media),
        "cacheTokensDetails": details(billing.cached_tokens, {}),
        "candidatesTokensDetails": details(candidates, {}) if vertex else [],
        "thoughtsTokenCount": billing.reasoning_tokens,
        "trafficType": "ON_DEMAND" if vertex else "",
    }
    return {name: value for name, value in told.items() if value}
