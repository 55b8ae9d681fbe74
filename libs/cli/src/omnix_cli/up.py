"""``omnix up``: runs the suite in the foreground, or sends a supervisor into the background and waits for health."""

import asyncio
import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from omnix_cli import announcement, environment, leftovers, lock, logfiles, screen, state
from omnix_cli.errors import CommandError, UsageError
from omnix_cli.installation import Installation
from omnix_cli.places import DataDir
from omnix_cli.site import prepare
from omnix_cli.state import Phase, SuiteState
from omnix_cli.supervisor import Supervisor

_READY_WITHIN = 60.0
_STOPPED_WITHIN = 90.0
_LOOK_EVERY = 0.05
_LINES_TOLD = 20


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for on the command line."""

    data: DataDir
    host: str
    port: int
    grace: float


def foreground(installation: Installation, wish: Wish, *, daemon: bool = False) -> None:
    """Run until a signal.

    :param daemon: say nothing that must not stand in a log file.
    :raises CommandError: when the suite cannot be brought up.
    """
    wish.data.make()
    try:
        with lock.held(wish.data.lock):
            left = leftovers.find(wish.data)
            if left:
                print(f"ending {len(left)} processes that an earlier run left behind", flush=True)
                leftovers.end(left)
            outside = environment.outside(os.environ, Path(".env"))
            site, source = prepare(wish.data, installation.services, outside, wish.host, wish.port, wish.grace)

            def announce(suite: SuiteState) -> str:
                if daemon:
                    return f"ready at {suite.url}"
                return announcement.told(suite.url, site.admin_key, suite.sandboxed)

            shown = screen.fitting(announce)
            try:
                asyncio.run(
                    _run(Supervisor(installation.services, site, source, shown.changed, installation.pace), shown)
                )
            finally:
                shown.close()
    except lock.HeldError as exc:
        raise CommandError(_in_use(wish.data, exc.pid)) from exc


def detached(installation: Installation, wish: Wish) -> str:
    """Start a supervisor that outlives this process, wait until all is ready, and return what is to be said.

    :raises CommandError: with the supervisor's own reason; nothing runs on in that case.
    """
    data = wish.data
    data.make()
    if (pid := lock.holder(data.lock)) is not None:
        raise CommandError(_in_use(data, pid))
    log = data.log("supervisor")
    offset = logfiles.size(log)
    options = {"--data-dir": data.root, "--host": wish.host, "--port": wish.port, "--grace": wish.grace}
    words = [word for option in options.items() for word in map(str, option)]
    with log.open("ab") as output:
        os.fchmod(output.fileno(), 0o600)
        supervisor = subprocess.Popen(
            [*installation.program, "up", "--daemon", *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    deadline = time.monotonic() + _READY_WITHIN
    while time.monotonic() < deadline:
        code = supervisor.poll()
        if code is not None:
            raise _failure(code, logfiles.tail(log, 1000, offset), log)
        now = state.read(data.state)
        if now is not None and now.pid == supervisor.pid and now.phase is Phase.READY:
            return announcement.told(now.url, _key(data, now, os.environ), now.sandboxed)
        time.sleep(_LOOK_EVERY)
    now = state.read(data.state)
    supervisor.terminate()
    try:
        supervisor.wait(_STOPPED_WITHIN)
    except subprocess.TimeoutExpired:
        supervisor.kill()
        leftovers.end(leftovers.find(data))
    raise CommandError(f"not ready within {_READY_WITHIN:g} s, so it was stopped again: {_lacking(now)}; see {log}")


async def _run(supervisor: Supervisor, shown: screen.Screen) -> None:
    showing = asyncio.create_task(shown.run())
    try:
        await supervisor.run()
    finally:
        showing.cancel()


def _failure(code: int, lines: list[str], log: Path) -> CommandError:
    """What the supervisor said last, which begins where it speaks as this command does."""
    starts = [number for number, line in enumerate(lines) if line.startswith("omnix: ")]
    reason = lines[starts[-1] :] if starts else [f"the supervisor ended with {code}:", *lines[-_LINES_TOLD:]]
    text = "\n".join(reason).removeprefix("omnix: ") + f"\n(log: {log})"
    return UsageError(text) if code == UsageError.exit_code else CommandError(text)


def _lacking(now: SuiteState | None) -> str:
    if now is None:
        return "the supervisor did not begin"
    return "; ".join(
        f"{name} {service.detail or service.phase.value}"
        for name, service in now.services.items()
        if service.phase is not Phase.READY
    )


def _key(data: DataDir, suite: SuiteState, environ: Mapping[str, str]) -> str:
    from omnix_cli.site import admin_key

    kept = environment.outside(environ, Path(".env")).get("OMNIX_ADMIN_KEY") if suite.admin_key == "environment" else ""
    return kept or admin_key(data) or ""


def _in_use(data: DataDir, pid: int | None) -> str:
    now = state.read(data.state)
    where = f", {now.url}" if now is not None and now.pid == pid else ""
    return (
        f"a suite runs on {data.root} already (pid {pid}{where}); "
        "stop it with omnix down, or take another --data-dir and --port"
    )
