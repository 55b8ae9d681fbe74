"""Ports of this machine: which are free, and who holds one."""

import random
import socket
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST, _TRIES = 10_240, 200


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def choose(taken: Collection[int] = ()) -> int:
    """A free port from below the range that outgoing connections take theirs from.

    A port out of that range could be gone while its service restarts.
    """
    for _ in range(_TRIES):
        port = random.randrange(_LOWEST, _highest())  # noqa: S311 - nothing secret
        if port not in taken and is_free(port):
            return port
    with socket.socket() as probe:  # whatever the system has left
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def next_free(port: int, host: str) -> int:
    """The first free port after this one, to propose instead of it."""
    return next((other for other in range(port + 1, min(port + 100, 65_536)) if is_free(other, host)), 0) or choose()


def holder(port: int) -> str | None:
    """Name and pid of the process that listens there, where the system tells us."""
    import psutil

    with suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
            if listens and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return None


def _highest() -> int:
    try:
        lowest_ephemeral = int(_EPHEMERAL.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        lowest_ephemeral = 32_768
    return max(lowest_ephemeral, _LOWEST + 5_000)
