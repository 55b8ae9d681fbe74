"""Any text is read as a price map or refused with a sentence."""

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omnix_router.catalogue.entries import File, ModelEntry, models_of
from omnix_router.catalogue.pricemap import PriceMapError, read
from omnix_router.catalogue.pricing import PriceEntry, TierEntry

DAY = date(2026, 11, 25)
CHAT = {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06}


def one(name: str, **entry: Any) -> ModelEntry:
    found = read(json.dumps({name: {**CHAT, **entry}}), DAY)
    assert found.left_out == {}
    [model] = found.models.values()
    return model


def test_chat_model_is_read_whole() -> None:
    # The fields and their spelling are those of the map of 2026-11-22:
    # https://github.com/BerriAI/litellm/blob/main/model_prices_and_context_window.json
    text = """{
      "sample_spec": {"litellm_provider": "one of https://docs.litellm.ai/docs/providers", "max_input_tokens": "text"},
      "anthropic.claude-haiku-5-5": {
        "litellm_provider": "bedrock_converse", "mode": "chat",
        "max_input_tokens": 1000000, "max_output_tokens": 128000, "max_tokens": 128000,
        "input_cost_per_token": 1e-07, "output_cost_per_token": 5e-07,
        "input_cost_per_token_above_100k_tokens": 5e-07, "output_cost_per_token_above_100k_tokens": 2.5e-06,
        "cache_creation_input_token_cost": 1.25e-07, "cache_creation_input_token_cost_above_1hr": 2e-07,
        "cache_creation_input_token_cost_above_100k_tokens": 6.25e-07,
        "cache_creation_input_token_cost_above_1hr_above_100k_tokens": 1e-06,
        "cache_read_input_token_cost": 1e-08, "cache_read_input_token_cost_above_100k_tokens": 5e-08,
        "input_cost_per_token_batches": 5e-08, "output_cost_per_token_batches": 2.5e-07,
        "deprecation_date": "2027-10-07",
        "supports_function_calling": true, "supports_pdf_input": true, "supports_prompt_caching": true,
        "supports_reasoning": true, "supports_response_schema": true, "supports_vision": true
      }
    }"""
    assert read(text, DAY).models == {
        ("bedrock", "anthropic.claude-haiku-5-5"): ModelEntry(
            model="anthropic.claude-haiku-5-5",
            provider="bedrock",
            context_window=1_000_000,
            max_output_tokens=128_000,
            capabilities=[
                "text",
                "image",
                "file",
                "tools",
                "json",
                "json_schema",
                "reasoning",
                "cache",
                "system",
                "streaming",
            ],
            retires=date(2027, 10, 7),
            prices=[
                PriceEntry(
                    since=DAY,
                    input=Decimal("0.1"),
                    output=Decimal("0.5"),
                    cached_input=Decimal("0.01"),
                    cache_write=Decimal("0.125"),
                    long_cache_write=Decimal("0.2"),
                    batch_input=Decimal("0.05"),
                    batch_output=Decimal("0.25"),
                    tiers=[
                        TierEntry(
                            above=100_000,
                            input=Decimal("0.5"),
                            output=Decimal("2.5"),
                            cached_input=Decimal("0.05"),
                            cache_write=Decimal("0.625"),
                            long_cache_write=Decimal(1),
                        )
                    ],
                )
            ],
        )
    }


