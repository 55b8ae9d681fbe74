"""An adapter that nobody here wrote is started beside a running suite, and serves: found, called, metered, missed."""

import ast
import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai
import pytest
import pytest_asyncio
from omnix_kit.testing import eventually, free_port
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam
from support.suite import Suite, environment, running_suite

pytestmark = [pytest.mark.suite, pytest.mark.asyncio(loop_scope="module")]

SCRIPT = Path(__file__).with_name("foreign_adapter.py")
PARROT, UNPRICED = "acme/parrot", "acme-lab/cockatoo"
CATALOGUE = """
provider = "acme"
[[models]]
model = "parrot"
prices = [{ since = 2026-01-01, input = 2, output = 10 }]
"""
QUESTION = "Grüezi, was gibt's? 東京 👩‍👩‍👧‍👦"


@dataclass
class Foreign:
    """The adapter's process, which can be killed and started again at its address."""

    suite: Suite
    log: Path
    address: str = field(default_factory=lambda: f"127.0.0.1:{free_port()}")
    process: "subprocess.Popen[bytes] | None" = None

    def start(self, pause: float = 0) -> None:
        nats = self.suite.state().services["nats"].ports["client"]
        own = {
            "ACME_ADDRESS": self.address,
            "ACME_NATS_URL": f"nats://127.0.0.1:{nats}",
            "ACME_PAUSE": str(pause),
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", str(SCRIPT)], env=environment(self.log.parent, **own), stdout=log, stderr=log
            )

    async def serving(self) -> None:
        await eventually(self.is_healthy, within=30)

    async def is_healthy(self) -> bool:
        return (await self.health()).get("state") in ("healthy", "unknown")

    async def health(self) -> dict[str, object]:
        answer = await self.suite.http.get(f"{self.suite.url}/v1/providers/health", headers=self.suite.headers)
        answer.raise_for_status()
        return next((each for each in answer.json()["data"] if each["provider"] == "acme"), {})

    async def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return await asyncio.to_thread(self.process.wait, 15)

    @asynccontextmanager
    async def slowly(self, pause: float) -> AsyncIterator[None]:
        """Begun anew with a slow vendor, and quick again afterwards."""
        await self.end(signal.SIGTERM)
        self.start(pause)
        await self.serving()
        try:
            yield
        finally:
            if self.process is not None and self.process.poll() is None:
                await self.end(signal.SIGTERM)
            self.start()
            await self.serving()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def foreign(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Foreign]:
    folder = tmp_path_factory.mktemp("foreign")
    catalogue = folder / "catalogue.toml"
    catalogue.write_text(CATALOGUE)
    thresholds = {"OMNIX_CIRCUIT_FAILURES": "1000", "OMNIX_CIRCUIT_CALLS": "100000"}
    async with running_suite(folder / "suite", OMNIX_CATALOGUE_FILE=str(catalogue), **thresholds) as suite:
        await suite.settled()
        adapter = Foreign(suite, folder / "acme.log")
        adapter.start()
        try:
            await adapter.serving()
            yield adapter
        finally:
            if adapter.process is not None:
                adapter.process.kill()
                adapter.process.wait(10)


async def suite_hears(suite: Suite, count: int) -> bool:
    """Whether so many adapters have registered and said what they serve."""
    port = suite.state().services["router"].ports["ops"]
    lines = (await suite.http.get(f"http://127.0.0.1:{port}/metrics")).text.splitlines()
    heard = [line for line in lines if line.startswith('omnix_router_adapter_heard{adapter="registered"')]
    return [float(line.rpartition(" ")[2]) for line in heard] == [1.0] * count


def sdk(suite: Suite) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{suite.url}/v1", api_key=suite.key, max_retries=0)


