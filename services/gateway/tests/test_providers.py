"""How the providers fare, as the API tells it."""

import pytest
from omnix.common.v1 import errors_pb2
from omnix.provider.v1 import health_pb2
from omnix.router.v1 import health_pb2 as report_pb2

from .conftest import Gateway
from .fakes import Backends


def failing() -> report_pb2.ProviderHealth:
    provider = report_pb2.ProviderHealth(
        provider="openai", state=report_pb2.ProviderHealth.STATE_DEGRADED, why="gpt-4o: 5 failures in a row"
    )
    provider.since_time.seconds = 1_700_000_000
    target = provider.targets.add(
        model="gpt-4o",
        circuit=health_pb2.CIRCUIT_STATE_OPEN,
        error_reason=errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE,
        why="5 failures in a row",
        calls=20,
        failures=5,
    )
    target.since_time.seconds, target.until_time.seconds = 1_700_000_000, 1_700_000_030
    well = provider.targets.add(model="gpt-4.1", circuit=health_pb2.CIRCUIT_STATE_CLOSED)
    well.first_content_p50.FromMilliseconds(250)
    well.first_content_p95.FromMilliseconds(1500)
    change = provider.history.add(
        model="gpt-4o",
        state=health_pb2.CIRCUIT_STATE_OPEN,
        error_reason=errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE,
        why="5 failures in a row",
        router="r",
    )
    change.change_time.seconds = 1_700_000_000
    return provider


async def test_health_tells_states_circuits_and_figures(gateway: Gateway, behind: Backends) -> None:
    unheard = report_pb2.ProviderHealth(provider="other", state=report_pb2.ProviderHealth.STATE_UNKNOWN, sandbox=True)
    behind.router.health = [failing(), unheard]
    told = (await gateway.http.get("/v1/providers/health")).json()
    since = "2023-11-14T22:13:20Z"
    assert told == {
        "object": "list",
        "window_seconds": 300,
        "data": [
            {
                "object": "provider.health",
                "provider": "openai",
                "state": "degraded",
                "since_time": since,
                "why": "gpt-4o: 5 failures in a row",
                "sandbox": False,
                "targets": [
                    {
                        "model": "gpt-4o",
                        "circuit": "open",
                        "since_time": since,
                        "until_time": "2023-11-14T22:13:50Z",
                        "reason": "provider_unavailable",
                        "why": "5 failures in a row",
                        "calls": 20,
                        "failures": 5,
                        "error_rate": 0.25,
                        "first_content_seconds": None,
                    },
                    {
                        "model": "gpt-4.1",
                        "circuit": "closed",
                        "since_time": None,
                        "until_time": None,
                        "reason": None,
                        "why": None,
                        "calls": 0,
                        "failures": 0,
                        "error_rate": None,
                        "first_content_seconds": {"p50": 0.25, "p95": 1.5},
                    },
                ],
            },
            {
                "object": "provider.health",
                "provider": "other",
                "state": "unknown",
                "since_time": None,
                "why": None,
                "sandbox": True,
                "targets": [],
            },
        ],
    }


@pytest.mark.parametrize("query", ["history", "history=true", "history=1"])
async def test_history_is_told_where_asked_for(gateway: Gateway, behind: Backends, query: str) -> None:
    behind.router.health = [failing()]
    [provider] = (await gateway.http.get(f"/v1/providers/health?{query}")).json()["data"]
    assert provider["history"] == [
        {
            "time": "2023-11-14T22:13:20Z",
            "model": "gpt-4o",
            "circuit": "open",
            "reason": "provider_unavailable",
            "why": "5 failures in a row",
        }
    ]


async def test_unknown_query_is_refused(gateway: Gateway) -> None:
    refused = await gateway.http.get("/v1/providers/health?of=openai")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_request")
