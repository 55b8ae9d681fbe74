"""What the router shows of models and routes, and what it says to names."""

import pytest
from omnix_kit.errors import CallerError, OmnixError, Reason

from .fakes import FakeAdapter, Router

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_list_holds_current_models_of_served_providers_and_routes(router: Router) -> None:
    models = {name: one.model for name, one in (await router.models()).items()}
    assert list(models) == sorted(models)
    mini = models["openai/gpt-4o-mini"]
    assert (mini.provider, mini.model, mini.display_name) == ("openai", "gpt-4o-mini", "GPT-4o mini")
    assert (mini.context_window, mini.max_output_tokens) == (128_000, 16_384)
    assert mini.price.output_micros_per_million == 600_000
    assert list(mini.aliases) == ["gpt-4o-mini"]
    assert "tools" in mini.capabilities
    assert not mini.sandbox
    assert mini.create_time.ToDatetime().year == 2024
    assert list(models["openai/gpt-5.6-sol"].aliases) == ["gpt-5.6-sol", "gpt-5.6"]
    # Announced by a provider that the catalogue does not know; a vendor's other models are left out, and so are those
    # that are retired.
    assert (models["other/model"].sandbox, models["other/model"].HasField("price")) == (True, False)
    assert "openai/whisper-1" not in models
    assert "openai/o3-mini" not in models
    assert [f"{t.provider}/{t.model}" for t in models["pair"].targets] == ["openai/gpt-4o", "other/model"]
    assert "team-a/*" not in models
    assert (models["auto"].provider, models["auto"].sandbox, list(models["auto"].targets)) == ("", False, [])


async def test_models_that_embed_list_no_modes(router: Router) -> None:
    models = {name: one.model for name, one in (await router.models()).items()}
    assert "embeddings" in models["openai/text-embedding-3-small"].capabilities
    assert not models["openai/text-embedding-3-small"].HasField("reasoning")
    assert len(models["openai/gpt-4o-mini"].reasoning.modes) == 1


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("gpt-4o", "openai/gpt-4o"),
        ("openai/gpt-4o", "openai/gpt-4o"),
        ("gpt-5.6", "openai/gpt-5.6-sol"),
        ("o3-mini", "openai/o3-mini"),
        ("model", "other/model"),
        ("openai/whisper-1", "openai/whisper-1"),
        ("pair", "pair"),
        ("auto:think", "auto"),
        ("team-a/gpt-4o", "team-a/gpt-4o"),
    ],
)
async def test_any_name_of_a_model_shows_it(router: Router, name: str, shown: str) -> None:
    assert (await router.model(name)).model.id == shown


@pytest.mark.parametrize(
    ("name", "reason", "told"),
    [
        ("gpt-4o-mino", Reason.MODEL_NOT_FOUND, "Did you mean 'gpt-4o-mini'"),
        ("openai/nothing-like-it", Reason.MODEL_NOT_FOUND, "model 'openai/nothing-like-it'"),
        ("azure/gpt-4o", Reason.MODEL_NOT_FOUND, "does not exist"),
        ("", Reason.INVALID_REQUEST, "1 to 256"),
    ],
)
async def test_name_that_shows_nothing_is_an_error(router: Router, name: str, reason: Reason, told: str) -> None:
    with pytest.raises(OmnixError) as caught:
        await router.model(name)
    assert (caught.value.reason, caught.value.param) == (reason, "model")
    assert told in caught.value.message


async def test_unknown_name_is_not_completed(router: Router) -> None:
    with pytest.raises(CallerError) as caught:
        await router.complete("gpt-4o-mino")
    assert (caught.value.reason, caught.value.param) == (Reason.MODEL_NOT_FOUND, "model")


async def test_wildcard_route_carries_the_rest_of_the_name(router: Router, openai: FakeAdapter) -> None:
    assert (await router.complete("team-a/gpt-5.6")).model == "openai/gpt-5.6-sol"
    assert openai.calls[0].attempt.route == "team-a/*"


async def test_model_that_the_catalogue_does_not_know_is_passed_on_unpriced(
    router: Router, openai: FakeAdapter
) -> None:
    response = await router.complete("openai/sandbox-slow:5")
    [call] = openai.calls
    assert (call.attempt.model, call.attempt.HasField("price")) == ("sandbox-slow:5", False)
    assert not response.HasField("cost_micros")
