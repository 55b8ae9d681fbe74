"""Figures, as the API tells them: over time, of a time, and live."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import grpc
import msgspec
import pytest
from omnix.analytics.v1 import analytics_pb2, analytics_service_pb2, analytics_service_pb2_grpc
from omnix_kit import subjects
from omnix_kit.errors import CallerError, OmnixError, PlatformError, Reason
from omnix_kit.health import Readiness
from omnix_kit.rpc import grpc_server
from omnix_kit.settings import ServiceSettings
from omnix_kit.testing import eventually

from .conftest import Gateway, Start
from .fakes import ADMIN, MEMBER, Backends

AnswerT = TypeVar("AnswerT")
START = datetime(2026, 11, 1, tzinfo=UTC)


def figures(**more: Any) -> analytics_pb2.Figures:
    made = analytics_pb2.Figures(
        attempts=10, requests=8, succeeded=7, failed=2, cancelled=1, input_tokens=100, output_tokens=50, active_users=3
    )
    made.costs.add(currency="USD", micros=1_234_567)
    made.latency.MergeFrom(analytics_pb2.Timing(count=7, average_us=1500, p50_us=1000, p95_us=2000, p99_us=2500))
    made.MergeFrom(analytics_pb2.Figures(**more))
    return made


@dataclass
class FakeAnalytics(analytics_service_pb2_grpc.AnalyticsServiceServicer):
    asked: list[Any] = field(default_factory=list)
    attempts: int = 0
    error: OmnixError | None = None

    async def QuerySeries(
        self, request: analytics_service_pb2.QuerySeriesRequest, context: grpc.aio.ServicerContext
    ) -> analytics_service_pb2.QuerySeriesResponse:
        answer = analytics_service_pb2.QuerySeriesResponse(
            start_time=request.filter.start_time, end_time=request.filter.end_time, rebuilding=True
        )
        for group, rest in (("openai/gpt-4o", False), ("", True)):
            series = answer.series.add(group=group, rest=rest)
            series.points.add(start_time=request.filter.start_time, figures=figures())
        return self._answered(request, answer)

    async def QueryTotals(
        self, request: analytics_service_pb2.QueryTotalsRequest, context: grpc.aio.ServicerContext
    ) -> analytics_service_pb2.QueryTotalsResponse:
        answer = analytics_service_pb2.QueryTotalsResponse(
            start_time=request.filter.start_time,
            end_time=request.filter.end_time,
            kept_from_time=request.filter.end_time,
            total=figures(attempts=self.attempts),
        )
        answer.groups.add(group="k1", figures=figures())
        return self._answered(request, answer)

    async def StartRebuild(
        self, request: analytics_service_pb2.StartRebuildRequest, context: grpc.aio.ServicerContext
    ) -> analytics_service_pb2.StartRebuildResponse:
        return self._answered(request, analytics_service_pb2.StartRebuildResponse(rebuild=rebuild()))

    async def GetRebuild(
        self, request: analytics_service_pb2.GetRebuildRequest, context: grpc.aio.ServicerContext
    ) -> analytics_service_pb2.GetRebuildResponse:
        return self._answered(request, analytics_service_pb2.GetRebuildResponse(rebuild=rebuild()))

    def _answered(self, request: Any, answer: AnswerT) -> AnswerT:
        self.asked.append(request)
        if self.error is not None:
            raise self.error
        return answer


def rebuild() -> analytics_pb2.Rebuild:
    made = analytics_pb2.Rebuild(rebuild_id="r1", state=analytics_pb2.Rebuild.STATE_RUNNING, entries_read=7)
    made.start_time.FromDatetime(START)
    return made


@dataclass
class Scene:
    gateway: Gateway
    analytics: FakeAnalytics

    def as_admin(self) -> dict[str, str]:
        return {"authorization": f"Bearer {ADMIN}"}


@asynccontextmanager
async def fake_analytics() -> AsyncIterator[tuple[FakeAnalytics, str]]:
    fake = FakeAnalytics()
    async with grpc_server(
        ServiceSettings(),
        Readiness(),
        [],
        lambda server: analytics_service_pb2_grpc.add_AnalyticsServiceServicer_to_server(fake, server),
    ) as port:
        yield fake, f"127.0.0.1:{port}"


@pytest.fixture
async def scene(start: Start) -> AsyncIterator[Scene]:
    async with fake_analytics() as (fake, address):
        yield Scene(await start(MEMBER, analytics_address=address), fake)


async def test_series_are_asked_for_and_told(scene: Scene) -> None:
    params = {"start": "2026-11-01T00:00:00Z", "end": "2026-11-02T02:00:00+02:00", "bucket": "5m", "group_by": "model"}
    told = (await scene.gateway.http.get("/v1/analytics/series", params=params, headers=scene.as_admin())).json()
    [asked] = scene.analytics.asked
    assert (asked.filter.tenant_id, asked.filter.HasField("key_id")) == ("default", False)
    assert (asked.bucket.seconds, asked.group_by, asked.top) == (300, analytics_pb2.DIMENSION_MODEL, 10)
    assert asked.filter.end_time.ToDatetime(UTC) == START + timedelta(days=1)
    assert (told["object"], told["bucket_seconds"], told["rebuilding"], told["kept_from"]) == (
        "analytics.series",
        300,
        True,
        None,
    )
    first, rest = told["series"]
    assert (first["group"], first["rest"], rest["group"], rest["rest"]) == ("openai/gpt-4o", False, None, True)
    [point] = first["points"]
    assert point["start"] == "2026-11-01T00:00:00.000Z"
    assert (point["requests_per_minute"], point["error_rate"], point["total_tokens"]) == (1.6, 0.2, 150)
    assert point["costs"] == [{"currency": "USD", "cost": "1.234567", "cost_micros": 1_234_567}]
    assert point["latency"] == {"count": 7, "average_ms": 1.5, "p50_ms": 1.0, "p95_ms": 2.0, "p99_ms": 2.5}
    assert point["first_content"] is None


@pytest.mark.parametrize(("hours", "seconds"), [(2, 60), (24, 3600), (24 * 30, 86_400)])
async def test_bucket_fits_the_span_by_itself(scene: Scene, hours: int, seconds: int) -> None:
    params = {"start": (START - timedelta(hours=hours)).isoformat(), "end": START.isoformat()}
    told = await scene.gateway.http.get("/v1/analytics/series", params=params)
    assert told.json()["bucket_seconds"] == seconds


async def test_totals_are_asked_for_and_told(scene: Scene) -> None:
    told = (await scene.gateway.http.get("/v1/analytics/totals", params={"group_by": "key", "top": "3"})).json()
    [asked] = scene.analytics.asked
    span = asked.filter.end_time.ToDatetime(UTC) - asked.filter.start_time.ToDatetime(UTC)
    assert (span, asked.top, asked.group_by) == (timedelta(days=1), 3, analytics_pb2.DIMENSION_KEY)
    assert (told["total"]["attempts"], told["groups"][0]["group"], told["kept_from"]) == (10, "k1", told["end"])


async def test_members_see_what_their_key_made_and_admins_the_tenants(scene: Scene) -> None:
    http = scene.gateway.http
    for path in ("series", "totals"):
        await http.get(f"/v1/analytics/{path}")
        await http.get(f"/v1/analytics/{path}", params={"key_id": "member", "model": "openai/gpt-4o"})
        for params in ({"key_id": "admin"}, {"user_id": "somebody"}):
            refused = await http.get(f"/v1/analytics/{path}", params=params)
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "permission_denied")
        await http.get(f"/v1/analytics/{path}", params={"user_id": "somebody"}, headers=scene.as_admin())
    seen = [(asked.filter.tenant_id, asked.filter.key_id, asked.filter.user_id) for asked in scene.analytics.asked]
    assert seen == [("default", "member", ""), ("default", "member", ""), ("default", "", "somebody")] * 2
    assert (await http.get("/v1/analytics/live", params={"key_id": "admin"})).status_code == 403
    assert (await http.post("/v1/analytics/rebuild", json={"start": "2026-11-01T00:00:00Z"})).status_code == 403


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("series?bucket=90s", "bucket"),
        ("series?group_by=colour", "group_by"),
        ("series?start=2026-11-02T00:00:00Z&end=2026-11-01T00:00:00Z", "end"),
        ("series?start=yesterday", "start"),
        ("totals?top=0", "top"),
        ("totals?colour=red", "colour"),
        ("live?window=2h", "window"),
    ],
)
async def test_bad_question_is_refused_by_name(scene: Scene, path: str, param: str) -> None:
    refused = await scene.gateway.http.get(f"/v1/analytics/{path}")
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


async def test_rebuild_is_begun_and_told_by_admins(scene: Scene) -> None:
    http, admin = scene.gateway.http, scene.as_admin()
    begun = await http.post("/v1/analytics/rebuild", json={"start": "2026-11-01T00:00:00Z"}, headers=admin)
    assert (begun.status_code, begun.json()["state"], begun.json()["entries_read"]) == (202, "running", 7)
    told = await http.get("/v1/analytics/rebuild", params={"id": "r1"}, headers=admin)
    assert (told.status_code, told.json()["id"], told.json()["start"]) == (200, "r1", "2026-11-01T00:00:00.000Z")
    assert [asked.tenant_id for asked in scene.analytics.asked] == ["default", "default"]
    scene.analytics.error = CallerError("There is no such rebuild.", reason=Reason.NOT_FOUND)
    assert (await http.get("/v1/analytics/rebuild", headers=admin)).status_code == 404


async def test_gateway_without_analytics_serves_everything_else(gateway: Gateway) -> None:
    for path in ("series", "totals", "live"):
        refused = await gateway.http.get(f"/v1/analytics/{path}")
        assert (refused.status_code, refused.json()["error"]["message"]) == (503, "This deployment has no analytics.")
        assert refused.headers["retry-after"] == "60"
    assert (await gateway.http.get("/readyz")).status_code == 200


class Events:
    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines

    async def next(self) -> tuple[str, Any]:
        name = ""
        async with asyncio.timeout(10):
            async for line in self._lines:
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: "):
                    return name, msgspec.json.decode(line[6:])
        return "end", None


async def change(behind: Backends, tenant: str = "default") -> None:
    await behind.messaging.publish(subjects.figures_changed(tenant), b"")
    await behind.messaging.client.flush()


async def test_live_figures_come_at_once_and_within_two_seconds_of_a_change(scene: Scene, behind: Backends) -> None:
    async with scene.gateway.http.stream("GET", "/v1/analytics/live?window=10m&group_by=key") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = Events(answer.aiter_lines())
        name, told = await events.next()
        assert (name, told["object"], told["total"]["attempts"], told["groups"][0]["group"]) == (
            "figures",
            "analytics.live",
            10,
            "k1",
        )
        assert len(told["points"]) == 2
        span = datetime.fromisoformat(told["end"]) - datetime.fromisoformat(told["start"])
        assert span == timedelta(minutes=10)
        for attempts in (11, 12, 13):
            scene.analytics.attempts = attempts
            began = time.monotonic()
            await change(behind)
            name, told = await events.next()
            assert (name, told["total"]["attempts"]) == ("figures", attempts)
            assert time.monotonic() - began < 2
        assert {asked.filter.key_id for asked in scene.analytics.asked} == {"member"}


async def test_live_figures_end_when_the_key_is_revoked(scene: Scene, behind: Backends) -> None:
    async with scene.gateway.http.stream("GET", "/v1/analytics/live") as answer:
        events = Events(answer.aiter_lines())
        assert (await events.next())[0] == "figures"
        began = time.monotonic()
        await behind.account_changed("member")
        name, told = await events.next()
        assert (name, told["error"]["code"]) == ("error", "key_revoked")
        assert (await events.next())[0] == "end"
        assert time.monotonic() - began < 5


async def test_live_figures_end_with_the_gateway_and_outlive_an_outage_of_analytics(
    scene: Scene, behind: Backends
) -> None:
    async with scene.gateway.http.stream("GET", "/v1/analytics/live") as answer:
        events = Events(answer.aiter_lines())
        assert (await events.next())[0] == "figures"
        before = len(scene.analytics.asked)
        scene.analytics.error = PlatformError("away", reason=Reason.UNAVAILABLE)
        await change(behind)
        await eventually(lambda: len(scene.analytics.asked) > before)
        scene.analytics.error = None
        scene.analytics.attempts = 42
        await change(behind)
        assert (await events.next())[1]["total"]["attempts"] == 42
        scene.gateway.process.readiness.stopping = True
        name, told = await events.next()
        assert (name, told["error"]["code"]) == ("error", "shutting_down")
    scene.gateway.process.readiness.stopping = False