@pytest.mark.parametrize(
    ("name", "provider", "key"),
    [
        ("gpt-4o", "openai", ("openai", "gpt-4o")),
        ("openai/gpt-4o", "openai", ("openai", "gpt-4o")),
        ("us.amazon.nova-pro-v1:0", "bedrock_converse", ("bedrock", "us.amazon.nova-pro-v1:0")),
        ("bedrock/us.amazon.nova-pro-v1:0", "bedrock", ("bedrock", "us.amazon.nova-pro-v1:0")),
        ("gemini/gemini-2.5-pro", "gemini", ("gemini", "gemini-2.5-pro")),
        ("gemini-2.5-pro", "vertex_ai-language-models", ("gemini", "gemini-2.5-pro")),
        ("vertex_ai/gemini-3.1-flash-lite", "vertex_ai", ("gemini", "gemini-3.1-flash-lite")),
        ("huggingface/Qwen/Qwen3-32B", "huggingface", ("huggingface", "Qwen/Qwen3-32B")),
    ],
)
def test_name_is_the_vendors_own(name: str, provider: str, key: tuple[str, str]) -> None:
    model = one(name, litellm_provider=provider)
    assert (model.provider, model.model) == key


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("claude-3", {"litellm_provider": "anthropic"}),
        ("claude@1", {"litellm_provider": "vertex_ai-anthropic_models"}),
        ("whisper-1", {"mode": "audio_transcription"}),
        ("gpt-5-codex", {"mode": "responses"}),
        ("ft:gpt-4o-2024-08-06", {}),
        ("bedrock/us-east-1/amazon.nova-pro-v1:0", {"litellm_provider": "bedrock"}),
        ("bedrock/us-west-2/1-month-commitment/anthropic.claude-v1", {"litellm_provider": "bedrock"}),
        ("", {}),
        ("a\nb", {}),
        ("x" * 257, {}),
        ("strange", {"litellm_provider": ["openai"]}),
        ("strange", {"mode": {"chat": 1}}),
    ],
)
def test_what_is_none_of_ours_is_passed_over(name: str, entry: dict[str, Any]) -> None:
    found = read(json.dumps({name: {**CHAT, **entry}, "gpt-4o": CHAT, "text": "no object"}), DAY)
    assert list(found.models) == [("openai", "gpt-4o")]
    assert found.left_out == {}


@pytest.mark.parametrize("turned", [False, True])
def test_entry_of_the_gemini_api_wins_over_that_of_vertex(turned: bool) -> None:
    entries = [
        ("gemini/gemini-2.5-pro", {**CHAT, "litellm_provider": "gemini", "max_input_tokens": 1}),
        ("gemini-2.5-pro", {**CHAT, "litellm_provider": "vertex_ai-language-models", "max_input_tokens": 2}),
    ]
    found = read(json.dumps(dict(reversed(entries) if turned else entries)), DAY)
    assert found.models["gemini", "gemini-2.5-pro"].context_window == 1


def test_embedding_model_costs_nothing_for_its_output() -> None:
    model = one("text-embedding-3-small", mode="embedding", output_cost_per_token=0, output_vector_size=1536)
    assert model.capabilities == ["text", "embeddings"]
    assert [(price.input, price.output) for price in model.prices] == [(Decimal(1), Decimal(0))]
    # The map tells the usual length only; that it is the only one cannot be concluded.
    assert model.dimensions == []


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1e-06", "1"),
        ("0.000001", "1"),
        ("2.5e-06", "2.5"),
        ("7.5e-08", "0.075"),
        ("3e-7", "0.3"),
        ("9.999999999999999e-08", "0.1"),
        ("1.0000000000000002e-06", "1"),
        ("1e-12", "0.000001"),
        ("1", "1000000"),
    ],
)
def test_price_of_a_token_becomes_that_of_a_million_exactly(written: str, meant: str) -> None:
    entry = json.dumps(CHAT).replace('"input_cost_per_token": 1e-06', f'"input_cost_per_token": {written}')
    [model] = read(f'{{"gpt-4o": {entry}}}', DAY).models.values()
    assert model.prices[0].input == Decimal(meant)


def test_rate_that_says_nothing_of_its_own_is_left_away() -> None:
    [price] = one(
        "gpt-4o",
        output_cost_per_reasoning_token=2e-06,
        input_cost_per_audio_token=1e-06,
        output_cost_per_audio_token=8e-06,
    ).prices
    assert (price.reasoning, price.audio_input, price.audio_output) == (None, None, Decimal(8))


