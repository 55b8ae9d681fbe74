"""``omnix status``: asks every service itself, and does not trust what was written down a moment ago."""

import asyncio
import time
from collections.abc import Sequence

import msgspec

from omnix_cli import lock, probe, state, table
from omnix_cli.places import DataDir
from omnix_cli.state import Phase, SuiteState
from omnix_cli.suite import Service

_LOOK_EVERY = 0.1
_SAMPLE = 0.2


def now(data: DataDir, services: Sequence[Service], wait: float = 0.0) -> SuiteState | None:
    """How the suite is; None when none runs.

    :param wait: seconds to wait for it to be ready.
    """
    deadline = time.monotonic() + wait
    while True:
        pid = lock.holder(data.lock)
        suite = state.read(data.state)
        current = suite is not None and pid == suite.pid
        found = asyncio.run(_asked(suite, services)) if suite is not None and current else None
        if (found is not None and found.phase is Phase.READY) or time.monotonic() >= deadline:
            return found
        time.sleep(_LOOK_EVERY)


def as_json(suite: SuiteState) -> dict[str, object]:
    """The state, with whether all is ready and what each process uses."""
    loads = table.Meter().loads(suite.services)
    told: dict[str, object] = msgspec.to_builtins(suite)
    told["ready"] = suite.phase is Phase.READY
    told["services"] = {
        name: {
            **msgspec.to_builtins(service),
            "memory_bytes": loads[name][0].memory_bytes if name in loads else None,
            "cpu_seconds": loads[name][0].cpu_seconds if name in loads else None,
        }
        for name, service in suite.services.items()
    }
    return told


def loads(suite: SuiteState) -> dict[str, tuple[table.Load, str]]:
    """Measured over a fifth of a second."""
    meter = table.Meter()
    meter.loads(suite.services)
    time.sleep(_SAMPLE)
    return meter.loads(suite.services)


async def _asked(suite: SuiteState, services: Sequence[Service]) -> SuiteState:
    rows = {row.name: row for row in services}
    known = [name for name in suite.services if name in rows]
    answers = await asyncio.gather(
        *(probe.lacking(rows[name], suite.services[name].ports, suite.url) for name in known)
    )
    fresh = dict(suite.services)
    for name, missing in zip(known, answers, strict=True):
        service = fresh[name]
        if missing is None:
            fresh[name] = msgspec.structs.replace(service, phase=Phase.READY, detail="")
        elif service.phase is Phase.READY:
            fresh[name] = msgspec.structs.replace(service, phase=Phase.NOT_READY, detail=missing)
    phase = suite.phase
    if phase in (Phase.STARTING, Phase.READY, Phase.NOT_READY):
        ready = all(service.phase is Phase.READY for service in fresh.values())
        phase = Phase.READY if ready else Phase.NOT_READY if phase is Phase.READY else phase
    return msgspec.structs.replace(suite, phase=phase, services=fresh)
