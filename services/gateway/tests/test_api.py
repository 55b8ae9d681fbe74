"""The plain routes, the documents, and what is refused."""

import asyncio
import logging
import re
from datetime import timedelta
from typing import Any

import httpx
import openai
import pytest
from omnix.account.v1 import account_pb2
from omnix.completion.v1 import completion_pb2 as pb
from omnix.router.v1 import router_pb2
from omnix.usage.v1 import usage_pb2, usage_service_pb2
from omnix_gateway.authentication import Authenticator
from omnix_gateway.clients import Accounts
from omnix_gateway.openapi import OPERATIONS
from omnix_kit.errors import Reason, error_for
from omnix_kit.rpc import Remote
from omnix_kit.testing import eventually, free_port

from .conftest import Gateway, Start
from .fakes import ADMIN, MEMBER, Backends

PATH = "/v1/chat/completions"
USER = {"role": "user", "content": "a"}


def a_model() -> router_pb2.Model:
    model = router_pb2.Model(
        id="openai/gpt-4o",
        provider="openai",
        model="gpt-4o",
        aliases=["gpt-4o"],
        display_name="GPT-4o",
        context_window=128_000,
        max_output_tokens=16_384,
        capabilities=["text", "tools"],
        sandbox=True,
    )
    model.price.currency = "USD"
    model.price.effective_time.seconds = 1_700_000_000
    model.price.input_micros_per_million = 2_500_000
    model.price.output_micros_per_million = 10_000_000
    model.price.cached_input_micros_per_million = 1_250_000
    model.create_time.seconds = 1_715_367_049
    return model


async def test_models_tell_prices_and_capabilities(gateway: Gateway, behind: Backends) -> None:
    route = router_pb2.Model(id="fast", display_name="fast")
    route.targets.add(provider="openai", model="gpt-4o", weight=1)
    behind.router.models = [a_model(), route]
    listed = [model async for model in gateway.openai.models.list()]
    assert [model.id for model in listed] == ["openai/gpt-4o", "fast"]
    for name in ("openai/gpt-4o", "gpt-4o"):
        told = (await gateway.http.get(f"/v1/models/{name}")).json()
        assert told == {
            "id": "openai/gpt-4o",
            "object": "model",
            "created": 1_715_367_049,
            "owned_by": "openai",
            "shutdown_date": None,
            "provider": "openai",
            "model": "gpt-4o",
            "aliases": ["gpt-4o"],
            "display_name": "GPT-4o",
            "context_window": 128_000,
            "max_output_tokens": 16_384,
            "capabilities": ["text", "tools"],
            "pricing": {
                "currency": "USD",
                "unit": "1M tokens",
                "input": "2.500000",
                "output": "10.000000",
                "cached_input": "1.250000",
                "cache_write": None,
                "reasoning": None,
                "effective": 1_700_000_000,
            },
            "retirement": None,
            "sandbox": True,
        }
    told = (await gateway.http.get("/v1/models/fast")).json()
    assert told["targets"] == [{"provider": "openai", "model": "gpt-4o", "weight": 1}]
    with pytest.raises(openai.NotFoundError) as missing:
        await gateway.openai.models.retrieve("nothing")
    assert missing.value.code == "model_not_found"


async def test_usage_tells_one_entry_an_attempt(gateway: Gateway, start: Start, behind: Backends) -> None:
    entry = usage_pb2.UsageEntry(cost_micros=1234, currency="USD")
    entry.event.attempt_id, entry.event.completion_id = "a" * 32, "b" * 32
    entry.event.outcome = usage_pb2.ATTEMPT_OUTCOME_CANCELLED
    entry.event.usage.estimated = True
    entry.event.usage.output_tokens = 5
    unpriced = usage_pb2.UsageEntry()
    behind.usage.answer = usage_service_pb2.ListUsageEntriesResponse(entries=[entry, unpriced], next_page_token="t")
    query = {
        "completion_id": f"chatcmpl-{'b' * 32}",
        "start_time": "2026-01-01T00:00:00Z",
        "limit": "2",
        "key_id": "admin",
    }
    told = (await gateway.http.get("/v1/usage", params=query)).json()
    assert (told["object"], told["has_more"], told["next_page_token"]) == ("list", True, "t")
    first, second = told["data"]
    assert (first["cost_micros"], first["cost"], first["estimated"], first["unpriced"]) == (
        1234,
        "0.001234",
        True,
        False,
    )
    assert (first["outcome"], first["completion_id"]) == ("cancelled", f"chatcmpl-{'b' * 32}")
    assert (second["cost_micros"], second["cost"], second["unpriced"]) == (None, None, True)
    asked = behind.usage.asked[0]
    assert (asked.filter.tenant_id, asked.filter.key_id, asked.filter.completion_id) == ("default", "member", "b" * 32)
    assert (asked.page_size, asked.filter.start_time.seconds) == (2, 1_767_225_600)
    headers = {"authorization": f"Bearer {ADMIN}"}
    await gateway.http.get("/v1/usage", headers=headers)
    assert (behind.usage.asked[1].filter.key_id, behind.usage.asked[1].page_size) == ("", 100)
    for bad, param in (("limit=0", "limit"), ("start_time=yesterday", "start_time"), ("colour=red", "colour")):
        refused = await gateway.http.get(f"/v1/usage?{bad}")
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