def test_tier_holds_on_to_what_it_does_not_state() -> None:
    [price] = one("gpt-4o", cache_read_input_token_cost=1e-07, input_cost_per_token_above_200k_tokens=4e-06).prices
    assert price.tiers == [TierEntry(above=200_000, input=Decimal(4), output=Decimal(2), cached_input=Decimal("0.1"))]


@pytest.mark.parametrize(
    ("entry", "free"),
    [
        ({"input_cost_per_token": 0, "output_cost_per_token": 0}, True),
        ({"input_cost_per_token": 0.0, "output_cost_per_token": None}, True),
        ({"input_cost_per_token": None}, False),
        ({"output_cost_per_token": None}, False),
    ],
)
def test_price_of_zero_or_none_is_unknown(entry: dict[str, Any], free: bool) -> None:
    found = read(json.dumps({"gpt-4o": {**CHAT, **entry}}), DAY)
    assert found.models["openai", "gpt-4o"].prices == []
    assert (("openai", "gpt-4o") in found.free) is free


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"input_cost_per_token": "1e-06"}, "input_cost_per_token is a text and not a number"),
        ({"output_cost_per_token": True}, "output_cost_per_token is true or false and not a number"),
        ({"output_cost_per_token": [1]}, "output_cost_per_token is a list and not a number"),
        ({"cache_read_input_token_cost": {}}, "cache_read_input_token_cost is an object and not a number"),
        ({"input_cost_per_token": -1e-06}, "input_cost_per_token is not a price for a token"),
        ({"input_cost_per_token": 1.5}, "input_cost_per_token is not a price for a token"),
        ({"input_cost_per_token": 10**40}, "input_cost_per_token is not a price for a token"),
        ({"input_cost_per_token": 1e-13}, "input_cost_per_token is less than a millionth for a million tokens"),
        ({"max_input_tokens": "8k"}, "max_input_tokens is a text and not a number"),
        ({"max_output_tokens": 1.5}, "max_output_tokens is not a number of tokens"),
        ({"max_output_tokens": -1}, "max_output_tokens is not a number of tokens"),
        ({"max_output_tokens": 10**12}, "max_output_tokens is not a number of tokens"),
        ({"supports_vision": "yes"}, "supports_vision is a text and neither true nor false"),
        ({"deprecation_date": "soon"}, "deprecation_date is not a day such as 2027-01-31"),
        ({"deprecation_date": 2027}, "deprecation_date is not a day such as 2027-01-31"),
    ],
)
def test_entry_that_makes_no_sense_is_left_out_and_told(entry: dict[str, Any], why: str) -> None:
    found = read(json.dumps({"bad": {**CHAT, **entry}, "good": CHAT}), DAY)
    assert found.left_out == {"bad": why}
    assert list(found.models) == [("openai", "good")]


def test_what_the_map_has_no_word_for_is_left_to_the_vendor() -> None:
    assert one("gpt-4").capabilities == ["text", "system", "json", "logprobs", "streaming"]
    assert one("meta.llama4", litellm_provider="bedrock").capabilities == ["text", "system", "streaming"]


def test_model_that_goes_on_with_a_beginning_is_told() -> None:
    assert "assistant_prefix" in one("some-model", supports_assistant_prefill=True).capabilities
    assert "assistant_prefix" not in one("some-model", supports_assistant_prefill=False).capabilities
    assert "assistant_prefix" not in one("some-model").capabilities


def test_detail_of_zero_is_unknown_and_makes_no_token_free() -> None:
    details = {
        "cache_read_input_token_cost": 0,
        "cache_creation_input_token_cost": 0.0,
        "cache_creation_input_token_cost_above_1hr": 0,
        "output_cost_per_reasoning_token": 0,
        "input_cost_per_audio_token": 0,
        "output_cost_per_audio_token": 0,
        "input_cost_per_token_batches": 0,
        "output_cost_per_token_batches": 0,
    }
    assert one("gpt-4o", **details).prices == one("gpt-4o").prices
    tier = {"input_cost_per_token_above_200k_tokens": 4e-06}
    assert one("gpt-4o", **details, **tier).prices == one("gpt-4o", **tier).prices


