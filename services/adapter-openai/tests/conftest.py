import pytest
from omnix_provider.profile import BUDGET, CONTINUED, EMBEDDING, MODE, Profile, Refused
from omnix_provider.scenery import nats as nats
from omnix_provider.scenery import place as place
from omnix_provider.scenery import sandbox as sandbox

SAMPLING = (
    "log_probabilities",
    "stop_sequences",
    "sampling/temperature",
    "sampling/top_p",
    "sampling/frequency_penalty",
    "sampling/presence_penalty",
)
PROFILE = Profile(
    provider="openai",
    title="OpenAI",
    model="gpt-5.6-terra",
    models={
        **dict.fromkeys(EMBEDDING, "text-embedding-3-small"),
        **dict.fromkeys(SAMPLING, "gpt-4.1"),
        "planned_effort/minimal": "gpt-5",
        "planned_effort/max": "gpt-6-sol",
    },
    refused={
        **dict.fromkeys(CONTINUED, Refused("prefix", "OpenAI continues no answer; other servers may be configured to")),
        "sampling/top_k": Refused("top_k", "OpenAI has none; other servers may be configured to take it"),
        "film": Refused("messages.0.content.1", "the format has no films"),
        "result_with_image": Refused("messages.2.content", "OpenAI takes only text from tools"),
        "planned_budget": BUDGET,
        "planned_off/budget": BUDGET,
        "wished_budget": BUDGET,
        "wished_mode": MODE,
        "embedding_purpose": Refused("purpose", "the format has no word for it"),
    },
    provisos={
        "failed_result": "the format has no mark for it, so the result's words tell",
        "shown": "the format never shows reasoning",
    },
)


@pytest.fixture(scope="module")
def profile() -> Profile:
    return PROFILE
