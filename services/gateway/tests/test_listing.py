"""Which streams are open: every adapter says for itself."""

import pytest
from nats.aio.msg import Msg
from omnix.provider.v1 import stream_pb2 as pb
from omnix_kit import subjects
from omnix_kit.testing import NatsServer

from .conftest import Gateway, Start
from .fakes import ADMIN, Backends

IDS = [f"{number:032x}" for number in range(1, 6)]


class Adapter:
    """Answers who asks for its streams."""

    def __init__(self, behind: Backends, *streams: pb.OpenStream, more: bool = False) -> None:
        self._behind = behind
        self._reply = pb.OpenStreams(sender_id="s", streams=streams, more=more)
        self.asked: list[pb.OpenStreamsSought] = []

    async def listen(self) -> "Adapter":
        await self._behind.messaging.subscribe(subjects.OPEN_STREAMS_SOUGHT, self._on_sought)
        return self

    async def _on_sought(self, message: Msg) -> None:
        self.asked.append(pb.OpenStreamsSought.FromString(message.data))
        await self._behind.messaging.publish(message.reply, self._reply.SerializeToString())


def stream(number: int, attempt: int = 1, model: str = "openai/gpt-4o") -> pb.OpenStream:
    told = pb.OpenStream(
        completion_id=IDS[number], attempt=attempt, key_id="member", requested_model="fast", model=model, route="fast"
    )
    told.create_time.seconds = 1_700_000_000 + number
    return told


async def test_streams_of_all_adapters_are_listed_newest_first(gateway: Gateway, behind: Backends) -> None:
    await Adapter(behind, stream(2), stream(0)).listen()
    adapter = await Adapter(behind, stream(1)).listen()
    answer = await gateway.http.get("/v1/streams")
    assert answer.status_code == 200
    body = answer.json()
    assert [each["id"] for each in body["data"]] == [f"chatcmpl-{IDS[number]}" for number in (2, 1, 0)]
    assert body["data"][0] == {
        "id": f"chatcmpl-{IDS[2]}",
        "object": "stream",
        "created_at": 1_700_000_002,
        "requested_model": "fast",
        "model": "openai/gpt-4o",
        "route": "fast",
        "attempt": 1,
        "key_id": "member",
        "user_id": None,
    }
    assert (body["object"], body["has_more"]) == ("list", False)
    assert adapter.asked == [pb.OpenStreamsSought(tenant_id="default", key_id="member")]


async def test_the_later_of_two_attempts_is_the_one_that_is_told(gateway: Gateway, behind: Backends) -> None:
    await Adapter(behind, stream(0, 2, "bedrock/nova")).listen()
    await Adapter(behind, stream(0, 1)).listen()
    [told] = (await gateway.http.get("/v1/streams")).json()["data"]
    assert (told["attempt"], told["model"]) == (2, "bedrock/nova")


async def test_there_is_more_than_fits(gateway: Gateway, behind: Backends) -> None:
    await Adapter(behind, *(stream(number) for number in range(5))).listen()
    body = (await gateway.http.get("/v1/streams", params={"limit": 2})).json()
    assert (len(body["data"]), body["has_more"]) == (2, True)


async def test_nothing_is_open(gateway: Gateway, behind: Backends) -> None:
    adapter = await Adapter(behind).listen()
    assert (await gateway.http.get("/v1/streams")).json()["data"] == []
    assert len(adapter.asked) == 1


@pytest.mark.parametrize(("query", "sought"), [({}, ""), ({"key_id": "member"}, "member")])
async def test_admins_see_the_tenant(start: Start, behind: Backends, query: dict[str, str], sought: str) -> None:
    admin: Gateway = await start(ADMIN)
    adapter = await Adapter(behind, stream(0)).listen()
    assert len((await admin.http.get("/v1/streams", params=query)).json()["data"]) == 1
    assert adapter.asked == [pb.OpenStreamsSought(tenant_id="default", key_id=sought)]


async def test_members_do_not_see_other_keys(gateway: Gateway) -> None:
    refused = await gateway.http.get("/v1/streams", params={"key_id": "admin"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "permission_denied")


async def test_without_the_broker_nobody_knows(gateway: Gateway, nats: NatsServer) -> None:
    nats.kill()
    refused = await gateway.http.get("/v1/streams")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
