"""How OpenAI's models are asked."""

import pytest
from omnix_adapter_openai.dialect import openai_dialect


@pytest.mark.parametrize("model", ["gpt-5.6", "gpt-5.6-luna", "gpt-6-astra", "gpt-10", "ft:gpt-5.6:acme::1"])
def test_models_from_gpt_5_6_on_take_cache_breakpoints(model: str) -> None:
    assert openai_dialect(model).cache_lifetimes


@pytest.mark.parametrize("model", ["gpt-5", "gpt-5.5-pro", "gpt-4o", "gpt-4.1", "o3", "gpt-", "gpt-5.6.1", "x-gpt-6"])
def test_earlier_and_other_models_do_not(model: str) -> None:
    assert not openai_dialect(model).cache_lifetimes


def test_openai_is_asked_in_its_own_words() -> None:
    dialect = openai_dialect("gpt-4o")
    assert (dialect.max_tokens_field, dialect.developer_role) == ("max_completion_tokens", True)
    assert "top_k" not in dialect.parameters
