"""The sandbox for other packages' tests: the real process on a free port, gone when the test ends.

async with running_sandbox(tmp_path) as sandbox:
    client = AsyncOpenAI(base_url=sandbox.openai_url, api_key="sk-sandbox", max_retries=0)
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from omnix_sandbox import record
from omnix_sandbox.record import Call

START_TIMEOUT = 15.0
STOP_TIMEOUT = 10.0
POLL_SECONDS = 0.01


class _Calls(msgspec.Struct):
    data: list[Call]


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox and what it recorded."""

    url: str
    data_dir: Path
    process: asyncio.subprocess.Process
    http: aiohttp.ClientSession

    @property
    def openai_url(self) -> str:
        return f"{self.url}/openai/v1"

    @property
    def bedrock_url(self) -> str:
        return f"{self.url}/bedrock"

    @property
    def gemini_url(self) -> str:
        return f"{self.url}/gemini"

    @property
    def huggingface_url(self) -> str:
        return f"{self.url}/huggingface"

    def record(self) -> list[Call]:
        """All calls in the file, in the order in which they were accepted; works after a kill, too."""
        return record.read(self.data_dir)

    async def calls(self, **query: str) -> list[Call]:
        """The latest calls, newest first; `query` is `request_id`, `call`, `model`, `since`, `limit`."""
        async with self.http.get(f"{self.url}/control/calls", params=query) as response:
            response.raise_for_status()
            return msgspec.json.decode(await response.read(), type=_Calls).data

    async def wait_for_call(
        self,
        until: Callable[[Call], bool] = lambda call: call.outcome is not None,
        *,
        timeout: float = 5.0,
        **query: str,
    ) -> Call:
        """The newest call that `query` finds and that has become as `until` wants it, by default finished.

        Raises:
            TimeoutError: none has within `timeout` seconds.
        """
        async with asyncio.timeout(timeout):
            while True:
                for call in await self.calls(**query):
                    if until(call):
                        return call
                await asyncio.sleep(POLL_SECONDS)

    async def order_fault(self, fault: str | Mapping[str, Any], **rule: Any) -> str:
        """Order a fault; `rule` is `match`, `count`, `skip`, `probability`, `seed`. Returns the rule's id."""
        body = {"fault": fault, **rule}
        async with self.http.post(f"{self.url}/control/faults", json=body) as response:
            answer = await response.json()
            if response.status != 201:
                raise ValueError(answer["error"])
            return str(answer["id"])

    async def clear_faults(self) -> None:
        async with self.http.delete(f"{self.url}/control/faults") as response:
            response.raise_for_status()

    async def clear_calls(self) -> None:
        async with self.http.delete(f"{self.url}/control/calls") as response:
            response.raise_for_status()

    async def stop(self) -> int:
        """End it as an operator would; returns its exit code."""
        if self.process.returncode is None:
            self.process.terminate()
        async with asyncio.timeout(STOP_TIMEOUT):
            return await self.process.wait()


@asynccontextmanager
async def running_sandbox(data_dir: Path, **settings: object) -> AsyncIterator[Sandbox]:
    """Start the real process and wait until it is ready.

    `settings` are those of the README in small letters, without their prefix: `pace="20/s"`, `fsync=False`.
    """
    port_file = data_dir / "port"
    port_file.unlink(missing_ok=True)
    chosen = {"port": 0, "port_file": port_file, "data_dir": data_dir, "grace": 0, **settings}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OMNIX_SANDBOX_")}
    environment |= {f"OMNIX_SANDBOX_{name.upper()}": str(value) for name, value in chosen.items()}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "omnix_sandbox", env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(START_TIMEOUT):
            while not port_file.exists():
                if process.returncode is not None:
                    raise RuntimeError(f"the sandbox ended with code {process.returncode} while starting")
                await asyncio.sleep(POLL_SECONDS)
        url = f"http://127.0.0.1:{port_file.read_text().strip()}"
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:
            yield Sandbox(url, data_dir, process, http)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