def test_price_too_small_for_any_number_is_not_taken_for_zero() -> None:
    bad = json.dumps(CHAT).replace('"input_cost_per_token": 1e-06', '"input_cost_per_token": 1e-99999999')
    found = read(f'{{"bad": {bad}, "good": {json.dumps(CHAT)}}}', DAY)
    assert found.left_out == {"bad": "input_cost_per_token is less than a millionth for a million tokens"}


@pytest.mark.parametrize("written", ["1e999999", "1e999999999999999999", "-1e999999999999999999"])
def test_number_with_any_exponent_is_left_out_and_told(written: str) -> None:
    bad = json.dumps(CHAT).replace('"input_cost_per_token": 1e-06', f'"input_cost_per_token": {written}')
    found = read(f'{{"bad": {bad}, "good": {json.dumps(CHAT)}}}', DAY)
    assert found.left_out == {"bad": "input_cost_per_token is not a price for a token"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("<html></html>", "is not JSON"),
        ('{"a": NaN}', "NaN is not a number"),
        ('{"a": Infinity}', "Infinity is not a number"),
        ('{"a": 1e99999999999999999999}', "exponent beyond any price"),
        ("[" * 100_000, "is nested too deeply"),
        ("[]", "is not an object by model, but a list"),
        ("null", "is not an object by model, but null"),
        ('"text"', "is not an object by model, but a text"),
        ("7", "is not an object by model, but a number"),
        ("{}", "holds no model of a known provider"),
        ('{"gpt-4o": 3}', "holds no model of a known provider"),
        (json.dumps({"bad": {**CHAT, "max_input_tokens": "x"}}), "holds no model of a known provider"),
    ],
)
def test_what_is_no_price_map_is_refused(text: str, told: str) -> None:
    with pytest.raises(PriceMapError, match=told):
        read(text, DAY)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        "input_cost_per_token",
        "output_cost_per_token",
        "input_cost_per_token_above_200k_tokens",
        "output_cost_per_token_above_200k_tokens",
        "input_cost_per_token_above_0k_tokens",
        "cache_read_input_token_cost",
        "cache_creation_input_token_cost",
        "cache_creation_input_token_cost_above_1hr",
        "output_cost_per_reasoning_token",
        "input_cost_per_audio_token",
        "input_cost_per_token_batches",
        "max_input_tokens",
        "max_output_tokens",
        "deprecation_date",
        "supports_vision",
        "supports_system_messages",
    ]
)
PRICES = st.floats(min_value=0, max_value=1e-3) | st.sampled_from([0, 1, 1e-06, 1e-300, 1e300, -1])
ENTRIES = st.fixed_dictionaries(
    {
        "litellm_provider": st.sampled_from(["openai", "bedrock", "gemini", "vertex_ai", "huggingface", "other"]),
        "mode": st.sampled_from(["chat", "embedding", "responses"]),
    }
).flatmap(lambda base: st.dictionaries(FIELDS, PRICES | ANY, max_size=8).map(lambda more: {**base, **more}))


def assert_read_or_refused(text: str) -> None:
    try:
        found = read(text, DAY)
    except PriceMapError:
        return
    # What was read is good for a catalogue file.
    assert len(models_of(File(models=list(found.models.values())))) == len(found.models)
    assert all(why for why in found.left_out.values())


@settings(max_examples=150)
@given(st.dictionaries(st.text(max_size=30), ENTRIES, max_size=6))
def test_any_entries_are_read_or_told(raw: dict[str, Any]) -> None:
    assert_read_or_refused(json.dumps(raw))


@settings(max_examples=100)
@given(ANY)
def test_any_json_is_read_or_refused(raw: Any) -> None:
    assert_read_or_refused(json.dumps(raw))


@settings(max_examples=100)
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    assert_read_or_refused(text)
