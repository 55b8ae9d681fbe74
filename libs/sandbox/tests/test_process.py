"""The process: its start, its record, its end."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import openai
import pytest
from omnix_sandbox import record
from omnix_sandbox.record import Outcome
from omnix_sandbox.testing import Sandbox, running_sandbox


async def stream_of(sandbox: Sandbox, model: str) -> tuple[openai.AsyncOpenAI, openai.AsyncStream[Any]]:
    client = openai.AsyncOpenAI(base_url=sandbox.openai_url, api_key="k", max_retries=0, timeout=10)
    stream = await client.chat.completions.create(model=model, messages=[{"role": "user", "content": "x"}], stream=True)
    await anext(stream)
    return client, stream


async def broken_off(stream: openai.AsyncStream[Any]) -> bool:
    try:
        async for _ in stream:
            pass
    except openai.APIConnectionError:
        return True
    return False


@pytest.mark.parametrize("fsync", [True, False])
async def test_the_record_survives_a_kill(tmp_path: Path, fsync: bool) -> None:
    async with running_sandbox(tmp_path, fsync=fsync) as sandbox:
        client, stream = await stream_of(sandbox, "sandbox-stall-after-3")
        os.kill(sandbox.process.pid, signal.SIGKILL)
        await asyncio.wait_for(sandbox.process.wait(), 5)
        await stream.close()
        await client.close()

        [call] = sandbox.record()
        assert (call.model, call.stream, call.fault, call.outcome) == (
            "sandbox-stall-after-3",
            True,
            "stall-after-3",
            None,
        )


async def test_a_record_is_continued_after_a_torn_line(tmp_path: Path) -> None:
    for _ in range(2):
        async with running_sandbox(tmp_path) as sandbox:
            client, stream = await stream_of(sandbox, "gpt-4o")
            async for _ in stream:
                pass
            await client.close()
            await sandbox.wait_for_call()
            assert await sandbox.stop() == 0
        with (tmp_path / record.FILE_NAME).open("a") as file:
            file.write('{"event":"accep')

    calls = record.read(tmp_path)
    assert [call.outcome for call in calls] == [Outcome.COMPLETED] * 2


async def test_sigterm_ends_open_streams_and_the_process(tmp_path: Path) -> None:
    async with running_sandbox(tmp_path) as sandbox:
        client, stream = await stream_of(sandbox, "sandbox-stall-after-3")
        assert await sandbox.stop() == 0
        assert await broken_off(stream)
        await client.close()

    [call] = sandbox.record()
    assert (call.outcome, call.produced_tokens, call.closed_by) == (Outcome.STOPPED, 3, "server")


async def test_sigterm_lets_short_answers_end(tmp_path: Path) -> None:
    async with running_sandbox(tmp_path, grace=5) as sandbox:
        client, stream = await stream_of(sandbox, "sandbox-pace-50-tokens-20")
        sandbox.process.terminate()
        assert len([chunk async for chunk in stream]) > 10
        await client.close()
        assert await asyncio.wait_for(sandbox.process.wait(), 5) == 0

    [call] = sandbox.record()
    assert (call.outcome, call.produced_tokens) == (Outcome.COMPLETED, 20)


@pytest.mark.parametrize("kept", [False, True])
async def test_the_record_has_the_request_where_it_is_to_be_kept(tmp_path: Path, kept: bool) -> None:
    async with running_sandbox(tmp_path, fsync=False, keep_requests=kept) as sandbox:
        client, stream = await stream_of(sandbox, "gpt-4o")
        await stream.close()
        await client.close()
        call = await sandbox.wait_for_call()
        assert [call.prompt is not None, call.body is not None] == [kept, kept]
        if call.prompt is not None and call.body is not None:
            assert call.prompt.model == json.loads(call.body)["model"] == "gpt-4o"
        [recorded] = sandbox.record()
        assert (recorded.prompt, recorded.body) == (call.prompt, call.body)


async def test_clearing_forgets_the_calls_so_far(tmp_path: Path) -> None:
    async with running_sandbox(tmp_path) as sandbox:
        for expected in (1, 1):
            client, stream = await stream_of(sandbox, "gpt-4o")
            async for _ in stream:
                pass
            await client.close()
            await sandbox.wait_for_call()
            assert len(await sandbox.calls()) == expected
            await sandbox.clear_calls()
            assert await sandbox.calls() == []
        await sandbox.stop()

    assert record.read(tmp_path) == []


async def test_nothing_is_answered_that_cannot_be_recorded(tmp_path: Path) -> None:
    (tmp_path / record.FILE_NAME).symlink_to("/dev/full")
    async with running_sandbox(tmp_path) as sandbox:
        async with openai.AsyncOpenAI(base_url=sandbox.openai_url, api_key="k", max_retries=0) as client:
            with pytest.raises(openai.InternalServerError, match="record"):
                await client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "x"}])
        async with sandbox.http.get(f"{sandbox.url}/readyz") as response:
            assert response.status == 503


async def test_health_is_told(tmp_path: Path) -> None:
    async with running_sandbox(tmp_path) as sandbox:
        for path in ("/livez", "/readyz"):
            async with sandbox.http.get(sandbox.url + path) as response:
                assert (response.status, await response.json()) == (200, {"status": "ok"})
        async with sandbox.http.get(f"{sandbox.url}/nowhere") as response:
            assert response.status == 404


async def test_the_port_is_announced(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "omnix_sandbox",
        env={**os.environ, "OMNIX_SANDBOX_PORT": "0", "OMNIX_SANDBOX_DATA_DIR": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        line = json.loads(await asyncio.wait_for(process.stdout.readline(), 10))
        assert (line["event"], line["port"] > 0) == ("started", True)
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 5) == 0
    finally:
        if process.returncode is None:
            process.kill()


async def test_bad_configuration_names_the_setting(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "omnix_sandbox",
        env={**os.environ, "OMNIX_SANDBOX_PACE": "quickly"},
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await asyncio.wait_for(process.communicate(), 10)

    assert process.returncode == 2
    assert b"OMNIX_SANDBOX_PACE" in errors
    assert b"Traceback" not in errors
