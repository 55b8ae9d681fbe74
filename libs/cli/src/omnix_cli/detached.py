"""``omnix up --detach``: sends a supervisor into the background and waits for health."""

import os
import subprocess
import time
from pathlib import Path

from omnix_cli import access, announcement, lock, logfiles, state
from omnix_cli.errors import CommandError, UsageError
from omnix_cli.installation import Installation
from omnix_cli.main import DAEMON
from omnix_cli.places import DataDir
from omnix_cli.state import Phase, SuiteState
from omnix_cli.wish import Wish, in_use

_READY_WITHIN = 60.0
_STOPPED_WITHIN = 90.0
_LOOK_EVERY = 0.05
_LINES_TOLD = 20


def launch(installation: Installation, wish: Wish) -> str:
    """Start a supervisor that outlives this process, wait until all is ready, and return what is to be said.

    :raises CommandError: with the supervisor's own reason; nothing runs on in that case.
    """
    data = wish.data
    data.make()
    if (pid := lock.holder(data.lock)) is not None:
        raise in_use(data, pid)
    log = data.log("supervisor")
    offset = logfiles.size(log)
    with log.open("ab") as output:
        os.fchmod(output.fileno(), 0o600)
        supervisor = subprocess.Popen(
            [*installation.program, DAEMON, *wish.words()],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        return _ready(data, supervisor, log, offset)
    except BaseException:  # Ctrl-C, too: what was not announced does not stay
        _end(supervisor)
        raise


def _ready(data: DataDir, supervisor: "subprocess.Popen[bytes]", log: Path, offset: int) -> str:
    deadline = time.monotonic() + _READY_WITHIN
    while time.monotonic() < deadline:
        code = supervisor.poll()
        if code is not None:
            raise _failure(code, logfiles.tail(log, 1000, offset), log)
        now = state.read(data.state)
        if now is not None and now.pid == supervisor.pid and now.phase is Phase.READY:
            return announcement.told(now.url, access.local_admin_key(data, now), now.sandboxed)
        time.sleep(_LOOK_EVERY)
    lacking = _lacking(state.read(data.state))
    raise CommandError(f"not ready within {_READY_WITHIN:g} s, so it was stopped again: {lacking}; see {data.logs}")


def _end(supervisor: "subprocess.Popen[bytes]") -> None:
    supervisor.terminate()
    try:
        supervisor.wait(_STOPPED_WITHIN)
    except subprocess.TimeoutExpired:
        supervisor.kill()


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
        f"{name} ({service.detail or service.phase.value})"
        for name, service in now.services.items()
        if service.phase is not Phase.READY
    )
