"""Limits: who is admitted, who is refused and how, and what becomes of them while usage-metering is away."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import openai
import pytest
from omnix.router.v1 import router_pb2
from omnix.usage.v1 import quota_pb2 as pb
from omnix.usage.v1 import quota_service_pb2 as service_pb
from omnix_kit import subjects
from omnix_kit.errors import CallerError, PlatformError, Reason
from omnix_kit.testing import eventually

from .conftest import Gateway, Start
from .events import all_events, error_in
from .fake_quotas import FakeQuotas, fake_quotas
from .fakes import ADMIN, MEMBER, OTHER, Backends
from .publisher import Publisher
from .streamed import Steps, asked

BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
TOKENS = pb.LIMIT_KIND_TOKENS_PER_MINUTE
CONCURRENT = pb.LIMIT_KIND_CONCURRENT_REQUESTS
DAILY = pb.LIMIT_KIND_COST_PER_DAY
SOFT = pb.LIMIT_ENFORCEMENT_SOFT
KEY = pb.LIMIT_SUBJECT_KEY
AWAY = PlatformError("away", reason=Reason.UNAVAILABLE)


@pytest.fixture
async def quotas() -> AsyncIterator[FakeQuotas]:
    async with fake_quotas() as found:
        yield found


@pytest.fixture
async def limited(start: Start, quotas: FakeQuotas) -> Gateway:
    found: Gateway = await start(usage_metering_address=quotas.address, limits_wait=5)
    return found


async def chat(gateway: Gateway, key: str = MEMBER, **more: Any) -> httpx.Response:
    return await gateway.http.post(
        "/v1/chat/completions", json={**BODY, **more}, headers={"authorization": f"Bearer {key}"}
    )


async def test_requests_beyond_the_limit_are_refused_in_openais_words(limited: Gateway, quotas: FakeQuotas) -> None:
    quotas.limit()
    first, second, third = [await chat(limited) for _ in range(3)]
    assert (first.status_code, second.status_code, third.status_code) == (200, 200, 429)
    assert [each.headers["x-ratelimit-limit-requests"] for each in (first, second, third)] == ["2"] * 3
    assert [each.headers["x-ratelimit-remaining-requests"] for each in (first, second, third)] == ["1", "0", "0"]
    assert third.headers["x-ratelimit-reset-requests"].endswith("s")
    assert 20 <= int(third.headers["retry-after"]) <= 30
    error = third.json()["error"]
    assert (error["code"], error["type"]) == ("rate_limit_exceeded", "rate_limit_error")
    assert error["message"].startswith(
        "Rate limit reached for gpt-4o in tenant on requests per min (RPM): Limit 2, Used 2, Requested 1. Please try"
    )
    with pytest.raises(openai.RateLimitError):
        await limited.openai.embeddings.create(model="text-embedding-3-small", input="x")


async def test_caller_without_limits_is_asked_about_once(limited: Gateway, quotas: FakeQuotas) -> None:
    quotas.limit(subject=KEY, subject_id="other")
    for _ in range(3):
        answer = await chat(limited)
        assert answer.status_code == 200
        assert "x-ratelimit-limit-requests" not in answer.headers
    assert quotas.asked == [service_pb.ListLimitsRequest(tenant_id="default")]
    assert quotas.leases == []


async def test_each_has_its_own_count_and_limits_of_models_concern_those_alone(
    limited: Gateway, quotas: FakeQuotas
) -> None:
    quotas.limit(limit_id="keys", subject=KEY, subject_id="*", amount=1, model_pattern="openai/gpt-4o*")
    quotas.limits["keys"].amount = 1
    assert [(await chat(limited, key)).status_code for key in (MEMBER, OTHER, MEMBER)] == [200, 200, 429]
    assert (await chat(limited, model="openai/o3")).status_code == 200
    assert (await chat(limited, model="openai/gpt-4o-mini")).status_code == 429
    assert {ask.subject_id for lease in quotas.leases for ask in lease.asks} == {"member", "other"}


async def test_model_that_a_route_led_to_is_limited_by_that_name_too(limited: Gateway, quotas: FakeQuotas) -> None:
    quotas.limit(model_pattern="openai/gpt-4o")
    quotas.limits["l"].amount = 1
    assert (await chat(limited, model="fast")).status_code == 200
    assert [(await chat(limited, model="fast")).status_code for _ in range(2)] == [200, 429]


async def test_tokens_are_reserved_and_settled_by_what_was_used(limited: Gateway, quotas: FakeQuotas) -> None:
    quotas.limit(kind=TOKENS)
    quotas.limits["l"].amount = 600
    too_large = await chat(limited, max_tokens=700)
    assert too_large.status_code == 429
    assert too_large.json()["error"]["message"].startswith("Request too large for gpt-4o in tenant")
    for number in range(6):  # 502 are expected, and 21 used
        answer = await chat(limited)
        if number * 21 + 502 > 600:
            assert answer.status_code == 429
            break
        assert answer.status_code == 200
        assert answer.headers["x-ratelimit-limit-tokens"] == "600"
    small = await chat(limited, max_tokens=10)
    assert small.status_code == 200
    await eventually(lambda: (quotas.told().spent, quotas.told().reserved) == (6 * 21, 0))


async def test_concurrent_requests_are_counted_until_they_end(
    limited: Gateway, quotas: FakeQuotas, behind: Backends
) -> None:
    quotas.limit(kind=CONCURRENT)
    behind.router.hold = asyncio.Event()
    open_calls = [asyncio.create_task(chat(limited)) for _ in range(2)]
    await eventually(lambda: len(behind.router.asked) == 2)
    refused = await chat(limited)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    behind.router.hold.set()
    assert [answer.status_code for answer in await asyncio.gather(*open_calls)] == [200, 200]
    assert (await chat(limited)).status_code == 200
    behind.router.error = CallerError("no", reason=Reason.INVALID_REQUEST)
    assert [(await chat(limited)).status_code for _ in range(4)] == [400] * 4
    await eventually(lambda: quotas.told().reserved == 0)


async def test_soft_limits_refuse_nobody_and_are_told(limited: Gateway, quotas: FakeQuotas) -> None:
    quotas.limit(enforcement=SOFT)
    assert [(await chat(limited)).status_code for _ in range(5)] == [200] * 5
    await eventually(lambda: quotas.told().spent == 5)


async def test_budget_that_is_used_up_is_told_as_insufficient_quota(limited: Gateway, quotas: FakeQuotas) -> None:
    quotas.limit(kind=DAILY)
    quotas.limits["l"].amount = 1500
    assert (await chat(limited)).status_code == 200  # it costs 1,234
    await eventually(lambda: quotas.told().spent == 1234)
    quotas.spent_by_others["l"] = 266

    async def refused() -> bool:
        answer = await chat(limited)
        error = answer.json().get("error")
        return answer.status_code == 429 and (error["code"], error["type"]) == ("insufficient_quota",) * 2

    await eventually(refused)


async def test_change_is_heard_at_once(limited: Gateway, quotas: FakeQuotas, behind: Backends) -> None:
    quotas.limit()
    assert [(await chat(limited)).status_code for _ in range(3)] == [200, 200, 429]
    quotas.limit(version=1).amount = 100
    event = pb.LimitChanged(tenant_id="default", limit_id="l").SerializeToString()
    await behind.messaging.publish(subjects.limit_changed("default"), event)
    await behind.messaging.client.flush()

    async def admitted() -> bool:
        return (await chat(limited)).status_code == 200

    await eventually(admitted)
    quotas.limits.clear()
    await behind.messaging.publish(subjects.limit_changed("default"), event)
    await behind.messaging.client.flush()

    async def unlimited() -> bool:
        return "x-ratelimit-limit-requests" not in (await chat(limited)).headers

    await eventually(unlimited)


@pytest.mark.parametrize(("without", "status"), [("open", 200), ("closed", 503)])
async def test_without_metering_leases_are_lived_on_and_then_it_is_as_configured(
    start: Start, quotas: FakeQuotas, without: str, status: int
) -> None:
    quotas.limit().amount = 100
    quotas.lifetime = 1.5
    gateway: Gateway = await start(
        usage_metering_address=quotas.address, limits_wait=0.3, limits_without_metering=without
    )
    assert (await chat(gateway)).status_code == 200
    quotas.error = AWAY
    assert [(await chat(gateway)).status_code for _ in range(3)] == [200] * 3
    leases = len(quotas.leases)

    async def lease_is_over() -> bool:
        answer = await chat(gateway)
        return answer.status_code != 200 or "x-ratelimit-limit-requests" not in answer.headers

    if without == "closed":
        await eventually(lease_is_over)
        refused = await chat(gateway)
        assert (refused.status_code, refused.json()["error"]["code"]) == (status, "unavailable")
        assert "retry-after" in refused.headers
    else:
        for _ in range(110):
            assert (await chat(gateway)).status_code == status
    assert len(quotas.leases) == leases
    quotas.error = None

    async def back() -> bool:
        return (await chat(gateway)).status_code in (200, 429) and len(quotas.leases) > leases

    await eventually(back)


async def test_unknown_limits_are_as_configured_too(start: Start, quotas: FakeQuotas) -> None:
    quotas.error = AWAY
    for without, status in (("open", 200), ("closed", 503)):
        gateway: Gateway = await start(
            usage_metering_address=quotas.address, limits_wait=0.3, limits_without_metering=without
        )
        assert (await chat(gateway)).status_code == status


async def test_stream_whose_budget_others_used_up_is_stopped(
    limited: Gateway, quotas: FakeQuotas, behind: Backends
) -> None:
    quotas.limit(kind=DAILY).amount = 1_000_000
    behind.router.play = steps = Steps("Hel", "lo")
    async with asyncio.timeout(10), asked(limited) as response:
        publisher = await steps.publisher
        quotas.spent_by_others["l"] = 1_000_000
        events = await all_events(response)
    error = error_in(events)
    assert (error["code"], error["type"]) == ("insufficient_quota", "insufficient_quota")
    assert all(event.data != "[DONE]" for event in events)
    await eventually(lambda: behind.cancels == [publisher.completion_id])
    steps.go.set()
    assert (await chat(limited)).status_code == 429


async def test_stream_that_uses_its_budget_up_itself_is_stopped(
    limited: Gateway, quotas: FakeQuotas, behind: Backends
) -> None:
    model = router_pb2.Model(id="openai/gpt-4o", provider="openai", model="gpt-4o", aliases=["gpt-4o"])
    model.price.currency, model.price.output_micros_per_million = "USD", 10_000_000  # 10 micros a token
    behind.router.models = [model]
    quotas.limit(kind=DAILY).amount = 200
    going = asyncio.Event()

    async def endless(publisher: Publisher) -> None:
        while not going.is_set():
            await publisher.text("a", "b", "c", "d", "e")
            await asyncio.sleep(0.02)

    behind.router.play = endless
    try:
        async with asyncio.timeout(15), asked(limited, max_tokens=5) as response:
            events = await all_events(response)
        assert error_in(events)["code"] == "insufficient_quota"
        await eventually(lambda: len(behind.cancels) == 1)
    finally:
        going.set()


async def test_admins_keep_limits_and_everybody_sees_what_is_used(limited: Gateway, quotas: FakeQuotas) -> None:
    admin = {"authorization": f"Bearer {ADMIN}"}
    for method, path in (
        ("GET", "/v1/limits"),
        ("GET", "/v1/limits/l"),
        ("PUT", "/v1/limits/l"),
        ("DELETE", "/v1/limits/l"),
    ):
        assert (await limited.http.request(method, path)).status_code == 403
    wanted = {"subject": "key", "subject_id": "*", "model": "gpt-4o*", "kind": "cost_per_day", "cost": "2.50"}
    made = await limited.http.put("/v1/limits/l", json=wanted, headers=admin)
    assert made.status_code == 201
    assert made.json() == {
        "id": "l",
        "object": "limit",
        "subject": "key",
        "subject_id": "*",
        "model": "gpt-4o*",
        "kind": "cost_per_day",
        "amount": None,
        "cost": "2.500000",
        "enforcement": "hard",
        "version": 1,
        "created_at": 1_700_000_000,
        "updated_at": 1_700_000_000,
    }
    assert quotas.limits["l"].amount == 2_500_000
    again = {"subject": "tenant", "kind": "requests_per_minute", "amount": 9, "enforcement": "soft"}
    assert (await limited.http.put("/v1/limits/l", json=again, headers=admin)).status_code == 200
    assert [each["amount"] for each in (await limited.http.get("/v1/limits", headers=admin)).json()["data"]] == [9]
    assert (await limited.http.get("/v1/limits/l", headers=admin)).json()["enforcement"] == "soft"
    for wrong, param in (
        ({**again, "cost": "1"}, "amount"),
        ({**wanted, "amount": 1}, "cost"),
        ({**wanted, "cost": "0"}, "cost"),
        ({**again, "kind": "tokens"}, "kind"),
        ({**again, "colour": 1}, "colour"),
    ):
        refused = await limited.http.put("/v1/limits/l", json=wrong, headers=admin)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)
    usage = pb.LimitUsage(limit=quotas.limits["l"], used=4, reserved=2)
    usage.reset_time.seconds = 1_800_000_000
    quotas.usages = [usage]
    [told] = (await limited.http.get("/v1/limits/usage")).json()["data"]
    assert (told["used"], told["remaining"], told["resets_at"]) == (4, 5, 1_800_000_000)
    asked_for = quotas.asked[-1]
    assert isinstance(asked_for, service_pb.GetLimitUsageRequest)
    assert (asked_for.caller.tenant_id, asked_for.caller.key_id) == ("default", "member")
    assert (await limited.http.delete("/v1/limits/l", headers=admin)).json() == {
        "id": "l",
        "object": "limit.deleted",
        "deleted": True,
    }
    assert (await limited.http.delete("/v1/limits/l", headers=admin)).status_code == 404


async def test_streams_are_settled_and_what_others_paid_for_is_not(
    limited: Gateway, quotas: FakeQuotas, behind: Backends
) -> None:
    quotas.limit(kind=TOKENS).amount = 10_000
    async with asked(limited) as response:
        assert response.headers["x-ratelimit-limit-tokens"] == "10000"
        await all_events(response)
    await eventually(lambda: (quotas.told().spent, quotas.told().reserved) == (12, 0))  # seven and five chunks
    cached = {"authorization": f"Bearer {MEMBER}", "x-omnix-cache": "ttl=60"}
    outcomes = []
    while "hit" not in outcomes:
        answer = await limited.http.post("/v1/chat/completions", json=BODY, headers=cached)
        outcomes.append(answer.headers["x-omnix-cache"])
    calls = len(behind.router.asked)
    await eventually(lambda: (quotas.told().spent, quotas.told().reserved) == (12 + 21 * calls, 0))


async def test_embeddings_are_limited_as_well(limited: Gateway, quotas: FakeQuotas) -> None:
    quotas.limit(kind=TOKENS).amount = 10
    body = {"model": "text-embedding-3-small", "input": "x" * 20}
    first, second = [await limited.http.post("/v1/embeddings", json=body) for _ in range(2)]
    assert (first.status_code, first.headers["x-ratelimit-limit-tokens"]) == (200, "10")
    await eventually(lambda: quotas.told().spent == 10)
    refused = await limited.http.post("/v1/embeddings", json=body)
    assert (second.status_code, refused.status_code) == (200, 429)
