"""The whole suite with a plugin that redacts personal data: what the vendor is told, what the caller reads."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from omnix_kit.testing import eventually, free_port
from omnix_sandbox.record import FILE_NAME
from support.suite import Suite, running_suite

pytestmark = [pytest.mark.suite, pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="module")]

SOURCE = Path(__file__).parents[2] / "examples" / "redact" / "src"
ADDRESS, PHONE = "ann@example.org", "+49 170 1234567"
TOKEN = "between-the-services"
SAYS = f"Ann is at {ADDRESS}, or at {PHONE}."

ROUTES = """
plugins_always = ["redact"]

[plugins.redact]
address = "{redact}"
timeout = "2s"
on_failure = "closed"

[plugins.second]
address = "{second}"
timeout = "2s"
on_failure = "open"
settings = {{ mode = "answers" }}

[routes.guarded]
plugins = ["second"]
plugin_settings = {{ second = {{ kinds = "ip" }} }}
targets = ["openai/gpt-4o"]

[routes.rescued]
targets = ["openai/sandbox-cut-after-8", "openai/gpt-4o"]
"""


class Process:
    """The plugin, which can be killed and started again."""

    def __init__(self) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "redact_plugin", "--listen", self.address),
            env={**os.environ, "PYTHONPATH": str(SOURCE), "OMNIX_GRPC_TOKEN": TOKEN},
        )
        host, _, port = self.address.partition(":")

        async def listens() -> bool:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except OSError:
                return False
            writer.close()
            return True

        await eventually(listens, 30)

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@dataclass
class Scene:
    suite: Suite
    redact: Process
    second: Process

    def vendor_heard(self) -> str:
        """Every request that the vendor got."""
        return (self.suite.folder / "sandbox" / FILE_NAME).read_text()

    async def answers_again(self) -> None:
        async def well() -> bool:
            return (await self.suite.chat("[[tokens=1]]")).status_code == 200

        await eventually(well, 30)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("plugins")
    redact, second = Process(), Process()
    routes = folder / "routes.toml"
    routes.write_text(ROUTES.format(redact=redact.address, second=second.address))
    try:
        await asyncio.gather(redact.start(), second.start())
        async with running_suite(
            folder / "suite",
            OMNIX_ROUTES_FILE=str(routes),
            OMNIX_SANDBOX_KEEP_REQUESTS="true",
            OMNIX_GRPC_TOKEN=TOKEN,
            OMNIX_CIRCUIT_FAILURES="1000",
        ) as suite:
            await suite.settled()
            yield Scene(suite, redact, second)
    finally:
        await redact.kill()
        await second.kill()


async def test_vendor_is_told_placeholders_and_the_caller_reads_what_they_stand_for(scene: Scene) -> None:
    answer = await scene.suite.chat(f"[[echo]] {SAYS}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"].strip() == SAYS
    told = scene.vendor_heard()
    assert "[EMAIL_1], or at [PHONE_1]" in told
    assert ADDRESS not in told
    assert PHONE not in told


@pytest.mark.parametrize("pace", ["[[burst]]", "[[pace=100/s]]"])
async def test_stream_is_restored_wherever_its_chunks_are_cut(scene: Scene, pace: str) -> None:
    seen = await scene.suite.stream(f"{pace} [[echo]] {SAYS}", stream_options={"include_usage": True})
    assert (seen.text.strip(), seen.done, seen.finish_reasons) == (SAYS, True, ["stop"])
    assert ADDRESS not in scene.vendor_heard()
    # A token of the sandbox is four bytes: the placeholders came in pieces, and were billed as they came.
    [entry] = await scene.suite.usage_of(seen.headers["x-omnix-completion-id"])
    assert entry["output_tokens"] == seen.events[-1]["usage"]["completion_tokens"]


async def test_recorded_stream_holds_what_the_caller_reads(scene: Scene) -> None:
    seen = await scene.suite.stream(f"[[echo]] {SAYS}")
    again = await scene.suite.resume(seen.headers["x-omnix-completion-id"])
    assert again.text.strip() == SAYS


async def test_answer_that_breaks_off_goes_on_and_is_restored(scene: Scene) -> None:
    seen = await scene.suite.stream(f"[[echo]] {SAYS} {'word ' * 20}", model="rescued")
    assert seen.text.strip().startswith(SAYS)
    assert (seen.errors, seen.finish_reasons, seen.done) == ([], ["stop"], True)
    assert ADDRESS not in scene.vendor_heard()


async def test_route_has_plugins_of_its_own_with_its_own_settings(scene: Scene) -> None:
    answer = await scene.suite.chat(f"[[echo]] {SAYS} and 10.1.2.3", model="guarded")
    # The first one restores, the second one redacts what it is set to.
    assert answer.json()["choices"][0]["message"]["content"].strip() == f"{SAYS} and [IP]"
    seen = await scene.suite.stream(f"[[echo]] {SAYS} and 10.1.2.3", model="guarded")
    assert seen.text.strip() == f"{SAYS} and [IP]"


async def test_killed_plugin_that_is_open_is_left_out(scene: Scene) -> None:
    await scene.second.kill()
    try:
        answer = await scene.suite.chat(f"[[echo]] {SAYS} and 10.1.2.3", model="guarded")
        assert answer.json()["choices"][0]["message"]["content"].strip() == f"{SAYS} and 10.1.2.3"
        seen = await scene.suite.stream(f"[[echo]] {SAYS} and 10.1.2.3", model="guarded")
        assert (seen.text.strip(), seen.done) == (f"{SAYS} and 10.1.2.3", True)
    finally:
        await scene.second.start()


async def test_killed_plugin_that_is_closed_lets_nothing_through(scene: Scene) -> None:
    await scene.redact.kill()
    try:
        calls = len(scene.suite.record())
        answer = await scene.suite.chat(f"[[echo]] {SAYS}")
        assert answer.status_code == 503
        assert "The plugin redact" in answer.json()["error"]["message"]
        seen = await scene.suite.stream(f"[[echo]] {SAYS}")
        assert seen.status == 503
        assert len(scene.suite.record()) == calls
        assert ADDRESS not in scene.vendor_heard()
    finally:
        await scene.redact.start()
    await scene.answers_again()


async def test_killed_in_the_middle_of_a_stream_nothing_of_placeholders_is_told(scene: Scene) -> None:
    async with scene.suite.open_stream(f"[[pace=30/s]] [[echo]] {SAYS} {'word ' * 40} {ADDRESS}") as reader:
        await reader.read(until=lambda seen: ADDRESS in seen.text)
        await scene.redact.kill()
        seen = await reader.read()
    await scene.redact.start()
    [error] = seen.errors
    assert "The plugin redact" in error["message"]
    assert "[EMAIL" not in seen.text
    assert not seen.finish_reasons
    await scene.answers_again()
