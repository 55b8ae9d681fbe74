"""Answers that wait a while for a client who left, and then end; policies that a key brings along."""

import asyncio
import time

import pytest
from omnix.account.v1 import account_pb2
from omnix_kit.testing import eventually

from .conftest import Gateway, Start
from .events import events
from .fakes import ADMIN, MEMBER, Backends
from .streamed import BODY, Steps, asked, watched

GRACE = {"x-omnix-on-disconnect": "grace=1s"}


async def left(gateway: Gateway, headers: dict[str, str] | None = None) -> str:
    """Ask, read the first token and leave; answers the stream's id."""
    async with asked(gateway, headers) as response:
        return str((await anext(events(response))).json["id"])


async def test_an_answer_nobody_comes_back_to_ends_after_its_grace(gateway: Gateway, behind: Backends) -> None:
    behind.router.play = Steps("a")
    await left(gateway, GRACE)
    began = time.monotonic()
    await eventually(lambda: behind.cancels == [behind.router.started[0].completion_id])
    assert time.monotonic() - began > 0.9


async def test_who_comes_back_in_time_gets_the_rest(gateway: Gateway, behind: Backends) -> None:
    steps = Steps("a")
    behind.router.play = steps
    stream_id = await left(gateway, GRACE)
    rest = asyncio.create_task(watched(gateway, stream_id, "0"))
    await asyncio.wait({rest}, timeout=2.5)  # two graces
    assert behind.cancels == []
    await (await steps.publisher).finish()
    assert (await rest)[-1].data == "[DONE]"


async def test_who_comes_back_and_leaves_again_leaves_it_its_grace(gateway: Gateway, behind: Backends) -> None:
    behind.router.play = Steps("a")
    stream_id = await left(gateway, GRACE)
    async with gateway.http.stream("GET", f"/v1/streams/{stream_id}") as response:
        await anext(events(response))
    assert behind.cancels == []
    await eventually(lambda: behind.cancels == [behind.router.started[0].completion_id])


async def test_who_reads_on_at_another_gateway_keeps_it_going(start: Start, behind: Backends) -> None:
    one: Gateway = await start()
    other: Gateway = await start()
    behind.router.play = Steps("a")
    stream_id = await left(one, GRACE)
    async with other.http.stream("GET", f"/v1/streams/{stream_id}") as response:
        read = events(response)
        await anext(read)
        await asyncio.sleep(2.5)
        assert behind.cancels == []
    await eventually(lambda: behind.cancels == [behind.router.started[0].completion_id])


@pytest.mark.parametrize("wish", ["grace", "grace=", "grace=0s", "grace=11m", "grace=x", "stay", "cancel=1s", ""])
async def test_a_policy_that_is_none_is_refused_by_name(gateway: Gateway, wish: str) -> None:
    refused = await gateway.http.post("/v1/chat/completions", json=BODY, headers={"x-omnix-on-disconnect": wish})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "x-omnix-on-disconnect")


async def test_a_key_brings_its_policy_and_a_request_may_say_otherwise(gateway: Gateway, behind: Backends) -> None:
    for key in behind.accounts.keys.values():
        key.disconnect_policy.action = account_pb2.DisconnectPolicy.ACTION_CONTINUE
    steps = Steps("a", "b")
    behind.router.play = steps
    stream_id = await left(gateway)
    await (await steps.publisher).finish()
    assert (await watched(gateway, stream_id, "0"))[-1].data == "[DONE]"
    assert behind.cancels == []
    behind.router.play = Steps("a")
    await left(gateway, {"x-omnix-on-disconnect": "cancel"})
    await eventually(lambda: len(behind.cancels) == 1)


async def test_keys_are_made_with_a_policy(start: Start, behind: Backends) -> None:
    admin: Gateway = await start(ADMIN)
    made = await admin.http.post("/v1/keys", json={"name": "ci", "on_disconnect": "Grace = 90s"})
    assert made.status_code == 201
    [asked_for] = behind.accounts.made
    assert asked_for.disconnect_policy.action == account_pb2.DisconnectPolicy.ACTION_GRACE
    assert asked_for.disconnect_policy.grace.seconds == 90
    refused = await admin.http.post("/v1/keys", json={"name": "ci", "on_disconnect": "never"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "on_disconnect")
    behind.accounts.add(MEMBER, "member", account_pb2.KEY_ROLE_MEMBER).disconnect_policy.CopyFrom(
        asked_for.disconnect_policy
    )
    listed = (await admin.http.get("/v1/keys")).json()["data"]
    assert {key["id"]: key["on_disconnect"] for key in listed} == {
        "admin": None,
        "member": "grace=90s",
        "other": None,
        "new": None,
    }
