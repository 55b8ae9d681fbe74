"""What every target has in common."""

import http.client
import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bench.processes import BenchError

START_TIMEOUT = 120.0


@dataclass(frozen=True, slots=True)
class Upstream:
    """The vendors all targets call: one process that speaks the formats of all."""

    port: int
    pid: int
    api_key: str = "sk-bench-upstream"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def openai_url(self) -> str:
        return f"{self.url}/openai/v1"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how a target is asked for a completion."""

    port: int
    path: str
    headers: Mapping[str, str]
    model: str = "gpt-4o"
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Running:
    """A target that answers."""

    endpoint: Endpoint
    pids: Callable[[], Sequence[int]]
    """All processes of the gateway as of now; neither the upstream nor the load is among them."""
    services: Callable[[], Mapping[str, int]] = dict
    """Those of them that are told apart, by name."""
    cold_start_seconds: float | None = None
    """From the command to the first answer; ``None`` where there is nothing to start."""
    details: Mapping[str, str] = field(default_factory=dict)


class Target(Protocol):
    """A gateway to measure."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str:
        """How the report calls it, version included."""
        ...

    def prepare(self) -> None:
        """Install what is missing; ``BenchError`` says why the target cannot be measured here."""
        ...

    def running(self, upstream: Upstream, directory: Path) -> AbstractContextManager[Running]:
        """Start over ``upstream`` with its files in ``directory``, answer, and stop without leaving a process."""
        ...


def first_answer(endpoint: Endpoint, process: subprocess.Popen[bytes] | None, log: Path) -> None:
    """Ask every 50 ms until a whole answer comes; ``BenchError`` if the process ends with a failure or time is up."""
    body = json.dumps({"model": endpoint.model, "messages": [{"role": "user", "content": "[[tokens=1]]"}]})
    headers = {"content-type": "application/json", **endpoint.headers}
    deadline = time.monotonic() + START_TIMEOUT
    last = "nothing listens"
    while time.monotonic() < deadline:
        if process is not None and process.poll() not in (None, 0):
            raise BenchError(f"exited with {process.returncode} before its first answer; see {log}")
        connection = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=10)
        try:
            connection.request("POST", endpoint.path, body, headers)
            response = connection.getresponse()
            content = response.read()
            if response.status == 200:
                return
            last = f"HTTP {response.status}: {content[:200].decode(errors='replace')}"
        except ConnectionRefusedError:
            pass
        except (OSError, http.client.HTTPException) as exc:
            last = repr(exc)
        finally:
            connection.close()
        time.sleep(0.05)
    raise BenchError(f"no answer within {START_TIMEOUT:g} s ({last}); see {log}")
