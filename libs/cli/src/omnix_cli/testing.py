"""For tests: suites of real processes, each with its own data directory and port, of which nothing stays."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from omnix_cli import leftovers, lock, ports, state
from omnix_cli.places import DataDir
from omnix_cli.state import SuiteState

_FOREIGN = ("OMNIX_", "OPENAI_", "AWS_", "GEMINI_", "GOOGLE_", "HF_")


def clean_environ() -> dict[str, str]:
    """The environment without what would configure OmniX differently from a fresh machine."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}


@dataclass
class Suite:
    """One data directory and the command that runs a suite on it, both in ``folder``."""

    folder: Path
    program: Sequence[str] = (sys.executable, "-P", "-m", "omnix_cli")
    port: int = field(default_factory=ports.choose)
    environ: dict[str, str] = field(default_factory=clean_environ)

    @property
    def data(self) -> DataDir:
        return DataDir.at(self.folder / "data")

    @property
    def url(self) -> str:
        return self.state.url

    @property
    def admin_key(self) -> str:
        return self.environ.get("OMNIX_ADMIN_KEY") or self.data.admin_key.read_text().strip()

    @property
    def state(self) -> SuiteState:
        """What the supervisor wrote last; pids and ports of the services are in it."""
        found = state.read(self.data.state)
        if found is None:
            raise LookupError(f"no suite ever ran on {self.data.root}")
        return found

    def pid(self, service: str) -> int:
        """The pid of a service that runs."""
        pid = self.state.services[service].pid
        if pid is None:
            raise LookupError(f"{service} does not run")
        return pid

    def omnix(self, *words: str, timeout: float = 120) -> "subprocess.CompletedProcess[str]":
        """Run a command on this suite to its end."""
        return subprocess.run(
            [*self.program, *words, "--data-dir", str(self.data.root)],
            env=self.environ,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def up(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Start it in the background; it is ready when this returns with exit code 0."""
        return self.omnix("up", "--detach", "--port", str(self.port), *words)

    def foreground(self, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*self.program, "up", "--port", str(self.port), "--data-dir", str(self.data.root), *words],
            env=self.environ,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def destroy(self) -> None:
        """End whatever runs of it, at once."""
        if (pid := lock.holder(self.data.lock)) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in leftovers.find(self.data):
            with suppress(psutil.NoSuchProcess):
                process.kill()


@contextmanager
def suite_in(folder: Path, *program: str) -> Iterator[Suite]:
    """A suite that is not started yet; what runs of it at the end is ended."""
    folder.mkdir(parents=True, exist_ok=True)
    suite = Suite(folder, program) if program else Suite(folder)
    try:
        yield suite
    finally:
        suite.destroy()


def until(condition: Callable[[], bool], within: float = 10.0) -> None:
    """Wait until the condition holds.

    :raises TimeoutError: when it does not within so many seconds.
    """
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"it did not come about within {within:g} s")
        time.sleep(0.01)