async def test_usage_adds_up(gateway: Gateway, behind: Backends) -> None:
    behind.usage.summary.totals.add(provider="openai", model="gpt-4o", currency="USD", attempts=2, cost_micros=5)
    told = (await gateway.http.get("/v1/usage/summary")).json()
    assert told["data"][0]["cost"] == "0.000005"


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


BAD: list[tuple[Any, str | None, str]] = [
    (b"", None, "invalid_request"),
    (b"{", None, "invalid_request"),
    (b"[]", None, "invalid_request"),
    (b'{"model":"m","messages":[{"role":"user","content":"\xff"}]}', None, "invalid_request"),
    ({"messages": [USER]}, "model", "invalid_request"),
    ({"model": "m"}, "messages", "invalid_request"),
    ({"model": "m", "messages": []}, "messages", "invalid_request"),
    ({"model": "m", "messages": "hi"}, "messages", "invalid_request"),
    ({"model": "m", "messages": [{"role": "user", "content": 1}]}, "messages.0.content", "invalid_request"),
    ({"model": "m", "messages": [{"role": "king", "content": "a"}]}, "messages.0.role", "invalid_request"),
    ({"model": "m", "messages": [USER], "colour": 1}, "colour", "invalid_request"),
    ({"model": "m", "messages": [{**USER, "mood": 1}]}, "messages.0.mood", "invalid_request"),
    ({"model": "m", "messages": [USER], "temperature": 3}, "temperature", "invalid_request"),
    ({"model": "m", "messages": [USER], "max_tokens": 0}, "max_tokens", "invalid_request"),
    ({"model": "m", "messages": [USER], "max_tokens": 1, "max_completion_tokens": 2}, "max_tokens", "invalid_request"),
    ({"model": "m", "messages": [USER], "stream_options": {}}, "stream_options", "invalid_request"),
    ({"model": "m", "messages": [USER], "tool_choice": "auto"}, "tool_choice", "invalid_request"),
    ({"model": "m", "messages": [USER], "metadata": {"a": "b" * 513}}, "metadata.a", "invalid_request"),
    ({"model": "m", "messages": [USER], "logprobs": True}, "logprobs", "unsupported_parameter"),
    ({"model": "m", "messages": [USER], "top_logprobs": 2}, "top_logprobs", "unsupported_parameter"),
    ({"model": "m", "messages": [USER], "audio": {"voice": "a"}}, "audio", "unsupported_parameter"),
    ({"model": "m", "messages": [USER], "modalities": ["audio"]}, "modalities", "unsupported_parameter"),
    ({"model": "m", "messages": [USER], "functions": []}, "functions", "unsupported_parameter"),
    ({"model": "m", "messages": [USER], "moderation": {"model": "x"}}, "moderation", "unsupported_parameter"),
    (
        {"model": "m", "messages": [USER], "tools": [{"type": "custom", "custom": {"name": "x"}}]},
        "tools.0.type",
        "unsupported_parameter",
    ),
    (
        {"model": "m", "messages": [{"role": "function", "name": "f", "content": "a"}]},
        "messages.0.role",
        "unsupported_parameter",
    ),
    *(
        (
            {
                "model": "m",
                "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}],
            },
            "messages.0.content.0.image_url.url",
            "invalid_request",
        )
        for url in (
            "file:///etc/passwd",
            "gopher://a/b",
            "http://",
            "http://169.254.169.254/latest/meta-data",
            "data:image/png;base64,%%%",
            "data:image/png,a",
        )
    ),
    (b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}', None, "invalid_request"),
    (b'{"model":"m","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}", None, "invalid_request"),
    (
        b'{"model":"m","messages":[{"role":"user","content":"a"}],"prediction":' + b'{"a":' * 5000,
        None,
        "invalid_request",
    ),
    (b'{"a":' * 200_000, None, "invalid_request"),
]


async def test_bad_requests_are_named(gateway: Gateway, behind: Backends) -> None:
    for body, param, code in BAD:
        sent = {"content": body} if isinstance(body, bytes) else {"json": body}
        refused = await gateway.http.post(PATH, **sent)
        error = refused.json()["error"]
        assert (refused.status_code, error["param"], error["code"]) == (400, param, code), (error, str(body)[:200])
        assert error["type"] == "invalid_request_error"
        assert len(error["message"]) < 300
    assert behind.router.asked == []
    assert (await gateway.http.get("/livez")).status_code == 200


async def test_large_bodies_are_refused_unless_they_carry_media(gateway: Gateway, behind: Backends) -> None:
    text = {"model": "m", "messages": [{"role": "user", "content": "a" * 2 * 1024 * 1024}]}
    hidden = {"model": "m", "messages": [{"role": "user", "content": ";base64," + "a" * 2 * 1024 * 1024}]}
    for body in (text, hidden):
        refused = await gateway.http.post(PATH, json=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (413, "payload_too_large")

    async def endless() -> Any:
        for _ in range(64):
            yield b"a" * 65536

    refused = await gateway.http.post(PATH, content=endless())
    assert refused.status_code == 413
    url = "data:image/png;base64," + "QUJD" * 1024 * 700
    parts = [{"type": "image_url", "image_url": {"url": url, "detail": "low"}}]
    taken = await gateway.http.post(PATH, json={"model": "m", "messages": [{"role": "user", "content": parts}]})
    assert taken.status_code == 200
    image = behind.router.asked[0].request.messages[0].parts[0].image
    assert (len(image.data), image.media_type, image.detail) == (1024 * 700 * 3, "image/png", "low")
    for method, path in (("POST", "/v1/keys"),):
        refused = await gateway.http.request(
            method, path, content=b"a" * 2_000_000, headers={"authorization": f"Bearer {ADMIN}"}
        )
        assert refused.status_code == 413


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


async def test_errors_of_the_router_keep_their_meaning(gateway: Gateway, behind: Backends) -> None:
    body: dict[str, Any] = {"model": "m", "messages": [USER]}
    wait = timedelta(seconds=2.5)
    behind.router.error = error_for(Reason.RATE_LIMITED, "Slow.", provider="openai", retry_after=wait)
    with pytest.raises(openai.RateLimitError) as told:
        await gateway.openai.chat.completions.create(**body)
    assert told.value.response.headers["retry-after"] == "3"
    assert told.value.code == "rate_limit_exceeded"
    assert told.value.response.headers["x-omnix-completion-id"].startswith("chatcmpl-")
    behind.router.error = error_for(Reason.CONTEXT_TOO_LONG, "Long.", param="messages")
    with pytest.raises(openai.BadRequestError) as long:
        await gateway.openai.chat.completions.create(**body)
    assert (long.value.code, long.value.param) == ("context_length_exceeded", "messages")


async def test_parameters_are_named_as_the_caller_wrote_them(gateway: Gateway, behind: Backends) -> None:
    for theirs, named in (
        ("compute_mode", "mode"),
        ("messages[0].content[12].signature", "messages.0.content.12.signature"),
        ("top_k", "top_k"),
    ):
        message = f"This provider cannot honour {theirs}."
        behind.router.error = error_for(Reason.UNSUPPORTED_PARAMETER, message, param=theirs)
        for stream in (False, True):
            refused = await gateway.http.post(PATH, json={"model": "m", "messages": [USER], "stream": stream})
            error = refused.json()["error"]
            told = (refused.status_code, error["param"], error["message"])
            assert told == (400, named, f"This provider cannot honour {named}.")


async def test_a_unary_client_that_leaves_cancels_the_call(gateway: Gateway, behind: Backends) -> None:
    behind.router.hold = asyncio.Event()
    with pytest.raises(httpx.ReadTimeout):
        await gateway.http.post(PATH, json={"model": "m", "messages": [USER]}, timeout=0.4)
    await eventually(lambda: len(behind.router.cancelled) == 1)


async def test_everything_asked_arrives(gateway: Gateway, behind: Backends) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    body = {
        "model": "gpt-4o",
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "developer", "content": [{"type": "text", "text": "d"}]},
            {
                "role": "user",
                "name": "ann",
                "content": [
                    {"type": "text", "text": "t", "prompt_cache_breakpoint": {"mode": "explicit"}},
                    {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                    {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}},
                    {"type": "file", "file": {"file_data": "data:application/pdf;base64,QUJD", "filename": "a.pdf"}},
                    {"type": "file", "file": {"file_id": "file-1"}},
                ],
            },
            {"role": "assistant", "content": None, "tool_calls": [call], "refusal": None, "audio": None},
            {"role": "tool", "tool_call_id": "c1", "content": "42"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": True}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": False,
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"a": 1}, "strict": True}},
        "temperature": 1,
        "top_p": 0.5,
        "frequency_penalty": -1,
        "presence_penalty": 0,
        "max_completion_tokens": 10,
        "n": 2,
        "seed": -5,
        "stop": "x",
        "reasoning_effort": "xhigh",
        "user": "u",
        "metadata": {"k": "v"},
        "mode": "ultra-think",
        "reasoning": {"budget_tokens": 100, "include": True},
        "top_k": 3,
        "service_tier": "flex",
        "store": False,
        "logit_bias": {"5": -100},
        "prediction": {"type": "content", "content": "x"},
        "verbosity": "low",
        "logprobs": False,
        "modalities": ["text"],
    }
    answer = await gateway.http.post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    asked = behind.router.asked[0]
    assert (asked.caller.tenant_id, asked.caller.key_id) == ("default", "member")
    request = asked.request
    user = request.messages[2]
    assert [part.WhichOneof("kind") for part in user.parts] == ["text", "image", "audio", "file", "file"]
    assert user.parts[0].cache_breakpoint
    assert user.parts[1].image.url == "https://example.com/a.png"
    assert (user.parts[2].audio.data, user.parts[2].audio.format) == (b"ABC", "wav")
    assert (user.parts[3].file.media_type, user.parts[3].file.data) == ("application/pdf", b"ABC")
    assert [message.role for message in request.messages] == [
        pb.ROLE_SYSTEM,
        pb.ROLE_DEVELOPER,
        pb.ROLE_USER,
        pb.ROLE_ASSISTANT,
        pb.ROLE_TOOL,
    ]
    assert request.messages[3].tool_calls[0].arguments_json == "{}"
    assert request.tools[0].parameters_json == '{"type":"object"}'
    assert (request.tool_choice.mode, request.tool_choice.name) == (pb.ToolChoice.MODE_NAMED, "f")
    assert (request.response_format.schema_json, request.response_format.strict) == ('{"a":1}', True)
    assert (request.sampling.temperature, request.sampling.presence_penalty, request.sampling.top_k) == (1, 0, 3)
    assert request.sampling.HasField("presence_penalty")
    assert (request.max_output_tokens, request.candidate_count, request.seed) == (10, 2, -5)
    assert list(request.stop) == ["x"]
    assert request.reasoning.effort == pb.Reasoning.EFFORT_EXTRA_HIGH
    assert (request.reasoning.budget_tokens, request.reasoning.include) == (100, True)
    assert request.compute_mode == pb.COMPUTE_MODE_ULTRA_THINK
    assert (request.end_user, dict(request.metadata)) == ("u", {"k": "v"})
    assert dict(request.vendor_parameters) == {
        "service_tier": '"flex"',
        "store": "false",
        "logit_bias": '{"5":-100}',
        "prediction": '{"type":"content","content":"x"}',
        "verbosity": '"low"',
    }
    assert not request.HasField("parallel_tool_calls") or request.parallel_tool_calls is False


async def test_the_document_is_complete_and_the_page_loads_nothing(gateway: Gateway) -> None:
    told = (await gateway.http.get("/openapi.json")).json()
    documented = {(method, path) for path, methods in told["paths"].items() for method in methods}
    assert documented == {(operation.method, operation.path) for operation in OPERATIONS}
    text = (await gateway.http.get("/openapi.json")).text
    for reference in re.findall(r'"#/components/schemas/([^"]+)"', text):
        assert reference in told["components"]["schemas"]
    answer = await gateway.http.get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert re.findall(r'(?:src|href)="(?!#|/openapi\.json)[^"]*"|https?://|<script|@import|url\(', answer.text) == []
    assert "/v1/chat/completions" in answer.text
    assert (await gateway.http.get("/")).json()["documentation"] == "/docs"


async def test_pages_of_allowed_origins_may_call(start: Start) -> None:
    gateway: Gateway = await start(cors_origins="https://console.example")
    asked = {"origin": "https://console.example", "access-control-request-method": "POST"}
    preflight = await gateway.http.options(PATH, headers=asked)
    assert preflight.headers["access-control-allow-origin"] == "https://console.example"
    other = await gateway.http.get("/v1/models", headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers
