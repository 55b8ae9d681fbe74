"""Starts the sandbox: `main()` makes everything, `serve()` is its life."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import uvloop
from pydantic import ValidationError

from omnix_sandbox.app import server
from omnix_sandbox.recorder import Recorder
from omnix_sandbox.settings import Settings
from omnix_sandbox.transport import Server

BAD_CONFIGURATION = 2
BACKLOG = 4096
SHORTEST_GRACE = 0.01  # to aiohttp, 0 means for ever


@asynccontextmanager
async def serve(settings: Settings) -> AsyncIterator[int]:
    """Run the sandbox as long as the context is open; yields its port.

    On leaving, answers under way get `grace` to end, then their connections are closed.
    """
    async with AsyncExitStack() as stack:
        recorder = await stack.enter_async_context(
            Recorder.open(settings.data_dir, fsync=settings.fsync, kept=settings.calls_kept)
        )
        app = server(settings, recorder)
        stack.push_async_callback(_end_calls, app, settings.grace)
        listener = await asyncio.get_running_loop().create_server(app, settings.host, settings.port, backlog=BACKLOG)
        stack.callback(listener.close)
        port: int = listener.sockets[0].getsockname()[1]
        if settings.port_file is not None:
            _write_port(settings.port_file, port)
        yield port


async def _end_calls(app: Server, grace: float) -> None:
    app.pre_shutdown()  # idle connections go at once
    await app.shutdown(max(grace, SHORTEST_GRACE))


async def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with serve(settings) as port:
        log("started", host=settings.host, port=port, data_dir=str(settings.data_dir), fsync=settings.fsync)
        await stopped.wait()
        log("stopping", grace=settings.grace)
    log("stopped")


def main() -> int:
    try:
        settings = Settings()
    except ValidationError as exc:
        for error in exc.errors(include_input=False, include_url=False):
            name = "_".join(str(part) for part in error["loc"]).upper()
            print(f"OMNIX_SANDBOX_{name}: {error['msg']}", file=sys.stderr)
        return BAD_CONFIGURATION
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(settings))
    except OSError as exc:
        print(f"omnix-sandbox cannot start: {exc}", file=sys.stderr)
        return 1
    return 0


def log(event: str, **fields: object) -> None:
    """One JSON line on standard output."""
    line = {"time": round(time.time(), 3), "level": "info", "service": "sandbox", "event": event, **fields}
    print(json.dumps(line), flush=True)


def _write_port(path: Path, port: int) -> None:
    """Whole or not at all: who waits for the file must not read half a number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_text(f"{port}\n")
    partial.replace(path)
