"""What a running suite tells of itself in ``state.json``: to ``omnix status``, to tests, and to the next start."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Literal

import msgspec

_PUBLIC_FIRST = ("http", "client", "grpc", "ops")


class Phase(StrEnum):
    """Where a service, or the suite, stands."""

    STARTING = "starting"
    READY = "ready"
    NOT_READY = "not ready"
    """It was ready and lacks something now."""
    RESTARTING = "restarting"
    """It ended by itself and waits for its next start."""
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


KeySource = Literal["file", "environment"]
"""Where the admin key comes from: ``admin.key``, or ``OMNIX_ADMIN_KEY``."""


class ServiceState(msgspec.Struct, frozen=True, kw_only=True):
    phase: Phase
    ports: dict[str, int]
    pid: int | None = None
    """Also the id of its process group and session."""
    started: float | None = None
    """Seconds since the epoch at which the process started, as the operating system tells it."""
    restarts: int = 0
    detail: str = ""
    """What is missing, or how the last process ended."""

    @property
    def main_port(self) -> int:
        """The port that its clients know."""
        return next((self.ports[name] for name in _PUBLIC_FIRST if name in self.ports), 0)


class SuiteState(msgspec.Struct, frozen=True, kw_only=True):
    version: Literal[1] = 1
    phase: Phase
    pid: int
    """The supervisor."""
    started: float
    url: str
    """Where the gateway answers."""
    nats_url: str
    sandboxed: list[str]
    """The providers that the sandbox plays."""
    admin_key: KeySource
    services: dict[str, ServiceState]


def write(path: Path, state: SuiteState) -> None:
    """Replace the file in one step, so that a reader never sees a half."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(state)) + b"\n")
    os.replace(fresh, path)


def read(path: Path) -> SuiteState | None:
    """The last state that was written; None when there is none, or another version wrote it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=SuiteState)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
