"""Every fault as a caller sees it, on a bare socket, and as the record tells it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest
from omnix_sandbox import script
from omnix_sandbox.record import Call, Outcome
from omnix_sandbox.testing import Sandbox

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUESTION = "Grüezi [[tokens=20]]"
TOKENS = script.answer(script.user(QUESTION)).tokens


@dataclass
class Wire:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def head(self) -> tuple[int, dict[str, str]]:
        lines = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)).decode().split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines[1:] if line)
        return int(lines[0].split()[1]), {name.lower(): value for name, value in fields.items()}

    async def chunk(self) -> bytes:
        size = int(await asyncio.wait_for(self.reader.readuntil(b"\r\n"), 5), 16)
        return (await asyncio.wait_for(self.reader.readexactly(size + 2), 5))[:-2]

    async def body(self) -> tuple[bytes, bool]:
        """The chunked body, and whether it was ended as HTTP wants it."""
        data = b""
        try:
            while chunk := await self.chunk():
                data += chunk
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return data, False
        return data, True


@asynccontextmanager
async def asked(
    sandbox: Sandbox, request_id: str, model: str, text: str = QUESTION, **more: Any
) -> AsyncIterator[Wire]:
    where = urlsplit(sandbox.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": text}], **more}).encode()
    writer.write(
        f"POST /openai/v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\n"
        f"X-Client-Request-Id: {request_id}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()


def events(body: bytes) -> list[bytes]:
    return [event.removeprefix(b"data: ") for event in body.split(b"\n\n") if event]


def contents(body: bytes) -> list[str]:
    parsed = [json.loads(event) for event in events(body) if event != b"[DONE]"]
    deltas = [choice["delta"].get("content") for event in parsed for choice in event.get("choices", [])]
    return [content for content in deltas if content]


async def streamed(sandbox: Sandbox, request_id: str, model: str, **more: Any) -> tuple[bytes, bool, Call]:
    async with asked(sandbox, request_id, model, stream=True, **more) as wire:
        status, _ = await wire.head()
        assert status == 200
        body, ended = await wire.body()
        return body, ended, await sandbox.wait_for_call(request_id=request_id)


@pytest.mark.parametrize(
    ("model", "error", "code", "headers"),
    [
        ("sandbox-429-retry-2s", openai.RateLimitError, "rate_limit_exceeded", {"retry-after": "2"}),
        ("sandbox-429-retry-250ms", openai.RateLimitError, "rate_limit_exceeded", {"retry-after-ms": "250"}),
        ("sandbox-quota", openai.RateLimitError, "insufficient_quota", {}),
        ("sandbox-401", openai.AuthenticationError, "invalid_api_key", {}),
        ("sandbox-403", openai.PermissionDeniedError, "unsupported_country_region_territory", {}),
        ("sandbox-context", openai.BadRequestError, "context_length_exceeded", {}),
        ("sandbox-filter", openai.BadRequestError, "content_filter", {}),
        ("sandbox-500", openai.InternalServerError, None, {}),
        ("sandbox-503", openai.InternalServerError, "server_is_overloaded", {}),
        ("sandbox-529", openai.InternalServerError, None, {}),
    ],
)
async def test_statuses_become_the_sdks_errors(
    client: openai.AsyncOpenAI,
    sandbox: Sandbox,
    request_id: str,
    model: str,
    error: type[openai.APIStatusError],
    code: str | None,
    headers: dict[str, str],
) -> None:
    with pytest.raises(error) as caught:
        await client.chat.completions.create(model=model, messages=[{"role": "user", "content": "x"}])

    assert caught.value.code == code
    assert headers.items() <= dict(caught.value.response.headers).items()
    call = await sandbox.wait_for_call(request_id=request_id)
    assert (call.outcome, call.status, call.output_tokens) == (Outcome.REFUSED, caught.value.status_code, 0)
    assert call.fault == model.removeprefix("sandbox-")


@pytest.mark.parametrize("stream", [True, False])
async def test_reset_breaks_the_connection_before_the_answer(sandbox: Sandbox, request_id: str, stream: bool) -> None:
    async with asked(sandbox, request_id, "sandbox-reset", stream=stream) as wire:
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(wire.reader.read(), 5)

    call = await sandbox.wait_for_call(lambda call: call.closed_by is not None, request_id=request_id)
    assert (call.outcome, call.bytes_sent, call.closed_by) == (Outcome.BROKEN, 0, "server")


@pytest.mark.parametrize("model", ["sandbox-silence", "sandbox-stall-after-0", "sandbox-stall-after-3", "sandbox-hang"])
async def test_a_caller_who_leaves_a_silent_answer_is_noticed_at_once(
    sandbox: Sandbox, request_id: str, model: str
) -> None:
    async with asked(sandbox, request_id, model, stream=True) as wire:
        if model != "sandbox-silence":
            await wire.head()
            await wire.chunk()
        await sandbox.wait_for_call(lambda call: True, request_id=request_id)
        left = time.time()
        wire.writer.close()
        call = await sandbox.wait_for_call(
            lambda call: call.closed_time is not None and call.outcome is not None, request_id=request_id
        )

    assert (call.outcome, call.closed_by) == (Outcome.LEFT, "client")
    assert call.closed_time is not None
    assert call.closed_time - left < 1
    produced = {"sandbox-silence": 0, "sandbox-stall-after-0": 0, "sandbox-stall-after-3": 3, "sandbox-hang": 20}[model]
    assert (call.produced_tokens, call.output_tokens) == (produced, produced)


async def test_a_caller_who_leaves_a_paced_stream_is_noticed_at_once(sandbox: Sandbox, request_id: str) -> None:
    async with asked(sandbox, request_id, "sandbox-pace-100-tokens-10000", "x", stream=True) as wire:
        await wire.head()
        for _ in range(5):
            await wire.chunk()
        left = time.time()
        wire.writer.transport.abort()
        call = await sandbox.wait_for_call(
            lambda call: call.closed_time is not None and call.outcome is not None, request_id=request_id
        )

    assert call.closed_time is not None
    assert call.closed_time - left < 1
    assert call.outcome is Outcome.LEFT
    assert 5 <= call.produced_tokens < 5000
    assert call.output_tokens == call.produced_tokens
    assert not call.usage_sent


@pytest.mark.parametrize(("model", "by"), [("sandbox-cut-after-5", "FIN"), ("sandbox-cut-after-5-rst", "RST")])
async def test_cut_streams_end_without_a_word(sandbox: Sandbox, request_id: str, model: str, by: str) -> None:
    async with asked(sandbox, request_id, model, stream=True) as wire:
        received = b""
        try:
            while data := await asyncio.wait_for(wire.reader.read(65536), 5):
                received += data
            seen = "FIN"
        except ConnectionResetError:
            seen = "RST"
    call = await sandbox.wait_for_call(lambda call: call.closed_by is not None, request_id=request_id)

    assert seen == by
    assert not received.endswith(b"0\r\n\r\n")
    assert (call.outcome, call.produced_tokens, call.output_tokens) == (Outcome.BROKEN, 5, 5)
    assert (call.usage_sent, call.closed_by) == (False, "server")


@pytest.mark.parametrize("model", ["sandbox-cut", "sandbox-cut-rst", "sandbox-stall", "sandbox-hang"])
async def test_unary_answers_break_off_half_way(sandbox: Sandbox, request_id: str, model: str) -> None:
    async with asked(sandbox, request_id, model) as wire:
        _, headers = await wire.head()
        half = int(headers["content-length"]) // 2
        if "rst" not in model:  # a reset takes with it what was not read yet
            await asyncio.wait_for(wire.reader.readexactly(half), 5)
        if "cut" in model:
            with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
                await asyncio.wait_for(wire.reader.readexactly(half + 1), 5)
        wire.writer.close()
        call = await sandbox.wait_for_call(request_id=request_id)

    assert call.outcome is (Outcome.BROKEN if "cut" in model else Outcome.LEFT)
    assert not call.usage_sent


async def test_a_stalled_stream_goes_on(sandbox: Sandbox, request_id: str) -> None:
    async with asked(sandbox, request_id, "sandbox-stall-after-3-for-300ms", stream=True) as wire:
        await wire.head()
        assert contents(await wire.chunk()) == list(TOKENS[:3])
        stalled = time.monotonic()
        body, ended = await wire.body()

    assert time.monotonic() - stalled > 0.2
    assert (contents(body), ended) == (list(TOKENS[3:]), True)


async def test_a_slow_first_token_delays_head_and_answer(sandbox: Sandbox, request_id: str) -> None:
    asked_at = time.monotonic()
    async with asked(sandbox, request_id, "sandbox-slow-300ms", stream=True) as wire:
        await wire.head()
        assert time.monotonic() - asked_at > 0.25
        assert (await wire.body())[1]


async def test_a_malformed_event_stands_between_good_ones(sandbox: Sandbox, request_id: str) -> None:
    body, ended, call = await streamed(sandbox, request_id, "sandbox-malformed-after-4")
    broken = []
    for event in events(body)[:-1]:
        try:
            json.loads(event)
        except json.JSONDecodeError:
            broken.append(event)

    assert [events(body).index(event) for event in broken] == [5]
    assert ended
    assert call.produced_tokens == 20


async def test_an_error_event_ends_the_stream(client: openai.AsyncOpenAI, sandbox: Sandbox, request_id: str) -> None:
    stream = await client.chat.completions.create(
        model="sandbox-error-after-4", messages=[{"role": "user", "content": QUESTION}], stream=True
    )
    received = [(await anext(stream)).choices[0].delta.content for _ in range(5)]
    with pytest.raises(openai.APIError, match="The server had an error"):
        await anext(stream)

    assert received == ["", *TOKENS[:4]]
    call = await sandbox.wait_for_call(request_id=request_id)
    assert (call.produced_tokens, call.output_tokens, call.usage_sent) == (4, 4, False)


@pytest.mark.parametrize(
    ("model", "finished", "usage", "done"),
    [
        ("sandbox-chat", True, True, True),
        ("sandbox-no-done", True, True, False),
        ("sandbox-no-finish", False, False, False),
        ("sandbox-no-usage", True, False, True),
    ],
)
async def test_markers_can_be_left_out(
    sandbox: Sandbox, request_id: str, model: str, finished: bool, usage: bool, done: bool
) -> None:
    body, ended, call = await streamed(sandbox, request_id, model, stream_options={"include_usage": True})

    assert contents(body) == list(TOKENS)
    assert ended
    assert (b'"finish_reason":"stop"' in body, b'"usage":{' in body, b"[DONE]" in body) == (finished, usage, done)
    assert (call.outcome, call.usage_sent, call.output_tokens) == (Outcome.COMPLETED, usage, 20)


@pytest.mark.parametrize(("model", "done"), [("sandbox-hang", False), ("sandbox-hang-done", True)])
async def test_a_finished_stream_can_stay_open(sandbox: Sandbox, request_id: str, model: str, done: bool) -> None:
    async with asked(sandbox, request_id, model, stream=True) as wire:
        await wire.head()
        body = await wire.chunk()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wire.reader.read(1), 0.1)

    assert b'"finish_reason":"stop"' in body
    assert body.endswith(b"data: [DONE]\n\n") is done


async def test_one_delta_can_be_huge(sandbox: Sandbox, request_id: str) -> None:
    body, ended, call = await streamed(sandbox, request_id, "sandbox-huge-size-2m")
    first, *rest = contents(body)

    assert 2 * 1024 * 1024 - 4 < len(first.encode()) <= 2 * 1024 * 1024
    assert (rest, ended) == (list(TOKENS), True)
    assert call.produced_tokens == 21


async def test_bytes_can_come_one_by_one(sandbox: Sandbox, request_id: str) -> None:
    async with asked(sandbox, request_id, "sandbox-drip", stream=True) as wire:
        await wire.head()
        chunks = []
        while chunk := await wire.chunk():
            chunks.append(chunk)

    assert {len(chunk) for chunk in chunks} == {1}
    assert contents(b"".join(chunks)) == list(TOKENS)
    call = await sandbox.wait_for_call(request_id=request_id)
    assert (call.outcome, call.produced_tokens) == (Outcome.COMPLETED, 20)


async def test_a_page_of_html_can_come_instead(sandbox: Sandbox, request_id: str) -> None:
    async with asked(sandbox, request_id, "sandbox-html", stream=True) as wire:
        status, headers = await wire.head()

    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    call = await sandbox.wait_for_call(request_id=request_id)
    assert (call.produced_tokens, call.output_tokens) == (0, 0)


async def test_a_malformed_unary_answer_is_whole_to_http(sandbox: Sandbox, request_id: str) -> None:
    async with asked(sandbox, request_id, "sandbox-malformed") as wire:
        _, headers = await wire.head()
        body = await asyncio.wait_for(wire.reader.readexactly(int(headers["content-length"])), 5)

    with pytest.raises(json.JSONDecodeError):
        json.loads(body)


async def test_a_reader_who_stops_reading_holds_the_answer_back(sandbox: Sandbox, request_id: str) -> None:
    async with asked(sandbox, request_id, "gpt-4o", "x [[tokens=30000]]", stream=True) as wire:
        await wire.head()
        call = await sandbox.wait_for_call(lambda call: True, request_id=request_id)
        assert call.outcome is None
        body, ended = await wire.body()

    assert ended
    assert len(contents(body)) == 30_000
    assert (await sandbox.wait_for_call(request_id=request_id)).produced_tokens == 30_000


async def test_rules_make_the_first_calls_fail(client: openai.AsyncOpenAI, sandbox: Sandbox, request_id: str) -> None:
    match = {"model": "gpt-4o*", "request_id": request_id}
    rule = await sandbox.order_fault("503", match=match, skip=1, count=2)
    outcomes = []
    for _ in range(5):
        try:
            await client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "x"}])
            outcomes.append(200)
        except openai.InternalServerError as exc:
            outcomes.append(exc.status_code)

    assert outcomes == [200, 503, 503, 200, 200]
    calls = await sandbox.calls(request_id=request_id)
    assert [call.rule for call in reversed(calls)] == [None, rule, rule, None, None]
    await sandbox.clear_faults()


async def test_a_rule_goes_before_a_models_name(client: openai.AsyncOpenAI, sandbox: Sandbox, request_id: str) -> None:
    order = {"kind": "status", "status": 418, "code": "teapot", "headers": {"x-tea": "green"}}
    await sandbox.order_fault(order, match={"request_id": request_id})
    with pytest.raises(openai.APIStatusError) as caught:
        await client.chat.completions.create(model="sandbox-500", messages=[{"role": "user", "content": "x"}])
    await sandbox.clear_faults()

    assert (caught.value.status_code, caught.value.code) == (418, "teapot")
    assert caught.value.response.headers["x-tea"] == "green"


async def test_a_probability_is_drawn_the_same_in_every_run(sandbox: Sandbox, request_id: str) -> None:
    async def run() -> list[int]:
        await sandbox.order_fault("500", match={"request_id": request_id}, probability=0.5, seed=7)
        statuses = []
        for _ in range(20):
            async with asked(sandbox, request_id, "gpt-4o") as wire:
                statuses.append((await wire.head())[0])
        await sandbox.clear_faults()
        return statuses

    first = await run()
    assert first == await run()
    assert set(first) == {200, 500}


@pytest.mark.parametrize(
    "order",
    [
        {},
        {"fault": "cut-after"},
        {"fault": {"kind": "status"}},
        {"fault": "500", "count": 0},
        {"fault": "500", "matches": {}},
        {"fault": {"kind": "status", "status": 500, "headers": {"a": "b\r\nc: d"}}},
    ],
)
async def test_a_rule_that_makes_no_sense_is_refused(sandbox: Sandbox, order: dict[str, Any]) -> None:
    async with sandbox.http.post(f"{sandbox.url}/control/faults", json=order) as response:
        assert response.status == 400
        assert (await response.json())["error"]
