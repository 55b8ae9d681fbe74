"""What the accounts service answers, asked over gRPC."""

from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.message import Message
from omnix.account.v1.account_pb2 import KEY_ROLE_ADMIN, KEY_ROLE_MEMBER, DisconnectPolicy
from omnix.account.v1.account_service_pb2 import AuthenticateKeyRequest, CreateKeyRequest, ListKeysRequest
from omnix_kit.convert import duration, timestamp
from omnix_kit.errors import CallerError, OmnixError, Reason

from .conftest import ADMIN, Client, Service


async def test_key_works_from_its_making_to_its_revocation(service: Service, client: Client) -> None:
    admin = await client.authenticate(ADMIN)
    assert (admin.tenant_id, admin.role, admin.name) == ("default", KEY_ROLE_ADMIN, "bootstrap")
    made = await client.create(admin.key_id, user_id="ada", team_id="core")
    assert made.key.hint == made.secret[:13]
    assert await client.authenticate(made.secret) == made.key
    revoked = await client.revoke(made.key.key_id)
    assert revoked.HasField("revoke_time")
    assert await client.revoke(made.key.key_id) == revoked
    listed, _ = await client.page()
    assert [listed[0], listed[-1]] == [revoked, admin]
    refused = await client.refusal(made.secret)
    assert refused == await client.refusal("sk-omnix-nobody-has-this-one")
    assert refused == (Reason.UNAUTHENTICATED, "The API key is not valid.")
    for file in service.folder.iterdir():
        assert made.secret.encode() not in file.read_bytes()
        assert ADMIN.encode() not in file.read_bytes()


async def test_key_ends_when_it_expires(client: Client) -> None:
    admin = await client.authenticate(ADMIN)
    end = datetime.now(UTC) + timedelta(seconds=1)
    made = await client.create(admin.key_id, expire_time=timestamp(end))
    ended = None
    while ended is None:
        try:
            assert await client.authenticate(made.secret) == made.key
        except CallerError as exc:
            ended = exc
    assert (ended.reason, ended.message) == (Reason.UNAUTHENTICATED, "The API key is not valid.")
    assert datetime.now(UTC) >= end - timedelta(milliseconds=1)


@pytest.mark.parametrize(
    "policy",
    [
        DisconnectPolicy(action=DisconnectPolicy.ACTION_CANCEL),
        DisconnectPolicy(action=DisconnectPolicy.ACTION_CONTINUE),
        DisconnectPolicy(action=DisconnectPolicy.ACTION_GRACE, grace=duration(timedelta(seconds=1.5))),
    ],
    ids=["cancel", "continue", "grace"],
)
async def test_key_keeps_what_becomes_of_its_streams(client: Client, policy: DisconnectPolicy) -> None:
    made = await client.create((await client.authenticate(ADMIN)).key_id, disconnect_policy=policy)
    assert (await client.authenticate(made.secret)).disconnect_policy == policy


@pytest.mark.parametrize(
    "policy",
    [
        DisconnectPolicy(),
        DisconnectPolicy(action=DisconnectPolicy.ACTION_GRACE),
        DisconnectPolicy(action=DisconnectPolicy.ACTION_GRACE, grace=duration(timedelta(minutes=11))),
    ],
    ids=["unspecified", "no grace", "too long"],
)
async def test_policy_that_means_nothing_is_refused(client: Client, policy: DisconnectPolicy) -> None:
    maker = (await client.authenticate(ADMIN)).key_id
    with pytest.raises(CallerError) as refused:
        await client.create(maker, disconnect_policy=policy)
    assert (refused.value.reason, refused.value.param) == (Reason.INVALID_REQUEST, "disconnect_policy")


async def test_members_make_no_keys_and_nobody_makes_keys_for_another_tenant(client: Client) -> None:
    admin = await client.authenticate(ADMIN)
    member = (await client.create(admin.key_id)).key
    for maker, tenant in ((member.key_id, "default"), (admin.key_id, "other"), ("", "default"), ("x", "default")):
        with pytest.raises(CallerError) as refused:
            await client.create(maker, tenant_id=tenant)
        assert refused.value.reason is Reason.PERMISSION_DENIED


async def test_revoked_admin_makes_no_keys(client: Client) -> None:
    admin = await client.authenticate(ADMIN)
    second = (await client.create(admin.key_id, role=KEY_ROLE_ADMIN)).key
    assert (await client.create(second.key_id)).key.role == KEY_ROLE_MEMBER
    await client.revoke(second.key_id)
    with pytest.raises(CallerError) as refused:
        await client.create(second.key_id)
    assert refused.value.reason is Reason.PERMISSION_DENIED


async def test_bootstrap_key_is_not_revoked_by_a_call(client: Client) -> None:
    admin = await client.authenticate(ADMIN)
    with pytest.raises(OmnixError) as refused:
        await client.revoke(admin.key_id)
    assert refused.value.reason is Reason.CONFLICT
    assert "To rotate it, change that variable" in refused.value.message
    assert await client.authenticate(ADMIN) == admin


async def test_key_of_another_tenant_is_not_found_and_not_listed(client: Client) -> None:
    admin = await client.authenticate(ADMIN)
    made = await client.create(admin.key_id)
    for key_id in (made.key.key_id, "0" * 32, "no id"):
        with pytest.raises(CallerError) as refused:
            await client.revoke(key_id, tenant_id="other")
        assert refused.value.reason is Reason.NOT_FOUND
    assert await client.authenticate(made.secret) == made.key
    assert (await client.page(tenant_id="other")) == ([], "")


async def test_pages_give_every_key_once_newest_first(client: Client) -> None:
    admin = await client.authenticate(ADMIN)
    made = [(await client.create(admin.key_id)).key for _ in range(5)]
    all_of_them, _ = await client.page(size=1000)
    assert all_of_them[:5] == made[::-1]
    found, token = await client.page(size=2)
    while token:
        page, token = await client.page(size=2, token=token)
        found += page
    assert found == all_of_them


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (ListKeysRequest(tenant_id="default", page_token="forged"), "page_token"),
        (ListKeysRequest(tenant_id="default", page_size=-1), "page_size"),
        (ListKeysRequest(tenant_id="default", page_size=1001), "page_size"),
        (ListKeysRequest(), "tenant_id"),
        (CreateKeyRequest(tenant_id="default", name="ci"), "role"),
        (CreateKeyRequest(tenant_id="default", role=KEY_ROLE_MEMBER), "name"),
        (AuthenticateKeyRequest(key_sha256=b"short"), "key_sha256"),
    ],
)
async def test_bad_request_is_refused_by_the_name_of_its_field(client: Client, request_: Message, param: str) -> None:
    with pytest.raises(OmnixError) as refused:
        await client.call(request_)
    assert (refused.value.reason, refused.value.param) == (Reason.INVALID_REQUEST, param)
