"""Keys: who may have them made, and how long one is known."""

import asyncio
from datetime import timedelta

import httpx
import openai
import pytest
from omnix.account.v1 import account_pb2
from omnix_gateway.authentication import Authenticator
from omnix_gateway.clients import Accounts
from omnix_kit.rpc import Remote
from omnix_kit.testing import eventually, free_port

from .conftest import Gateway, Start
from .fakes import ADMIN, MEMBER, Backends


async def test_keys_are_for_admins(gateway: Gateway, behind: Backends) -> None:
    for method, path in (("POST", "/v1/keys"), ("GET", "/v1/keys"), ("DELETE", "/v1/keys/member")):
        refused = await gateway.http.request(method, path)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "permission_denied")
    headers = {"x-api-key": ADMIN}
    async with httpx.AsyncClient(base_url=gateway.url, headers=headers) as admin:
        made = await admin.post("/v1/keys", json={"name": "ci", "role": "member"})
        assert (made.status_code, made.json()["key"], made.json()["name"]) == (201, "sk-omnix-new", "ci")
        assert made.headers["cache-control"] == "no-store"
        assert (behind.accounts.made[0].tenant_id, behind.accounts.made[0].maker_key_id) == ("default", "admin")
        listed = (await admin.get("/v1/keys")).json()
        assert {key["id"] for key in listed["data"]} == {"admin", "member", "other", "new"}
        assert listed["has_more"] is True
        assert "key" not in listed["data"][0]
        revoked = await admin.delete("/v1/keys/member")
        assert revoked.json()["revoked_at"] is not None
        assert (await admin.delete("/v1/keys/nothing")).status_code == 404
        bad = await admin.post("/v1/keys", json={"name": ""})
        assert (bad.status_code, bad.json()["error"]["param"]) == (400, "name")


async def test_every_header_form_shows_the_same_key(gateway: Gateway, behind: Backends) -> None:
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        for headers in ({"authorization": f"bearer {MEMBER}"}, {"x-api-key": MEMBER}, {"api-key": MEMBER}):
            assert (await http.get("/v1/models", headers=headers)).status_code == 200
        assert len(behind.accounts.asked) == 1
        both = {"x-api-key": MEMBER, "authorization": f"Bearer {ADMIN}"}
        for headers in ({}, {"x-api-key": ""}, {"authorization": "Basic abc"}, {"x-api-key": "k" * 600}, both):
            refused = await http.get("/v1/models", headers=headers)
            assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
            assert refused.headers["www-authenticate"] == "Bearer"
    with pytest.raises(openai.AuthenticationError):
        await gateway.openai.with_options(api_key="wrong").models.list()


async def test_a_key_is_asked_for_once_and_forgotten_when_it_changes(gateway: Gateway, behind: Backends) -> None:
    behind.accounts.hold = asyncio.Event()
    calls = [asyncio.create_task(gateway.http.get("/v1/models")) for _ in range(5)]
    await eventually(lambda: len(behind.accounts.asked) == 1)
    behind.accounts.hold.set()
    assert [answer.status_code for answer in await asyncio.gather(*calls)] == [200] * 5
    assert len(behind.accounts.asked) == 1
    for key in behind.accounts.keys.values():
        key.revoke_time.seconds = 1
    assert (await gateway.http.get("/v1/models")).status_code == 200
    await behind.account_changed("member")

    async def refused() -> bool:
        return (await gateway.http.get("/v1/models")).status_code == 401

    await eventually(refused, within=2)
    asked = len(behind.accounts.asked)
    assert await refused()
    assert len(behind.accounts.asked) == asked


async def test_an_expired_key_is_not_known_for_longer(gateway: Gateway, behind: Backends) -> None:
    key = behind.accounts.add("sk-omnix-old", "old", account_pb2.KEY_ROLE_MEMBER)
    key.expire_time.seconds = 1
    refused = await gateway.http.get("/v1/models", headers={"authorization": "Bearer sk-omnix-old"})
    assert refused.status_code == 401


async def test_known_keys_go_on_while_accounts_is_away(start: Start, behind: Backends) -> None:
    async with Remote("accounts", f"127.0.0.1:{behind.port}") as there:
        authenticator = Authenticator(Accounts(there, timedelta(seconds=5)), ttl=60, size=10)
        known = await authenticator.identify([(b"x-api-key", MEMBER.encode())])
        await there.close()
        assert await authenticator.identify([(b"x-api-key", MEMBER.encode())]) is known
    gateway: Gateway = await start(accounts_address=f"127.0.0.1:{free_port()}", call_timeout=0.3, ready=False)
    refused = await gateway.http.get("/v1/models")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "unavailable")
    assert "retry-after" in refused.headers
