"""What a caller says of who shall answer arrives, and what contradicts itself is refused by name."""

import asyncio
from typing import Any

import pytest
from omnix.completion.v1 import completion_pb2 as pb

from .conftest import Gateway
from .fakes import Backends

PATH = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "Hi"}]


async def test_fallbacks_and_preferences_arrive(gateway: Gateway, behind: Backends) -> None:
    provider = {"order": ["b", "a"], "only": ["a", "b", "c"], "ignore": ["d"], "sort": "price", "allow_fallbacks": True}
    body = {"models": ["fast", "openai/gpt-4o"], "provider": provider, "messages": MESSAGES}
    answer = await gateway.http.post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    request = behind.router.asked[0].request
    assert (request.model, list(request.fallback_models)) == ("fast", ["openai/gpt-4o"])
    assert request.provider_preferences == pb.ProviderPreferences(
        order=["b", "a"],
        only=["a", "b", "c"],
        ignore=["d"],
        sort=pb.ProviderPreferences.SORT_PRICE,
        allow_fallbacks=True,
    )


@pytest.mark.parametrize(
    ("model", "models", "asked"),
    [("a", None, "a"), ("a", ["a", "b"], "a b"), ("a", ["b", "c"], "a b c"), (None, ["b", "a"], "b a")],
)
async def test_model_is_the_first_of_models(
    gateway: Gateway, behind: Backends, model: str | None, models: list[str] | None, asked: str
) -> None:
    given = {name: value for name, value in (("model", model), ("models", models)) if value is not None}
    answer = await gateway.http.post(PATH, json={**given, "messages": MESSAGES})
    assert answer.status_code == 200, answer.text
    request = behind.router.asked[0].request
    assert " ".join([request.model, *request.fallback_models]) == asked
    assert not request.HasField("provider_preferences")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "model"),
        ({"model": ""}, "model"),
        ({"models": []}, "models"),
        ({"models": ["a", "a"]}, "models"),
        ({"model": "b", "models": ["a", "b"]}, "models"),
        ({"model": "m", "models": [f"m{number}" for number in range(10)]}, "models"),
        ({"model": "a", "provider": {"only": ["x"], "ignore": ["x"]}}, "provider.ignore"),
        ({"model": "a", "provider": {"order": ["x"], "ignore": ["x"]}}, "provider.ignore"),
        ({"model": "a", "provider": {"order": ["x", "y"], "only": ["x"]}}, "provider.order"),
        ({"models": ["a", "b"], "provider": {"allow_fallbacks": False}}, "provider.allow_fallbacks"),
        ({"model": "a", "provider": {"sort": "throughput"}}, "provider.sort"),
        ({"model": "a", "provider": {"only": []}}, "provider.only"),
        ({"model": "a", "provider": {"quantizations": ["fp8"]}}, "provider.quantizations"),
        ({"model": "a", "timeout": 0}, "timeout"),
        ({"model": "a", "timeout": 86401}, "timeout"),
    ],
)
async def test_what_contradicts_itself_is_refused_by_name(
    gateway: Gateway, behind: Backends, body: dict[str, Any], param: str
) -> None:
    answer = await gateway.http.post(PATH, json={**body, "messages": MESSAGES})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param), answer.text
    assert behind.router.asked == []


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("headers", [{}, {"x-omnix-timeout": "0.2"}])
async def test_caller_who_waits_no_longer_is_told_so(
    gateway: Gateway, behind: Backends, stream: bool, headers: dict[str, str]
) -> None:
    behind.router.hold = asyncio.Event()
    body = {"model": "a", "messages": MESSAGES, "stream": stream, **({} if headers else {"timeout": 0.2})}
    answer = await gateway.http.post(PATH, json=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_exceeded"), answer.text


@pytest.mark.parametrize("header", ["soon", "0", "-1", "nan", "inf", "86401"])
async def test_header_that_is_no_time_is_refused(gateway: Gateway, header: str) -> None:
    body = {"model": "a", "messages": MESSAGES}
    answer = await gateway.http.post(PATH, json=body, headers={"x-omnix-timeout": header})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "x-omnix-timeout")


async def test_header_and_field_must_agree(gateway: Gateway) -> None:
    body = {"model": "a", "messages": MESSAGES, "timeout": 5}
    assert (await gateway.http.post(PATH, json=body, headers={"x-omnix-timeout": "5.0"})).status_code == 200
    answer = await gateway.http.post(PATH, json=body, headers={"x-omnix-timeout": "6"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "timeout")


@pytest.mark.parametrize("stream", [False, True])
async def test_route_and_policy_are_told(gateway: Gateway, behind: Backends, stream: bool) -> None:
    behind.router.route, behind.router.policy = "schnäll", "cheapest"
    answer = await gateway.http.post(PATH, json={"model": "a", "messages": MESSAGES, "stream": stream})
    assert (answer.headers["x-omnix-route"], answer.headers["x-omnix-policy"]) == ("schn?ll", "cheapest")


async def test_embeddings_take_preferences_and_times_too(gateway: Gateway, behind: Backends) -> None:
    body = {"model": "v", "input": "a", "provider": {"sort": "latency", "allow_fallbacks": False}, "timeout": 5}
    answer = await gateway.http.post("/v1/embeddings", json=body)
    assert answer.status_code == 200, answer.text
    assert "x-omnix-route" not in answer.headers
    assert behind.router.embedded[0].request.provider_preferences == pb.ProviderPreferences(
        sort=pb.ProviderPreferences.SORT_LATENCY, allow_fallbacks=False
    )
    body["provider"] = {"only": ["x"], "ignore": ["x"]}
    answer = await gateway.http.post("/v1/embeddings", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "provider.ignore")
