import pytest
from omnix_kit.errors import Reason
from omnix_provider.profile import CONTINUED, EMBEDDING, MODE, Profile, Refused, Told
from omnix_provider.scenery import nats as nats
from omnix_provider.scenery import place as place
from omnix_provider.scenery import sandbox as sandbox

PROFILE = Profile(
    provider="bedrock",
    title="Amazon Bedrock",
    model="us.anthropic.claude-opus-4-6-v1",
    models={
        **dict.fromkeys(EMBEDDING, "cohere.embed-v4:0"),
        **dict.fromkeys(CONTINUED, "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        "planned_off/effort": "us.anthropic.claude-sonnet-5",
        "planned_off/switch": "us.anthropic.claude-sonnet-5",
    },
    refused={
        "alternatives": Refused("n", "Converse gives one answer"),
        "log_probabilities": Refused("logprobs", "Converse tells none"),
        "names_of_speakers": Refused("messages.0.name", "Converse has no place for it"),
        "sampling/frequency_penalty": Refused("frequency_penalty", "Converse has none"),
        "sampling/presence_penalty": Refused("presence_penalty", "Converse has none"),
        "seed": Refused("seed", "Converse has none"),
        "json": Refused("response_format", "Converse knows JSON by a schema only"),
        "image_by_address": Refused(
            "messages.0.content.1", "Bedrock fetches from S3 only; the gateway fetches the rest"
        ),
        "image_detail": Refused("messages.0.content.1.image_url.detail", "Bedrock cannot be told"),
        "planned_effort/minimal": Refused("reasoning_effort", "Converse has no such effort"),
        "wished_mode": MODE,
        "embedding_of_tokens": Refused("input.0", "Bedrock takes texts"),
    },
    told={
        "refused_by_the_vendor/quota": Told("AWS says 400 `ServiceQuotaExceededException`", status=400),
        "refused_by_the_vendor/context": Told(
            "a `ValidationException` like any other, told by its text alone", reason=Reason.INVALID_REQUEST
        ),
    },
    provisos={
        "whole_answer": "Converse does not say which model answered",
        "refusal": "Converse has no word for it, so it is text",
        "reasoning_tokens": "Converse counts them in the output and does not tell them apart",
    },
)


@pytest.fixture(scope="module")
def profile() -> Profile:
    return PROFILE
