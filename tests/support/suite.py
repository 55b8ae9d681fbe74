"""The whole suite as real processes, started by its own command, and the ways in which tests look at it and hurt it."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil
from omnix_cli import state
from omnix_kit.testing import eventually, free_port
from omnix_sandbox.record import Call, read

OMNIX = str(Path(sys.executable).with_name("omnix"))
_START_WITHIN = 90
_STOP_WITHIN = 60


@dataclass
class Stream:
    """What a reader of server-sent events saw."""

    status: int
    headers: httpx.Headers
    events: list[dict[str, Any]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    done: bool = False
    """``[DONE]`` came."""

    @property
    def text(self) -> str:
        return "".join(
            choice["delta"].get("content") or "" for event in self.events for choice in event.get("choices", ())
        )

    @property
    def finish_reasons(self) -> list[str]:
        return [
            choice["finish_reason"]
            for event in self.events
            for choice in event.get("choices", ())
            if choice.get("finish_reason")
        ]

    @property
    def errors(self) -> list[dict[str, Any]]:
        return [event["error"] for event in self.events if "error" in event]


class Suite:
    """A running suite in a folder of its own."""

    def __init__(self, folder: Path, port: int, http: httpx.AsyncClient) -> None:
        self.folder = folder
        self.port = port
        self.http = http
        self.url = f"http://127.0.0.1:{port}"
        self.key = ""

    # Its state

    def state(self) -> state.SuiteState:
        found = state.read(self.folder / "state.json")
        assert found is not None, "the suite has no state"
        return found

    def pid(self, service: str) -> int | None:
        return self.state().services[service].pid

    def command(self, *words: str, timeout: float = 60) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [OMNIX, *words, "--data-dir", str(self.folder)],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env=environment(self.folder),
        )

    async def settled(self, within: float = 60) -> None:
        """Wait until every service is ready."""

        async def ready() -> bool:
            if any(service.phase is not state.Phase.READY for service in self.state().services.values()):
                return False
            try:
                ready = (await self.http.get(f"{self.url}/readyz", timeout=2)).status_code == 200
                return ready and await self._adapters_heard()
            except httpx.HTTPError:
                return False

        await eventually(ready, within)

    async def _adapters_heard(self) -> bool:
        """Whether the router knows what each adapter serves; it is ready a little earlier."""
        port = self.state().services["router"].ports["ops"]
        metrics = (await self.http.get(f"http://127.0.0.1:{port}/metrics", timeout=2)).text
        heard = [line for line in metrics.splitlines() if line.startswith("omnix_router_adapter_heard{")]
        return bool(heard) and all(float(line.rpartition(" ")[2]) == 1 for line in heard)

    # Hurting it

    def signal(self, service: str, number: signal.Signals) -> int:
        """Send a signal to a service's process; returns its pid."""
        pid = self.pid(service)
        assert pid is not None, f"{service} does not run"
        os.kill(pid, number)
        return pid

    async def kill(self, service: str) -> None:
        """SIGKILL, and wait until the process is gone."""
        try:
            pid = self.signal(service, signal.SIGKILL)
        except (ProcessLookupError, AssertionError):
            return
        await eventually(lambda: not _runs(pid), 10)

    async def reborn(self, service: str, before: int | None, within: float = 30) -> None:
        """Wait until the service runs as another process than ``before`` and is ready."""

        def condition() -> bool:
            now = self.state().services[service]
            return now.pid not in (None, before) and now.phase is state.Phase.READY

        await eventually(condition, within)

    @asynccontextmanager
    async def stopped(self, service: str) -> AsyncIterator[None]:
        """The service stands still, as a machine does whose disk hangs, and goes on afterwards."""
        pid = self.signal(service, signal.SIGSTOP)
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    # Talking to it

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    async def chat(self, content: str, *, model: str = "gpt-4o", key: str | None = None, **more: Any) -> httpx.Response:
        body = {"model": model, "messages": [{"role": "user", "content": content}], **more}
        headers = self.headers if key is None else {"Authorization": f"Bearer {key}"}
        return await self.http.post(f"{self.url}/v1/chat/completions", json=body, headers=headers)

    @asynccontextmanager
    async def open_stream(
        self, content: str, *, model: str = "gpt-4o", key: str | None = None, **more: Any
    ) -> "AsyncIterator[Reader]":
        body = {"model": model, "messages": [{"role": "user", "content": content}], "stream": True, **more}
        headers = self.headers if key is None else {"Authorization": f"Bearer {key}"}
        async with self.http.stream("POST", f"{self.url}/v1/chat/completions", json=body, headers=headers) as answer:
            yield Reader(answer)

    async def stream(self, content: str, **more: Any) -> Stream:
        async with self.open_stream(content, **more) as reader:
            return await reader.read()

    async def resume(self, stream_id: str, last_event_id: str | None = None, key: str | None = None) -> Stream:
        headers = dict(self.headers if key is None else {"Authorization": f"Bearer {key}"})
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        async with self.http.stream("GET", f"{self.url}/v1/streams/{stream_id}", headers=headers) as answer:
            return await Reader(answer).read()

    async def usage(self, **query: str) -> list[dict[str, Any]]:
        """The whole ledger, newest first."""
        entries: list[dict[str, Any]] = []
        token = ""
        while True:
            params = {"limit": "100", **query} | ({"page_token": token} if token else {})
            answer = await self.http.get(f"{self.url}/v1/usage", params=params, headers=self.headers)
            answer.raise_for_status()
            page = answer.json()
            entries += page["data"]
            token = page.get("next_page_token") or ""
            if not token:
                return entries

    async def usage_of(self, completion_id: str, count: int = 1, within: float = 20) -> list[dict[str, Any]]:
        """The entries of one completion, once there are ``count`` of them."""
        found: list[dict[str, Any]] = []

        async def there() -> bool:
            nonlocal found
            found = await self.usage(completion_id=completion_id)
            return len(found) >= count

        await eventually(there, within)
        assert len(found) == count
        return found

    # The vendor's side

    @property
    def sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self.state().services['sandbox'].ports['http']}"

    def record(self) -> list[Call]:
        return read(self.folder / "sandbox")

    async def vendor_call(self, attempt_id: str) -> Call:
        [call] = [call for call in self.record() if call.request_id == attempt_id]
        return call

    async def order_fault(self, fault: str | Mapping[str, Any], **rule: Any) -> None:
        answer = await self.http.post(f"{self.sandbox_url}/control/faults", json={"fault": fault, **rule})
        assert answer.status_code == 201, answer.text

    async def clear_faults(self) -> None:
        (await self.http.delete(f"{self.sandbox_url}/control/faults")).raise_for_status()


