"""The life of a process, from its settings to its last log line."""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar

import uvloop

from omnix_kit import logs, telemetry
from omnix_kit.errors import ConfigurationError
from omnix_kit.health import Readiness, ops_server
from omnix_kit.ids import uuid7
from omnix_kit.secrets import without_secrets
from omnix_kit.settings import ServiceSettings, load

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Process:
    """What a service knows of its own process."""

    service: str
    instance_id: str = field(default_factory=lambda: uuid7()[-12:])
    """Another one after every start."""
    readiness: Readiness = field(default_factory=Readiness)


SettingsT = TypeVar("SettingsT", bound=ServiceSettings)
Serve = Callable[[SettingsT, Process], AbstractAsyncContextManager[None]]


def run(service: str, settings_type: type[SettingsT], serve: Serve[SettingsT]) -> NoReturn:
    """Read the settings, serve until SIGTERM or SIGINT, release everything, and end the process.

    Exit codes: 0 after a signal, 2 for a bad configuration, 1 for a defect. A second signal ends the process at once.
    """
    try:
        settings = load(settings_type)
        logs.configure(service, settings.log_level)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_live(service, settings, serve))
    except ConfigurationError as exc:
        sys.stderr.write(f"omnix-{service}: configuration: {without_secrets(str(exc))}\n")
        sys.exit(2)
    sys.exit(0)


async def _live(service: str, settings: SettingsT, serve: Serve[SettingsT]) -> None:
    process = Process(service)
    served = False
    process.readiness.need("start", lambda: None if served else "the process is starting")
    stop = _stop_signal()
    async with AsyncExitStack() as stack:
        stack.enter_context(
            telemetry.exporting(service, settings.otlp_endpoint, settings.trace_ratio, content=settings.trace_content)
        )
        try:
            port = stack.enter_context(ops_server(settings.ops_host, settings.ops_port, process.readiness, service))
        except OSError as exc:
            raise ConfigurationError(f"OMNIX_OPS_PORT: cannot listen on {settings.ops_port}: {exc.strerror}") from exc
        await stack.enter_async_context(serve(settings, process))
        served = True
        # What is there now stays: a full collection would stop the process for 15 ms to find that out each time.
        gc.collect()
        gc.freeze()
        _log.info("serving", extra={"ops_port": port, "instance_id": process.instance_id, "pid": os.getpid()})
        await stop.wait()
        process.readiness.stopping = True
        _log.info("stopping", extra={"delay_s": settings.drain_delay.total_seconds()})
        await asyncio.sleep(settings.drain_delay.total_seconds())
    _log.info("stopped")


def _stop_signal() -> asyncio.Event:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def on_signal(number: signal.Signals) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return stop
