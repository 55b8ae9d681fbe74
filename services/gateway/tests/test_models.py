"""What can be asked for, and what it costs."""

import openai
import pytest
from omnix.completion.v1 import completion_pb2 as pb
from omnix.router.v1 import router_pb2

from .conftest import Gateway
from .fakes import Backends


def a_model() -> router_pb2.Model:
    model = router_pb2.Model(
        id="openai/gpt-4o",
        provider="openai",
        model="gpt-4o",
        aliases=["gpt-4o"],
        display_name="GPT-4o",
        context_window=128_000,
        max_output_tokens=16_384,
        capabilities=["text", "tools"],
        sandbox=True,
    )
    model.price.currency = "USD"
    model.price.effective_time.seconds = 1_700_000_000
    model.price.input_micros_per_million = 2_500_000
    model.price.output_micros_per_million = 10_000_000
    model.price.cached_input_micros_per_million = 1_250_000
    model.price.long_cache_write_micros_per_million = 5_000_000
    model.price.audio_input_micros_per_million = 32_000_000
    model.price.batch_input_micros_per_million = 1_250_000
    model.price.tiers.add(
        above_input_tokens=200_000, input_micros_per_million=5_000_000, output_micros_per_million=20_000_000
    )
    model.reasoning.control = pb.ReasoningPlan.CONTROL_EFFORT
    model.reasoning.efforts.extend(
        [pb.Reasoning.EFFORT_MINIMAL, pb.Reasoning.EFFORT_LOW, pb.Reasoning.EFFORT_EXTRA_HIGH]
    )
    model.reasoning.can_disable = True
    model.reasoning.modes.extend([pb.COMPUTE_MODE_FLASH, pb.COMPUTE_MODE_ULTRA_THINK])
    model.create_time.seconds = 1_715_367_049
    return model


async def test_models_tell_prices_and_capabilities(gateway: Gateway, behind: Backends) -> None:
    route = router_pb2.Model(id="fast", display_name="fast")
    route.targets.add(provider="openai", model="gpt-4o", weight=1)
    behind.router.models = [a_model(), route]
    listed = [model async for model in gateway.openai.models.list()]
    assert [model.id for model in listed] == ["openai/gpt-4o", "fast"]
    for name in ("openai/gpt-4o", "gpt-4o"):
        told = (await gateway.http.get(f"/v1/models/{name}")).json()
        assert told == {
            "id": "openai/gpt-4o",
            "object": "model",
            "created": 1_715_367_049,
            "owned_by": "openai",
            "shutdown_date": None,
            "provider": "openai",
            "model": "gpt-4o",
            "aliases": ["gpt-4o"],
            "display_name": "GPT-4o",
            "context_window": 128_000,
            "max_output_tokens": 16_384,
            "capabilities": ["text", "tools"],
            "reasoning": {
                "control": "effort",
                "efforts": ["minimal", "low", "xhigh"],
                "min_budget_tokens": None,
                "max_budget_tokens": None,
                "can_disable": True,
                "modes": ["flash", "ultra-think"],
            },
            "pricing": {
                "currency": "USD",
                "unit": "1M tokens",
                "input": "2.500000",
                "output": "10.000000",
                "cached_input": "1.250000",
                "cache_write": None,
                "long_cache_write": "5.000000",
                "reasoning": None,
                "audio_input": "32.000000",
                "audio_output": None,
                "batch_input": "1.250000",
                "batch_output": None,
                "tiers": [
                    {
                        "above_input_tokens": 200_000,
                        "input": "5.000000",
                        "output": "20.000000",
                        "cached_input": None,
                        "cache_write": None,
                        "long_cache_write": None,
                        "reasoning": None,
                    }
                ],
                "effective": 1_700_000_000,
            },
            "retirement": None,
            "sandbox": True,
        }
    told = (await gateway.http.get("/v1/models/fast")).json()
    assert (told["reasoning"], told["pricing"]) == (None, None)
    assert told["targets"] == [{"provider": "openai", "model": "gpt-4o", "weight": 1}]
    with pytest.raises(openai.NotFoundError) as missing:
        await gateway.openai.models.retrieve("nothing")
    assert missing.value.code == "model_not_found"