class Reader:
    """Reads server-sent events off an answer, in pieces if need be."""

    def __init__(self, answer: httpx.Response) -> None:
        self._answer = answer
        self._lines = answer.aiter_lines()
        self.seen = Stream(answer.status_code, answer.headers)

    @property
    def id(self) -> str:
        return str(self._answer.headers["x-omnix-completion-id"])

    async def read(self, until: Callable[[Stream], bool] | None = None) -> Stream:
        """Read on to the end of the body, or until ``until`` holds; returns all that was seen so far."""
        seen = self.seen
        if seen.status != 200:
            seen.events.append(msgspec.json.decode(await self._answer.aread()))
            return seen
        async for line in self._lines:
            if line.startswith("id:"):
                seen.ids.append(line[3:].strip())
            elif line.startswith("data:"):
                data = line[5:].strip()
                if data == "[DONE]":
                    seen.done = True
                else:
                    seen.events.append(msgspec.json.decode(data))
                    if until is not None and until(seen):
                        break
        return seen


def environment(folder: Path, **more: str) -> dict[str, str]:
    """The environment of a machine on which nobody has set anything for vendors or OmniX."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OMNIX_", "OPENAI_", "AWS_", "GEMINI_", "GOOGLE_", "HF_"))
    }
    return kept | more


@asynccontextmanager
async def running_suite(folder: Path, **more: str) -> AsyncIterator[Suite]:
    """Start a suite whose providers are all played by the sandbox; it is gone when the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    words = [OMNIX, "up", "--detach", "--data-dir", str(folder), "--port", str(port)]
    limits = httpx.Limits(max_connections=500, max_keepalive_connections=100)
    async with httpx.AsyncClient(timeout=60, limits=limits) as http:
        suite = Suite(folder, port, http)
        try:
            started = await asyncio.create_subprocess_exec(
                *words,
                cwd=folder,
                env=environment(folder, **more),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            async with asyncio.timeout(_START_WITHIN):
                out, _ = await started.communicate()
            assert started.returncode == 0, out.decode()
            suite.key = more.get("OMNIX_ADMIN_KEY") or (folder / "admin.key").read_text().strip()
            yield suite
        finally:
            await asyncio.to_thread(suite.command, "down", timeout=_STOP_WITHIN)


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
