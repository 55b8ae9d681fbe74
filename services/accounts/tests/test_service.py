"""The accounts service as processes: the bootstrap key, and what the suite is told."""

from collections.abc import Callable

import pytest
from nats.aio.msg import Msg
from omnix.account.v1.account_pb2 import KEY_ROLE_ADMIN, AccountChanged
from omnix_kit import subjects
from omnix_kit.errors import Reason
from omnix_kit.testing import NatsServer, connected, eventually

from .conftest import ADMIN, Service, client_of

ROTATED = "sk-omnix-the-second-admin-key"


async def test_changing_the_variable_revokes_the_former_bootstrap_key(another: Callable[..., Service]) -> None:
    first, second, back = another(ADMIN), another(ROTATED), another(ADMIN)
    first.start()
    async with client_of(first) as client:
        second.start()
        await second.until_ready()
        assert (await client.authenticate(ROTATED)).role == KEY_ROLE_ADMIN
        assert (await client.refusal(ADMIN))[0] is Reason.UNAUTHENTICATED
    back.start()
    assert back.wait() == 2
    assert "OMNIX_ADMIN_KEY: this key was revoked" in back.log.read_text()
    assert ADMIN not in back.log.read_text()


async def test_replicas_with_different_admin_keys_leave_one_valid(another: Callable[..., Service]) -> None:
    replicas = [another(f"sk-omnix-admin-key-number-{number % 2}") for number in range(3)]
    for replica in replicas:
        replica.start()
    async with client_of(replicas[1]) as client:
        for replica in replicas:
            # One that starts with the key that another one has revoked meanwhile says so and ends.
            await eventually(lambda replica=replica: replica.ready()[0] or replica.ended())  # type: ignore[misc]
        listed, _ = await client.page()
    assert [key.name for key in listed] == ["bootstrap", "bootstrap"]
    assert sum(not key.HasField("revoke_time") for key in listed) == 1


async def test_changes_are_told_at_once_and_after_an_outage_of_the_broker(
    another: Callable[..., Service], nats: NatsServer
) -> None:
    service = another()
    service.start()
    events: list[AccountChanged] = []

    async def on_message(message: Msg) -> None:
        assert message.subject == "omnix.v1.account.changed.default"
        events.append(AccountChanged.FromString(message.data))

    def told(key_id: str, revoked: bool) -> Callable[[], bool]:
        return lambda: any(event.key_id == key_id and event.revoked == revoked for event in events)

    async with connected(nats) as messaging:
        await messaging.subscribe(subjects.ACCOUNT_CHANGED, on_message)
        await messaging.client.flush()
        async with client_of(service) as client:
            admin = await client.authenticate(ADMIN)
            first = (await client.create(admin.key_id)).key.key_id
            await eventually(told(first, False))
            second = (await client.create(admin.key_id)).key.key_id
            await client.revoke(first)
            await eventually(told(first, True))
            nats.kill()
            await eventually(lambda: not service.ready()[0])
            assert (await client.revoke(second)).HasField("revoke_time")
        assert service.stop() == 0  # not even a restart forgets what was not told
        nats.start()
        await messaging.ready()
        await messaging.client.flush()
        service.start()
        await eventually(told(second, True), within=20)
    assert len({event.event_id for event in events}) == len(events)


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("OMNIX_ADMIN_KEY", "too-short", "OMNIX_ADMIN_KEY: must have 16 to 512 characters"),
        ("OMNIX_ADMIN_KEY", "sixteen characters with spaces", "OMNIX_ADMIN_KEY: must be printable ASCII"),
        ("OMNIX_STORE_URL", "postgres://localhost/keys", "OMNIX_STORE_URL: a store URL begins with"),
    ],
)
def test_bad_configuration_ends_the_process_with_code_2(
    another: Callable[..., Service], monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str
) -> None:
    monkeypatch.setenv(variable, value)
    service = another(value if variable == "OMNIX_ADMIN_KEY" else ADMIN)
    service.start()
    assert service.wait() == 2
    text = service.log.read_text()
    assert told in text
    assert value not in text
    assert "Traceback" not in text
