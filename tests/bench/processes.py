"""Starting processes so that none outlives the harness, and adding up what a tree of them uses."""

import contextlib
import ctypes
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psutil

_TICKS = os.sysconf("SC_CLK_TCK")
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class BenchError(Exception):
    """Something the measurement stands on is not there; the message says what."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes held by processes: ``pss`` counts a page shared by n of them as 1/n to each, ``rss`` counts it n times."""

    pss: int
    rss: int


def leave_on_signals() -> None:
    """Make the signals that end a process unwind it, so that everything it started is stopped."""

    def leave(signum: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + signum)

    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, leave)


def allow_many_sockets() -> None:
    """A thousand streams are two thousand sockets in a gateway; the usual limit of a shell is 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@contextlib.contextmanager
def spawned(
    argv: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``argv`` with its output in ``log``; on leaving, stop it and all its descendants.

    The kernel kills it when the harness dies without leaving.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(env) if env is not None else None,
            cwd=cwd,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
    try:
        yield process
    finally:
        stop(tree(process.pid))
        process.wait(timeout=10)


def tree(root: int) -> list[psutil.Process]:
    """The process and all its living descendants; empty if it is gone."""
    try:
        process = psutil.Process(root)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def stop(processes: Sequence[psutil.Process], *, patience: float = 10.0) -> None:
    """SIGTERM to all, then SIGKILL to those still there after ``patience`` seconds."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, left = psutil.wait_procs(list(processes), timeout=patience)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=5)


def marked(name: str, value: str) -> list[psutil.Process]:
    """The processes whose environment holds ``name=value``."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(name) == value:
                found.append(process)
    return found


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time of the processes with all their threads and the children they have waited for.

    The children's is told in steps of 10 ms, all else to the nanosecond.
    """
    seconds = 0.0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            seconds += _own_cpu_seconds(pid) + sum(int(field) for field in fields[13:15]) / _TICKS
    return seconds


def _own_cpu_seconds(pid: int) -> float:
    clock = ctypes.c_int()
    if error := _libc.clock_getcpuclockid(pid, ctypes.byref(clock)):
        raise OSError(error, os.strerror(error))
    return time.clock_gettime(clock.value)


def machine_busy_seconds() -> float:
    """CPU time spent by everything on the machine since it started, idle and waiting for I/O left out."""
    user, nice, system, _, _, irq, softirq, steal = (
        int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / _TICKS


def memory(pids: Sequence[int]) -> Memory:
    """What the processes hold in memory now."""
    pss = rss = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                match line.split():
                    case ["Pss:", kilobytes, _]:
                        pss += int(kilobytes) * 1024
                    case ["Rss:", kilobytes, _]:
                        rss += int(kilobytes) * 1024
    return Memory(pss, rss)


def wait_until(condition: Callable[[], bool], *, timeout: float, every: float, what: str) -> None:
    """Poll until ``condition`` holds; ``BenchError`` naming ``what`` if it does not within ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise BenchError(f"{what} not within {timeout:g} s")
        time.sleep(every)
