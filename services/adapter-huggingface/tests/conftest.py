import pytest
from omnix_provider.profile import BUDGET, CONTINUED, EMBEDDING, MODE, Profile, Refused, Told
from omnix_provider.scenery import nats as nats
from omnix_provider.scenery import place as place
from omnix_provider.scenery import sandbox as sandbox

PROFILE = Profile(
    provider="huggingface",
    title="Hugging Face",
    model="openai/gpt-oss-120b",
    models=dict.fromkeys(EMBEDDING, "BAAI/bge-m3"),
    refused={
        **dict.fromkeys(
            (*CONTINUED, "beginning_not_taken"),
            Refused("prefix", "not in the router's specification; endpoints of one's own continue answers"),
        ),
        "alternatives": Refused("n", "not in the router's specification, and some providers ignore it"),
        "one_call_at_a_time": Refused(
            "parallel_tool_calls", "not in the router's specification, and some providers ignore it"
        ),
        "sound": Refused("messages.0.content.1", "the router takes texts and images"),
        "pdf": Refused("messages.0.content.1", "the router takes texts and images"),
        "film": Refused("messages.0.content.1", "the router takes texts and images"),
        "result_with_image": Refused("messages.2.content", "the format takes only text from tools"),
        "sampling/top_k": Refused("top_k", "not in the router's specification"),
        "planned_budget": BUDGET,
        "planned_off/budget": BUDGET,
        "wished_budget": BUDGET,
        "wished_mode": MODE,
        "embedding_purpose": Refused("purpose", "the pipeline has no word for it"),
        "embedding_of_tokens": Refused("input", "the pipeline takes texts"),
    },
    told={
        "refused_by_the_vendor/quota": Told("the router says 402", status=402),
    },
    provisos={
        "failed_result": "the format has no mark for it, so the result's words tell",
        "end_user": "the router has no place for it",
        "planned_effort/max": "its strongest word is `xhigh`, which is sent",
        "cache_breakpoint": "servers keep prefixes by themselves, and are told nothing",
        "long_cache_breakpoint": "servers keep prefixes by themselves, and are told nothing",
        "refusal": "the router's providers have no word for it, so it is text",
        "embedding_usage": "the pipeline does not count",
    },
)


@pytest.fixture(scope="module")
def profile() -> Profile:
    return PROFILE
