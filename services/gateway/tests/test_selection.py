"""Which models fit, asked of the router in the API's words."""

from typing import Any

import pytest
from omnix.completion.v1 import completion_pb2
from omnix.router.v1 import router_service_pb2, selection_pb2
from omnix_kit.errors import CallerError, Reason

from .conftest import Gateway
from .fakes import Backends


def found() -> router_service_pb2.SelectModelsResponse:
    answer = router_service_pb2.SelectModelsResponse(total=12, recommendation="Take openai/gpt-4o.")
    choice = answer.choices.add(
        id="openai/gpt-4o",
        provider="openai",
        model="gpt-4o",
        display_name="GPT-4o",
        score=76.5,
        cost_micros=350,
        quality=75.25,
        reasons=["It is cheap."],
    )
    choice.quality_time.seconds = 1_795_305_600
    choice.first_content.FromMilliseconds(250)
    answer.choices.add(id="x/y", provider="x", model="y", display_name="Y", score=1, sandbox=True)
    answer.rejections.add(lack="cost", count=3)
    return answer


async def test_requirements_reach_the_router_and_choices_come_back(gateway: Gateway, behind: Backends) -> None:
    behind.router.selection = found()
    body = {
        "type": "chat",
        "capabilities": ["tools", "image"],
        "context_tokens": 50_000,
        "input_tokens": 2_000,
        "output_tokens": 0,
        "max_cost": 0.0123456789,
        "max_price": "4.50",
        "quality_floor": 70.5,
        "mode": "ultra-think",
        "max_first_content_ms": 1500,
        "providers": ["openai"],
        "limit": 2,
    }
    answer = await gateway.http.post("/v1/models/select", json=body)
    assert answer.status_code == 200
    [asked] = behind.router.selected
    requirements = selection_pb2.Requirements(
        type=selection_pb2.Requirements.MODEL_TYPE_CHAT,
        capabilities=["tools", "image"],
        context_tokens=50_000,
        input_tokens=2_000,
        output_tokens=0,
        max_cost_micros=12_345,
        max_micros_per_million=4_500_000,
        quality_floor=70.5,
        compute_mode=completion_pb2.COMPUTE_MODE_ULTRA_THINK,
        providers=["openai"],
    )
    requirements.max_first_content.FromMilliseconds(1500)
    assert asked == router_service_pb2.SelectModelsRequest(requirements=requirements, page_size=2)
    assert answer.json() == {
        "object": "list",
        "data": [
            {
                "id": "openai/gpt-4o",
                "object": "model.choice",
                "provider": "openai",
                "model": "gpt-4o",
                "display_name": "GPT-4o",
                "score": 76.5,
                "cost_micros": 350,
                "cost": "0.000350",
                "quality": 75.25,
                "quality_as_of": "2026-11-22",
                "first_content_ms": 250,
                "sandbox": False,
                "reasons": ["It is cheap."],
            },
            {
                "id": "x/y",
                "object": "model.choice",
                "provider": "x",
                "model": "y",
                "display_name": "Y",
                "score": 1,
                "cost_micros": None,
                "cost": None,
                "quality": None,
                "quality_as_of": None,
                "first_content_ms": None,
                "sandbox": True,
                "reasons": [],
            },
        ],
        "total": 12,
        "rejected": {"cost": 3},
    }


async def test_nothing_required_asks_for_any_chat_model(gateway: Gateway, behind: Backends) -> None:
    answer = await gateway.http.post("/v1/models/select", json={})
    assert answer.json() == {"object": "list", "data": [], "total": 0, "rejected": {}}
    [asked] = behind.router.selected
    assert asked == router_service_pb2.SelectModelsRequest(
        requirements=selection_pb2.Requirements(type=selection_pb2.Requirements.MODEL_TYPE_CHAT), page_size=10
    )


async def test_recommendation_is_told_when_asked_for(gateway: Gateway, behind: Backends) -> None:
    behind.router.selection = found()
    answer = await gateway.http.post("/v1/models/select", json={"recommend": True})
    assert answer.json()["recommendation"] == "Take openai/gpt-4o."
    behind.router.selection = router_service_pb2.SelectModelsResponse()
    answer = await gateway.http.post("/v1/models/select", json={"recommend": True})
    assert answer.json()["recommendation"] is None


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"capability": ["tools"]}, "capability"),
        ({"type": "images"}, "type"),
        ({"capabilities": "tools"}, "capabilities"),
        ({"capabilities": ["tools", 3]}, "capabilities.1"),
        ({"context_tokens": -1}, "context_tokens"),
        ({"max_cost": -0.1}, "max_cost"),
        ({"max_cost": "cheap"}, "max_cost"),
        ({"max_price": "NaN"}, "max_price"),
        ({"max_price": 1e30}, "max_price"),
        ({"quality_floor": 101}, "quality_floor"),
        ({"mode": "fast"}, "mode"),
        ({"limit": 0}, "limit"),
    ],
)
async def test_wrong_requirement_is_refused_by_name(
    gateway: Gateway, behind: Backends, body: dict[str, Any], param: str
) -> None:
    answer = await gateway.http.post("/v1/models/select", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert behind.router.selected == []


async def test_what_the_router_refuses_is_told(gateway: Gateway, behind: Backends) -> None:
    behind.router.error = CallerError(
        "capabilities may hold …; not telepathy.", reason=Reason.INVALID_REQUEST, param="capabilities"
    )
    answer = await gateway.http.post("/v1/models/select", json={"capabilities": ["telepathy"]})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "capabilities")


async def test_selection_needs_a_key(gateway: Gateway) -> None:
    answer = await gateway.http.post("/v1/models/select", json={}, headers={"authorization": "Bearer nobody"})
    assert answer.status_code == 401
