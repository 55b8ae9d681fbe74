"""Frames on the wire, as botocore's own buffer takes them, and the faults it must notice."""

import asyncio
import json
import time
from typing import Any

import aiohttp
import pytest
from botocore.eventstream import EventStreamBuffer
from omnix_sandbox import script
from omnix_sandbox.bedrock import frames
from omnix_sandbox.testing import Sandbox

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUESTION = "Grüezi [[tokens=20]]"
TOKENS = list(script.answer(script.user(QUESTION)).tokens)


def decoded(data: bytes) -> list[tuple[str, dict[str, Any]]]:
    """Every message's type and body; the buffer checks lengths and both checksums."""
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    found = []
    for message in buffer:
        headers = message.headers
        kind = headers[":event-type" if headers[":message-type"] == "event" else ":exception-type"]
        found.append((kind, json.loads(message.payload)))
    return found


def texts(events: list[tuple[str, dict[str, Any]]]) -> list[str]:
    return [body["delta"]["text"] for kind, body in events if kind == "contentBlockDelta"]


async def asked(sandbox: Sandbox, request_id: str, model: str, text: str = QUESTION, **more: Any) -> tuple[bytes, bool]:
    """The stream's body, and whether it was ended as HTTP wants it."""
    body = {"messages": [{"role": "user", "content": [{"text": text}]}], **more}
    headers = {"Authorization": "Bearer k", "X-Client-Request-Id": request_id}
    data = b""
    async with sandbox.http.post(
        f"{sandbox.bedrock_url}/model/{model}/converse-stream", json=body, headers=headers
    ) as response:
        assert response.status == 200
        assert response.headers["content-type"] == frames.CONTENT_TYPE
        try:
            async with asyncio.timeout(5):
                async for piece in response.content.iter_any():
                    data += piece
        except aiohttp.ClientError:
            return data, False
    return data, True


async def test_every_frame_is_sound(sandbox: Sandbox, request_id: str) -> None:
    body, ended = await asked(sandbox, request_id, "sandbox-tokens-2000", "x")
    events = decoded(body)

    assert ended
    assert [kind for kind, _ in events[:2]] == ["messageStart", "contentBlockDelta"]
    assert len(texts(events)) == 2000
    assert {frozenset(body) for kind, body in events if kind == "contentBlockDelta"} == {
        frozenset({"contentBlockIndex", "delta", "p"})
    }


async def test_bytes_can_come_one_by_one(sandbox: Sandbox, request_id: str) -> None:
    body, ended = await asked(sandbox, request_id, "sandbox-drip")

    assert ended
    assert texts(decoded(body)) == TOKENS


@pytest.mark.parametrize(
    ("model", "finished", "usage"),
    [
        ("sandbox-chat", True, True),
        ("sandbox-no-done", True, True),
        ("sandbox-no-finish", False, False),
        ("sandbox-no-usage", True, False),
    ],
)
async def test_markers_can_be_left_out(
    sandbox: Sandbox, request_id: str, model: str, finished: bool, usage: bool
) -> None:
    body, ended = await asked(sandbox, request_id, model)
    events = decoded(body)
    kinds = [kind for kind, _ in events]
    call = await sandbox.wait_for_call(request_id=request_id)

    assert texts(events) == TOKENS
    assert ended
    assert ("messageStop" in kinds, "metadata" in kinds, call.usage_sent) == (finished, usage, usage)
    assert call.output_tokens == 20


async def test_a_cut_stream_ends_without_a_word(sandbox: Sandbox, request_id: str) -> None:
    body, ended = await asked(sandbox, request_id, "sandbox-cut-after-5")
    call = await sandbox.wait_for_call(request_id=request_id)

    assert not ended
    assert texts(decoded(body)) == TOKENS[:5]
    assert (call.outcome, call.output_tokens, call.usage_sent) == ("broken", 5, False)


async def test_broken_json_stands_between_good_frames(sandbox: Sandbox, request_id: str) -> None:
    body, _ = await asked(sandbox, request_id, "sandbox-malformed-after-4")
    buffer = EventStreamBuffer()
    buffer.add_data(body)
    broken = []
    for at, message in enumerate(buffer):
        try:
            json.loads(message.payload)
        except json.JSONDecodeError:
            broken.append(at)

    assert broken == [5]


async def test_one_delta_can_be_huge(sandbox: Sandbox, request_id: str) -> None:
    body, _ = await asked(sandbox, request_id, "sandbox-huge-size-2m")
    first, *rest = texts(decoded(body))

    assert 2 * 1024 * 1024 - 4 < len(first.encode()) <= 2 * 1024 * 1024
    assert rest == TOKENS


async def test_paced_deltas_carry_the_time_of_sending(sandbox: Sandbox, request_id: str) -> None:
    question = "x [[tokens=10]][[pace=50/s]][[first=100ms]][[clock]]"
    body, _ = await asked(sandbox, request_id, "sandbox-chat", question)
    call = await sandbox.wait_for_call(request_id=request_id)

    stamps, plain = zip(*(text.split("|", 1) for text in texts(decoded(body))), strict=True)
    due = call.due_times()
    assert list(plain) == list(script.answer(script.user(question)).tokens)
    assert all(int(stamp) / 1000 - moment > -0.01 for stamp, moment in zip(stamps, due, strict=True))
    assert due[0] - call.accepted_time >= 0.1


async def test_a_caller_who_leaves_is_noticed_at_once(sandbox: Sandbox, request_id: str) -> None:
    body = {"messages": [{"role": "user", "content": [{"text": "x"}]}]}
    headers = {"Authorization": "Bearer k", "X-Client-Request-Id": request_id}
    async with sandbox.http.post(
        f"{sandbox.bedrock_url}/model/sandbox-stall-after-3/converse-stream", json=body, headers=headers
    ) as response:
        await response.content.readany()
        left = time.time()
        response.close()
    call = await sandbox.wait_for_call(
        lambda call: call.closed_time is not None and call.outcome is not None, request_id=request_id
    )

    assert call.closed_time is not None
    assert (call.outcome, call.closed_by, call.output_tokens) == ("left", "client", 3)
    assert call.closed_time - left < 1


@pytest.mark.parametrize(
    ("headers", "payload", "whole"),
    [
        (b"", b"", b"\x00\x00\x00\x10\x00\x00\x00\x00\x05\xc2H\xeb}\x98\xc8\xff"),
        (
            b"\x0ccontent-type\x07\x00\x10application/json",
            b"{'foo':'bar'}",
            b"\x00\x00\x00=\x00\x00\x00 \x07\xfd\x83\x96\x0ccontent-type\x07\x00\x10application/json"
            b"{'foo':'bar'}\x8d\x9c\x08\xb1",
        ),
    ],
)
async def test_messages_are_the_formats_published_ones(headers: bytes, payload: bytes, whole: bytes) -> None:
    """https://github.com/boto/botocore/blob/develop/tests/unit/test_eventstream.py, read 2026-11-22."""
    assert frames.message(headers, payload) == whole
