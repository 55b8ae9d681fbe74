"""HTTP itself: routing, heads, slow clients, room, origins."""

import asyncio
import logging

import httpx
import pytest
from omnix_kit.testing import eventually, free_port

from .conftest import Gateway, Start
from .fakes import Backends

PATH = "/v1/chat/completions"
USER = {"role": "user", "content": "a"}


async def test_routing_errors_have_the_envelope(gateway: Gateway) -> None:
    for method, path, status in (
        ("GET", "/v1/nothing", 404),
        ("GET", PATH, 405),
        ("PUT", "/v1/models", 405),
        ("POST", "/v1/usage", 405),
    ):
        refused = await gateway.http.request(method, path)
        assert (refused.status_code, refused.json()["error"]["type"]) == (status, "invalid_request_error")
        assert refused.headers["x-request-id"].startswith("req_")
        assert status == 404 or "allow" in refused.headers
    head = await gateway.http.head("/v1/models")
    assert (head.status_code, head.content) == (200, b"")
    options = await gateway.http.options(PATH)
    assert (options.status_code, options.headers["allow"]) == (204, "OPTIONS, POST")
    assert (await gateway.http.options("/v1/models")).status_code == 204
    large = await gateway.http.get("/v1/models", headers={"x-large": "a" * 20_000})
    assert (large.status_code, large.json()["error"]["type"]) == (431, "invalid_request_error")
    named = await gateway.http.get("/v1/models", headers={"x-request-id": "mine-1"})
    assert named.headers["x-request-id"] == "mine-1"


async def test_the_access_log_is_bounded(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "omnix_gateway.access"):
        for size in (5_000, 15_900, 30_000):
            refused = await gateway.http.get(f"/{'a' * size}")
            assert (refused.status_code in (404, 431), len(refused.text) < 500) == (True, True)
        told = [record for record in caplog.records if record.name == "omnix_gateway.access"]
    assert {len(str(vars(record)["path"])) for record in told} == {200}


async def test_slow_clients_are_given_up(start: Start) -> None:
    gateway: Gateway = await start(head_timeout=0.3, body_timeout=0.3)
    heads = {
        b"": b"",
        b"POST /v1/chat/comp": b"408",
        b"GET / HTTP/1.1\r\nx: " + b"a" * 100_000: b"431",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
        b"x-api-key: sk-omnix-member\r\ncontent-length: 5\r\n\r\n{": b"408",
        b"nonsense\r\n\r\n": b"400",
    }
    for sent, status in heads.items():
        reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.url.rpartition(":")[2]))
        writer.write(sent)
        async with asyncio.timeout(5):
            answer = await reader.read()
        assert answer[9:12] == status, answer
        assert not status or b'{"error":{' in answer
        writer.close()


async def test_room_is_bounded_and_health_stays_quick(start: Start, behind: Backends) -> None:
    gateway: Gateway = await start(http_concurrency=1)
    behind.router.hold = asyncio.Event()
    body = {"model": "m", "messages": [USER]}
    first = asyncio.create_task(gateway.http.post(PATH, json=body))
    await eventually(lambda: len(behind.router.asked) == 1)
    refused = await gateway.http.post(PATH, json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
    assert refused.headers["retry-after"] == "1"
    assert (await gateway.http.get("/readyz")).status_code == 200
    behind.router.hold.set()
    assert (await first).status_code == 200


async def test_readiness_names_what_is_away_and_not_where_it_would_be(start: Start) -> None:
    nobody = free_port()
    gateway: Gateway = await start(router_address=f"127.0.0.1:{nobody}", ready=False)

    async def only_the_router() -> bool:
        told = await gateway.http.get("/readyz")
        return (told.status_code, told.json()["lacking"]) == (503, {"router": "is away"})

    await eventually(only_the_router)


async def test_a_unary_client_that_leaves_cancels_the_call(gateway: Gateway, behind: Backends) -> None:
    behind.router.hold = asyncio.Event()
    with pytest.raises(httpx.ReadTimeout):
        await gateway.http.post(PATH, json={"model": "m", "messages": [USER]}, timeout=0.4)
    await eventually(lambda: len(behind.router.cancelled) == 1)


async def test_pages_of_allowed_origins_may_call(start: Start) -> None:
    gateway: Gateway = await start(cors_origins="https://console.example")
    asked = {"origin": "https://console.example", "access-control-request-method": "POST"}
    preflight = await gateway.http.options(PATH, headers=asked)
    assert preflight.headers["access-control-allow-origin"] == "https://console.example"
    other = await gateway.http.get("/v1/models", headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers
