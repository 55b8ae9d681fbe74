import pytest
from omnix_kit.errors import Reason
from omnix_provider.profile import CONTINUED, EMBEDDING, MODE, Profile, Refused, Told
from omnix_provider.scenery import nats as nats
from omnix_provider.scenery import place as place
from omnix_provider.scenery import sandbox as sandbox

BUDGETED = ("alternatives", "planned_budget", "planned_off/budget", "planned_off/switch", "wished_budget")
OVERLOADED = "Google's error within a stream is 503 `UNAVAILABLE`, which says overloaded"
PROFILE = Profile(
    provider="gemini",
    title="Google Gemini",
    model="gemini-3.8-flash",
    models={
        **dict.fromkeys(EMBEDDING, "gemini-embedding-001"),
        **dict.fromkeys(CONTINUED, "gemini-2.5-flash"),
        **dict.fromkeys(BUDGETED, "gemini-2.5-flash"),
        "planned_effort/minimal": "gemini-3-flash-preview",
        "planned_effort/xhigh": "sandbox-chat",
    },
    refused={
        "names_of_speakers": Refused("messages.0.name", "Gemini has no place for it"),
        "one_call_at_a_time": Refused("parallel_tool_calls", "Gemini cannot be told"),
        "planned_effort/max": Refused("reasoning_effort", "Gemini has no such level"),
        "planned_off/effort": Refused("reasoning_effort", "levels cannot be off"),
        "wished_mode": MODE,
        "embedding_of_tokens": Refused("input.0", "Gemini takes texts"),
    },
    told={
        "refused_by_the_vendor/context": Told(
            "Google has no mark for it; told as too long only where OmniX's own estimate agrees",
            reason=Reason.INVALID_REQUEST,
        ),
        "refused_by_the_vendor/504": Told(
            "Google's `DEADLINE_EXCEEDED` is the model's, not a proxy's", reason=Reason.PROVIDER_TIMEOUT
        ),
        "failed_before_content/error-after-0": Told(OVERLOADED, reason=Reason.PROVIDER_OVERLOADED),
        "failed_in_the_middle/error-after-5": Told(OVERLOADED, reason=Reason.PROVIDER_OVERLOADED),
    },
    provisos={
        "end_user": "Gemini has no place for it",
        "cache_breakpoint": "Gemini caches by itself, and is told nothing",
        "long_cache_breakpoint": "Gemini caches by itself, and is told nothing",
        "refusal": "Gemini has no word for it, so it is text",
        "cache_write_tokens": "Gemini caches by itself and does not tell what it wrote",
    },
)


@pytest.fixture(scope="module")
def profile() -> Profile:
    return PROFILE
