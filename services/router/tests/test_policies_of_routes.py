"""A real router chooses by what is asked, by price, by speed, and by what the caller prefers."""

import asyncio

import pytest
from omnix.completion.v1 import completion_pb2
from omnix.router.v1 import router_service_pb2
from omnix_kit.errors import OmnixError, Reason

from .fakes import Call, FakeAdapter, Router, fail

pytestmark = pytest.mark.asyncio(loop_scope="module")

Request = completion_pb2.CompletionRequest
Preferences = completion_pb2.ProviderPreferences


def told(response: router_service_pb2.CompleteResponse | router_service_pb2.StartCompletionResponse) -> list[str]:
    return [response.model, response.route, response.policy]


def saying(part: completion_pb2.Part) -> completion_pb2.CompletionRequest:
    return Request(messages=[completion_pb2.Message(role=completion_pb2.ROLE_USER, parts=[part])])


async def slowly(_: Call) -> None:
    await asyncio.sleep(0.5)


async def test_cheapest_is_called_first_and_the_other_is_its_fallback(router: Router, openai: FakeAdapter) -> None:
    assert told(await router.complete("cheap")) == ["openai/gpt-4o-mini", "cheap", "cheapest"]
    openai.script = [fail(Reason.PROVIDER_AUTH_FAILED, status=401)]
    assert told(await router.start("cheap")) == ["openai/gpt-4.1", "cheap", "cheapest"]


async def test_model_by_its_name_has_neither_route_nor_policy(router: Router, openai: FakeAdapter) -> None:
    assert told(await router.complete("openai/gpt-4o")) == ["openai/gpt-4o", "", ""]


async def test_conversation_stays_at_one_target(router: Router, openai: FakeAdapter, other: FakeAdapter) -> None:
    async def model(conversation: str) -> str:
        asked = Request(vendor_parameters={"prompt_cache_key": f'"{conversation}"'})
        return (await router.complete("kept", request=asked)).model

    met = {name: await model(name) for name in "abcdefghijkl"}
    assert set(met.values()) == {"openai/gpt-4o", "other/model"}
    assert {name: await model(name) for name in met} == met


async def test_quicker_target_is_found_in_live_traffic(router: Router, openai: FakeAdapter, other: FakeAdapter) -> None:
    openai.script = [slowly] * 100
    while not (openai.calls and other.calls):
        await router.start("quickest")
    found = [(await router.start("quickest")).model for _ in range(10)]
    assert found == ["other/quick"] * 10


@pytest.mark.parametrize(
    ("name", "more", "model"),
    [
        ("ruled", Request(), "openai/gpt-4o"),
        ("ruled", Request(compute_mode=completion_pb2.COMPUTE_MODE_THINK), "other/thinking"),
        ("ruled:think", Request(), "other/thinking"),
        ("ruled:flash", Request(), "openai/gpt-4o"),
        (
            "ruled",
            saying(completion_pb2.Part(image=completion_pb2.Image(url="u"))),
            "other/seeing",
        ),
        (
            "ruled",
            saying(completion_pb2.Part(text="x" * 4000)),
            "other/long",
        ),
    ],
)
async def test_first_rule_that_holds_chooses(
    router: Router,
    openai: FakeAdapter,
    other: FakeAdapter,
    name: str,
    more: completion_pb2.CompletionRequest,
    model: str,
) -> None:
    assert (await router.complete(name, request=more)).model == model


async def test_fallbacks_of_the_request_are_tried_in_order(
    router: Router, openai: FakeAdapter, other: FakeAdapter
) -> None:
    openai.script = [fail(Reason.PROVIDER_AUTH_FAILED, status=401)]
    response = await router.complete("gpt-4o", request=Request(fallback_models=["kept", "other/second"]))
    assert [f"{each.provider}/{each.model}" for each in response.attempts] == ["openai/gpt-4o", "other/model"]
    assert told(response) == ["other/model", "kept", "ordered"]
    assert [call.attempt.route for call in openai.calls + other.calls] == ["", "kept"]


@pytest.mark.parametrize(
    ("preferences", "model"),
    [
        (Preferences(order=["other"]), "other/model"),
        (Preferences(only=["other"]), "other/model"),
        (Preferences(ignore=["openai"]), "other/model"),
        (Preferences(sort=Preferences.SORT_PRICE), "openai/gpt-4o"),
    ],
)
async def test_preferred_provider_answers(
    router: Router, openai: FakeAdapter, other: FakeAdapter, preferences: completion_pb2.ProviderPreferences, model: str
) -> None:
    assert (await router.complete("pair", request=Request(provider_preferences=preferences))).model == model


async def test_without_fallbacks_the_first_choice_alone_is_called(
    router: Router, openai: FakeAdapter, other: FakeAdapter
) -> None:
    openai.script = [fail(Reason.PROVIDER_AUTH_FAILED, status=401)]
    with pytest.raises(OmnixError) as caught:
        await router.complete("pair", request=Request(provider_preferences=Preferences(allow_fallbacks=False)))
    assert caught.value.reason is Reason.PROVIDER_AUTH_FAILED
    assert (len(openai.calls), other.calls) == (1, [])


@pytest.mark.parametrize(
    ("more", "param"),
    [
        (Request(provider_preferences=Preferences(ignore=["opnai"])), "provider"),
        (Request(provider_preferences=Preferences(only=["lab"])), "provider"),
        (Request(provider_preferences=Preferences(sort=Preferences.SORT_UNSPECIFIED)), "provider.sort"),
        (Request(fallback_models=["x"] * 10), "models"),
        (Request(fallback_models=["no-such-model"]), "models"),
    ],
)
async def test_preferences_that_mean_nothing_are_refused(
    router: Router, openai: FakeAdapter, more: completion_pb2.CompletionRequest, param: str
) -> None:
    with pytest.raises(OmnixError) as caught:
        await router.complete("pair", request=more)
    assert caught.value.param == param
    assert openai.calls == []