def asking(content: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": content}]


async def test_it_knows_nothing_of_omnix_but_the_protos() -> None:
    imported = set()
    for node in ast.walk(ast.parse(SCRIPT.read_text())):
        match node:
            case ast.Import():
                imported |= {name.name.partition(".")[0] for name in node.names}
            case ast.ImportFrom():
                imported.add((node.module or "").partition(".")[0])
    assert imported - sys.stdlib_module_names == {"google", "grpc", "nats", "omnix"}


async def test_it_is_listed_with_its_price_and_seen_in_health(foreign: Foreign) -> None:
    models = {model.id: model.model_dump() async for model in sdk(foreign.suite).models.list()}
    assert {PARROT, UNPRICED} <= models.keys()
    assert (models[PARROT]["pricing"]["input"], models[UNPRICED]["pricing"]) == ("2.000000", None)
    await foreign.suite.chat("once", model=PARROT)
    assert (await foreign.health())["state"] == "healthy"
    told = await asyncio.to_thread(foreign.suite.command, "health")
    assert any("acme" in line and "healthy" in line for line in told.stdout.splitlines()), told.stdout
    # The suite's own adapters say where they are, too, and are configured.
    assert await suite_hears(foreign.suite, 1)


async def test_plain_answer_is_whole_and_in_the_ledger_with_its_price(foreign: Foreign) -> None:
    raw = await sdk(foreign.suite).chat.completions.with_raw_response.create(model=PARROT, messages=asking(QUESTION))
    answer = raw.parse()
    assert answer.choices[0].message.content == f"{QUESTION} "
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (5, 5)
    assert raw.headers["x-omnix-model"] == PARROT
    [entry] = await foreign.suite.usage_of(answer.id)
    assert (entry["provider"], entry["model"], entry["outcome"]) == ("acme", "parrot", "succeeded")
    assert (entry["input_tokens"], entry["output_tokens"], entry["cost_micros"]) == (5, 5, 60)
    assert float(raw.headers["x-omnix-cost"]) == pytest.approx(60e-6)


async def test_streamed_answer_is_whole_and_in_the_ledger_with_its_price(foreign: Foreign) -> None:
    stream = await sdk(foreign.suite).chat.completions.create(
        model=PARROT, messages=asking(QUESTION), stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == f"{QUESTION} "
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 5
    [entry] = await foreign.suite.usage_of(chunks[0].id)
    assert (entry["outcome"], entry["output_tokens"], entry["cost_micros"]) == ("succeeded", 5, 60)
    # What was published can be given again, by its numbers.
    again = await foreign.suite.resume(chunks[0].id)
    assert (again.text, again.done) == (f"{QUESTION} ", True)


async def test_model_without_a_price_is_metered_and_marked(foreign: Foreign) -> None:
    for streamed in (False, True):
        if streamed:
            stream = await foreign.suite.stream(QUESTION, model=UNPRICED)
            assert stream.text == f"{QUESTION} "
            completion_id = stream.events[0]["id"]
        else:
            completion_id = (await foreign.suite.chat(QUESTION, model=UNPRICED)).json()["id"]
        [entry] = await foreign.suite.usage_of(completion_id)
        assert (entry["output_tokens"], entry["cost_micros"]) == (5, None)


async def test_what_it_cannot_honour_is_refused_by_its_name(foreign: Foreign) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await sdk(foreign.suite).chat.completions.create(
            model=UNPRICED, messages=asking("x"), response_format={"type": "json_object"}
        )
    assert (refused.value.code, refused.value.param) == ("unsupported_parameter", "response_format")
    said: dict[str, Any] = {"temperature": 0.5, "max_completion_tokens": 5, "n": 2, "no_such_parameter": 1}
    for name, value in said.items():
        answer = await foreign.suite.chat("x", model=UNPRICED, **{name: value})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, name)
    with pytest.raises(openai.NotFoundError) as unknown:
        await sdk(foreign.suite).chat.completions.create(model="acme/cockatoo", messages=asking("x"))
    assert unknown.value.code == "model_not_found"


async def test_stream_is_seen_and_cancelled_by_its_id(foreign: Foreign) -> None:
    suite = foreign.suite
    async with foreign.slowly(0.05), suite.open_stream("word " * 2000, model=PARROT) as reader:
        await reader.read(until=lambda seen: len(seen.ids) > 3)
        listed = (await suite.http.get(f"{suite.url}/v1/streams", headers=suite.headers)).json()["data"]
        assert [each["id"] for each in listed] == [reader.id]
        gone = await suite.http.delete(f"{suite.url}/v1/streams/{reader.id}", headers=suite.headers)
        assert gone.status_code in (200, 202, 204), gone.text
        async with asyncio.timeout(10):
            seen = await reader.read()
        assert ([error["code"] for error in seen.errors], seen.finish_reasons) == (["cancelled"], [])
        [entry] = await suite.usage_of(reader.id)
        assert (entry["outcome"], entry["estimated"]) == ("cancelled", True)
        assert 0 < entry["output_tokens"] < 2000


async def test_it_dies_and_calls_fail_clearly_until_it_is_back(foreign: Foreign) -> None:
    suite = foreign.suite
    await foreign.end(signal.SIGKILL)
    with pytest.raises(openai.InternalServerError) as away:
        await sdk(suite).chat.completions.create(model=PARROT, messages=asking(QUESTION))
    assert (away.value.status_code, away.value.code) == (503, "unavailable")
    assert "retry-after" in away.value.response.headers
    stream = await suite.stream(QUESTION, model=PARROT)
    assert (stream.status, stream.errors[0]["code"]) == (503, "unavailable")
    health = await foreign.health()
    assert (health["state"], foreign.address in str(health["why"])) == ("down", True)
    fallback = await suite.chat(QUESTION, model=PARROT, models=[PARROT, "gpt-4o"])
    assert (fallback.status_code, fallback.headers["x-omnix-model"]) == (200, "openai/gpt-4o")

    foreign.start()
    await foreign.serving()
    answer = await sdk(suite).chat.completions.create(model=PARROT, messages=asking(QUESTION))
    assert answer.choices[0].message.content == f"{QUESTION} "
    assert (await suite.stream(QUESTION, model=PARROT)).text == f"{QUESTION} "


async def test_it_dies_in_mid_stream_and_the_reader_is_told(foreign: Foreign) -> None:
    suite = foreign.suite
    async with foreign.slowly(0.05), suite.open_stream("word " * 2000, model=PARROT) as reader:
        await reader.read(until=lambda seen: len(seen.ids) > 3)
        await foreign.end(signal.SIGKILL)
        async with asyncio.timeout(30):
            seen = await reader.read()
        assert (len(seen.errors), seen.finish_reasons) == (1, [])
        assert ("word " * 2000).startswith(seen.text)


async def test_another_one_of_it_goes_on_where_it_died(foreign: Foreign) -> None:
    suite = foreign.suite
    other = Foreign(suite, foreign.log)
    words = "".join(f"{number} " for number in range(60))
    async with foreign.slowly(0.05), suite.open_stream(words, model=PARROT) as reader:
        await reader.read(until=lambda seen: len(seen.ids) > 3)
        other.start()
        try:
            await eventually(lambda: suite_hears(suite, 2))
            await foreign.end(signal.SIGKILL)
            async with asyncio.timeout(40):
                seen = await reader.read()
        finally:
            await other.end(signal.SIGTERM)
    assert (seen.errors, seen.finish_reasons, seen.text) == ([], ["stop"], words)


async def test_what_it_would_say_otherwise_is_not_joined_to_what_another_target_began(foreign: Foreign) -> None:
    question = "[[fault=cut-after-5]] one two three four five six seven eight"
    stream = await foreign.suite.stream(question, model="gpt-4o", models=["gpt-4o", PARROT])
    assert (len(stream.errors), stream.finish_reasons) == (1, [])


async def test_it_says_that_it_stops_and_is_away_at_once(foreign: Foreign) -> None:
    suite = foreign.suite
    assert await foreign.end(signal.SIGTERM) == 0
    answer = await suite.chat(QUESTION, model=PARROT)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    health = await foreign.health()
    assert (health["state"], str(health["why"]).endswith(" left")) == ("down", True)
    assert os.path.getsize(foreign.log) == 0, foreign.log.read_text()
    foreign.start()
    await foreign.serving()
