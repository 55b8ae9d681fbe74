"""Limits as gateways and admins meet them: over gRPC, with a real store and broker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from omnix.common.v1.caller_pb2 import Caller
from omnix.usage.v1 import quota_pb2 as pb
from omnix.usage.v1 import quota_service_pb2 as service_pb
from omnix.usage.v1 import quota_service_pb2_grpc
from omnix_kit import subjects
from omnix_kit.convert import timestamp
from omnix_kit.errors import OmnixError, Reason
from omnix_kit.rpc import Remote
from omnix_kit.testing import NatsServer, connected, eventually

from .conftest import Client, Service, client_of, event, publish  # type: ignore[import-not-found] # mypy names no module with a hyphen

TENANT = pb.LIMIT_SUBJECT_TENANT
KEY = pb.LIMIT_SUBJECT_KEY
TEAM = pb.LIMIT_SUBJECT_TEAM
REQUESTS = pb.LIMIT_KIND_REQUESTS_PER_MINUTE
CONCURRENT = pb.LIMIT_KIND_CONCURRENT_REQUESTS
DAILY = pb.LIMIT_KIND_COST_PER_DAY
HARD = pb.LIMIT_ENFORCEMENT_HARD
SOFT = pb.LIMIT_ENFORCEMENT_SOFT


def limit(**more: Any) -> pb.Limit:
    made = pb.Limit(limit_id="l", tenant_id="default", subject=TENANT, kind=CONCURRENT, amount=100, enforcement=HARD)
    made.MergeFrom(pb.Limit(**more))
    return made


@asynccontextmanager
async def quotas_of(service: Service) -> AsyncIterator[Client]:
    async with client_of(service), Remote("usage-metering", f"127.0.0.1:{service.grpc_port}") as remote:
        client = Client(remote)
        client._stub = quota_service_pb2_grpc.QuotaServiceStub(remote.channel)
        yield client


async def put(client: Client, **more: Any) -> pb.Limit:
    answer: service_pb.PutLimitResponse = await client.call(service_pb.PutLimitRequest(limit=limit(**more)))
    return answer.limit


async def leased(client: Client, gateway: str, **ask: Any) -> pb.LeaseGrant:
    asked = pb.LeaseAsk(**{"tenant_id": "default", "limit_id": "l", **ask})
    answer: service_pb.LeaseQuotaResponse = await client.call(
        service_pb.LeaseQuotaRequest(gateway_id=gateway, asks=[asked])
    )
    [grant] = answer.grants
    return grant


async def test_limits_are_made_changed_listed_and_deleted_and_all_hear_of_it(
    service: Service, nats: NatsServer
) -> None:
    service.start()
    async with connected(nats) as messaging, quotas_of(service) as client:
        heard: list[str] = []

        async def on_change(message: Any) -> None:
            heard.append(pb.LimitChanged.FromString(message.data).limit_id)

        await messaging.subscribe(subjects.LIMIT_CHANGED, on_change)
        await messaging.client.flush()
        made = await client.call(service_pb.PutLimitRequest(limit=limit()))
        again = await client.call(service_pb.PutLimitRequest(limit=limit(amount=7)))
        assert (made.created, again.created, again.limit.amount) == (True, False, 7)
        assert again.limit.version == made.limit.version + 1
        assert again.limit.create_time == made.limit.create_time
        await put(client, limit_id="other", tenant_id="acme")
        listed = await client.call(service_pb.ListLimitsRequest(tenant_id="default"))
        assert list(listed.limits) == [again.limit]
        assert (await client.call(service_pb.GetLimitRequest(tenant_id="default", limit_id="l"))).limit == again.limit
        for request in (
            service_pb.GetLimitRequest(tenant_id="acme", limit_id="l"),
            service_pb.DeleteLimitRequest(tenant_id="acme", limit_id="l"),
        ):
            with pytest.raises(OmnixError) as caught:
                await client.call(request)
            assert caught.value.reason is Reason.NOT_FOUND
        await client.call(service_pb.DeleteLimitRequest(tenant_id="default", limit_id="l"))
        assert (await leased(client, "a", want=1)).limit_version == 0
        await eventually(lambda: heard == ["l", "l", "other", "l"])


async def test_limits_that_cannot_be_are_refused_by_field(service: Service) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"limit_id": "a/b"}, "limit.limit_id"),
        ({"limit_id": "usage"}, "limit.limit_id"),
        ({"amount": -5}, "limit.amount"),
        ({"subject": KEY}, "limit.subject_id"),
        ({"subject_id": "k1"}, "limit.subject_id"),
        ({"kind": 99}, "limit.kind"),
        ({"enforcement": 99}, "limit.enforcement"),
    ]
    service.start()
    async with quotas_of(service) as client:
        for fields, param in wrong:
            with pytest.raises(OmnixError) as caught:
                await put(client, **fields)
            assert (caught.value.reason, caught.value.param) == (Reason.INVALID_REQUEST, param)


async def test_many_gateways_at_once_get_all_of_a_limit_and_no_more(service: Service) -> None:
    service.start()
    async with quotas_of(service) as client:
        await put(client, amount=200, kind=REQUESTS)

        async def gateway(name: str) -> dict[int, int]:
            spent: dict[int, int] = {}
            window = 0
            for _ in range(300):
                grant = await leased(client, name, window=window, spent=spent.get(window, 0), need=1, want=50)
                window = grant.window
                spent[window] = spent.get(window, 0) + grant.granted
                if not grant.granted:
                    return spent
            return spent

        found = await asyncio.gather(*(gateway(str(number)) for number in range(6)))
        windows = {window for spent in found for window in spent}
        used = {window: sum(spent.get(window, 0) for spent in found) for window in windows}
        assert max(used.values()) == 200  # a minute may have ended meanwhile


async def test_slots_are_given_back_and_survive_a_restart(service: Service) -> None:
    service.start()
    async with quotas_of(service) as client:
        await put(client, amount=10)
        first = await leased(client, "a", need=10, want=10)
        assert (first.granted, first.available, first.HasField("reset_delay")) == (10, 0, False)
        assert first.lifetime.ToTimedelta().total_seconds() == 15
        assert (await leased(client, "b", need=1, want=1)).granted == 0
        await leased(client, "a", window=first.window, reserved=4, want=0)
        assert (await leased(client, "b", need=6, want=6)).granted == 6
    service.kill()
    service.start()
    async with quotas_of(service) as client:
        assert (await leased(client, "c", need=1, want=1)).granted == 0
        usage = await client.call(service_pb.GetLimitUsageRequest(caller=Caller(tenant_id="default", key_id="k")))
        [told] = usage.usages
        assert (told.used, told.reserved, told.HasField("reset_time")) == (4, 6, False)


async def test_each_key_has_its_own_count_and_others_hear_nothing(service: Service) -> None:
    service.start()
    async with quotas_of(service) as client:
        await put(client, amount=2, subject=KEY, subject_id="*")
        assert (await leased(client, "a", subject_id="k1", need=2, want=2)).granted == 2
        assert (await leased(client, "a", subject_id="k2", need=2, want=2)).granted == 2
        assert (await leased(client, "a", subject_id="", need=1, want=1)).limit_version == 0
        usage = await client.call(service_pb.GetLimitUsageRequest(caller=Caller(tenant_id="default", key_id="k2")))
        assert [(each.subject_id, each.reserved) for each in usage.usages] == [("k2", 2)]
        nobody = await client.call(service_pb.GetLimitUsageRequest(caller=Caller(tenant_id="acme", key_id="k2")))
        assert list(nobody.usages) == []


async def test_budgets_count_what_the_ledger_has_by_subject_and_model(service: Service, nats: NatsServer) -> None:
    now = datetime.now(UTC)
    service.start()
    async with connected(nats) as messaging, quotas_of(service) as client:
        reached: list[pb.LimitReached] = []

        async def on_reached(message: Any) -> None:
            reached.append(pb.LimitReached.FromString(message.data))

        await messaging.subscribe(subjects.limit_reached("default"), on_reached)
        await messaging.client.flush()
        await put(client, limit_id="team", subject=TEAM, subject_id="red", kind=DAILY, amount=10_000)
        await put(client, limit_id="model", kind=DAILY, amount=7_000, enforcement=SOFT, model_pattern="gpt-4o*")
        events = [event(start_time=timestamp(now)) for _ in range(3)]  # 3,500 each
        events[0].caller.team_id = events[1].caller.team_id = "red"
        events[2].model = "o3"
        await publish(messaging, events)

        async def entered() -> bool:
            caller = Caller(tenant_id="default", key_id="k", team_id="red")
            usage = await client.call(service_pb.GetLimitUsageRequest(caller=caller))
            return [(each.limit.limit_id, each.used) for each in usage.usages] == [("model", 7_000), ("team", 7_000)]

        await eventually(entered, within=20)
        grant = await leased(client, "a", limit_id="team", subject_id="red", need=3_001, want=3_001)
        assert (grant.granted, grant.exhausted) == (0, False)
        grant = await leased(client, "a", limit_id="team", subject_id="red", need=3_000, want=3_000)
        assert grant.granted == 3_000
        soft = await leased(client, "a", limit_id="model", need=5, want=5)
        assert (soft.granted, soft.exhausted) == (5, True)
        await leased(client, "a", limit_id="model", window=soft.window, need=5, want=5)
        await eventually(lambda: len(reached) >= 2)
        assert sorted((each.limit.limit_id, each.subject_id, each.used) for each in reached) == [
            ("model", "", 7_000),
            ("team", "red", 7_000),
        ]
