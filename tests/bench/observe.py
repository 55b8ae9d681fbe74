"""Puts one load on a running target and reads what the gateway used meanwhile."""

import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable

import msgspec

from bench.messages import LoadResult, LoadSpec
from bench.paths import TESTS
from bench.processes import (
    BenchError,
    Memory,
    cpu_seconds,
    die_with_parent,
    machine_busy_seconds,
    memory,
)
from bench.targets import Running, Upstream

SETTLE = 1.0
"""Seconds after a load before its CPU is read, so that what a gateway does after the answer is counted: metering,
recording, logging. The idle CPU of that second is counted too."""
_MEMORY_EVERY = 2.0


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """One load on one target, with everything that was read; kept in the JSON results."""

    spec: LoadSpec
    result: LoadResult
    seconds: float
    gateway_cpu_seconds: float
    upstream_cpu_seconds: float
    other_cpu_seconds: float
    """CPU used on the machine by neither gateway, upstream, load nor harness: the disturbance."""
    services_cpu_seconds: dict[str, float] = {}
    """The gateway's by service, where they are told apart; one that did not live through the load is missing."""
    pss_before: int
    pss_samples: list[int]
    """Memory of the gateway every two seconds of the load; empty unless asked for."""


class Idle(msgspec.Struct, frozen=True, kw_only=True):
    """A running target that nobody asks."""

    seconds: float
    gateway_cpu_seconds: float
    other_cpu_seconds: float
    pss: int
    rss: int
    processes: int


def observe(
    running: Running, upstream: Upstream, spec: LoadSpec, *, watch_memory: bool = False, settle: float = SETTLE
) -> Observation:
    """Run ``spec`` to its end; ``BenchError`` if the load process breaks its time limit or dies."""
    samples: list[Memory] = []
    next_sample = 0.0

    def sample() -> None:
        nonlocal next_sample
        if watch_memory and time.monotonic() >= next_sample:
            samples.append(memory(running.pids()))
            next_sample = time.monotonic() + _MEMORY_EVERY

    with _LoadProcess(spec) as load:
        before = memory(running.pids()) if watch_memory else Memory(0, 0)
        services = {name: (pid, cpu_seconds([pid])) for name, pid in running.services().items()}
        clocks = _Clocks(running, upstream)
        result = load.run(meanwhile=sample)
        time.sleep(settle)
        seconds, gateway, vendor, busy = clocks.passed()
        left = running.services()
    return Observation(
        spec=spec,
        result=result,
        seconds=seconds,
        gateway_cpu_seconds=gateway,
        upstream_cpu_seconds=vendor,
        other_cpu_seconds=max(0.0, busy - gateway - vendor - result.cpu_seconds),
        services_cpu_seconds={
            name: cpu_seconds([pid]) - before for name, (pid, before) in services.items() if left.get(name) == pid
        },
        pss_before=before.pss,
        pss_samples=[sample.pss for sample in samples],
    )


def observe_idle(running: Running, upstream: Upstream, seconds: float) -> Idle:
    """Leave the target alone for ``seconds``."""
    clocks = _Clocks(running, upstream)
    time.sleep(seconds)
    passed, gateway, vendor, busy = clocks.passed()
    pids = running.pids()
    held = memory(pids)
    return Idle(
        seconds=passed,
        gateway_cpu_seconds=gateway,
        other_cpu_seconds=max(0.0, busy - gateway - vendor),
        pss=held.pss,
        rss=held.rss,
        processes=len(pids),
    )


class _Clocks:
    """CPU times since it was made; the harness's own are taken off the machine's."""

    def __init__(self, running: Running, upstream: Upstream) -> None:
        self._running = running
        self._upstream = upstream
        self._before = self._read()

    def passed(self) -> tuple[float, float, float, float]:
        """Seconds by the wall, of the gateway's CPU, of the upstream's, of the machine's without the harness."""
        wall, gateway, upstream, busy = (
            after - before for after, before in zip(self._read(), self._before, strict=True)
        )
        return wall, gateway, upstream, busy

    def _read(self) -> tuple[float, float, float, float]:
        return (
            time.monotonic(),
            cpu_seconds(self._running.pids()),
            cpu_seconds([self._upstream.pid]),
            machine_busy_seconds() - time.process_time(),
        )


class _LoadProcess:
    """A load process that is up and waits for the word."""

    def __init__(self, spec: LoadSpec) -> None:
        self._spec = spec

    def __enter__(self) -> "_LoadProcess":
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=TESTS,
            preexec_fn=die_with_parent,
        )
        try:
            self._write(msgspec.json.encode(self._spec) + b"\n")
            self._read_line(timeout=20, meanwhile=lambda: None)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()

    def run(self, meanwhile: Callable[[], None]) -> LoadResult:
        """Give the word and wait for the result, calling ``meanwhile`` four times a second."""
        self._write(b"go\n")
        line = self._read_line(timeout=self._spec.longest + 30, meanwhile=meanwhile)
        return msgspec.json.decode(line, type=LoadResult)

    def _write(self, line: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line)
        self._process.stdin.flush()

    def _read_line(self, *, timeout: float, meanwhile: Callable[[], None]) -> bytes:
        assert self._process.stdout is not None
        deadline = time.monotonic() + timeout
        line = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                meanwhile()
                if time.monotonic() > deadline:
                    raise BenchError(f"the load process did not end within {timeout:g} s")
                if selector.select(0.25):
                    part = os.read(self._process.stdout.fileno(), 65536)
                    if not part:
                        raise BenchError(f"the load process died with {self._process.wait()}")
                    line += part
        return line
