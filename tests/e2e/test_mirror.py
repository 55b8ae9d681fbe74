"""Shadow copies through the whole suite, as the caller, the vendors and the ledger see them."""

import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from omnix_kit.testing import eventually
from omnix_sandbox import script
from omnix_sandbox.record import Outcome
from support.suite import Suite, running_suite

pytestmark = [pytest.mark.suite, pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="module")]

REAL, MIRROR = "openai/gpt-4o", "global.anthropic.claude-haiku-5-5"
ROUTES = """
[routes.copied]
targets = ["openai/gpt-4o"]
mirror = { target = "bedrock/claude-haiku-5-5", share = 1 }

[routes."tried/*"]
targets = ["openai/gpt-4o"]
mirror = { target = "bedrock/*", share = 1 }
deadline = "5s"

[routes."held/*"]
targets = ["openai/gpt-4o"]
mirror = { target = "bedrock/*", share = 1 }

[routes.points]
targets = ["openai/text-embedding-3-small"]
mirror = { target = "gemini/gemini-embedding-001", share = 1 }
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def suite(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    folder = tmp_path_factory.mktemp("mirror")
    routes = folder / "routes.toml"
    routes.write_text(ROUTES)
    async with running_suite(folder / "suite", OMNIX_ROUTES_FILE=str(routes)) as found:
        await found.settled()
        yield found


async def both(suite: Suite, completion_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The ledger's entries of the answer and of the copy."""
    entries = await suite.usage_of(completion_id, 2)
    by_purpose = {entry["purpose"]: entry for entry in entries}
    assert by_purpose.keys() == {None, "shadow"}
    assert [entry["attempt"] for entry in entries] == [1, 1]
    return by_purpose[None], by_purpose["shadow"]


def silent_about_the_copy(told: object) -> bool:
    return not any(word in str(told).lower() for word in ("bedrock", "claude", "shadow"))


@pytest.mark.parametrize("streamed", [False, True])
async def test_caller_is_told_of_the_answer_alone_and_the_ledger_of_both(suite: Suite, streamed: bool) -> None:
    question = f"[[tokens=30]] copied elsewhere, streamed {streamed}"
    calls = len(suite.record())
    if streamed:
        stream = await suite.stream(question, model="copied", stream_options={"include_usage": True})
        assert (stream.done, stream.errors) == (True, [])
        text, headers, told = stream.text, stream.headers, [stream.events, stream.headers]
    else:
        answer = await suite.chat(question, model="copied")
        text, headers = answer.json()["choices"][0]["message"]["content"], answer.headers
        told = [answer.text, headers]
    assert (text, headers["x-omnix-model"]) == (script.answer(script.user(question)).text, REAL)
    assert silent_about_the_copy(told)
    real, copy = await both(suite, headers["x-omnix-completion-id"])
    assert (real["provider"], real["model"], real["streamed"]) == ("openai", "gpt-4o", streamed)
    assert (copy["provider"], copy["model"], copy["streamed"]) == ("bedrock", MIRROR, False)
    assert (copy["route"], copy["requested_model"], copy["key_id"]) == ("copied", "copied", real["key_id"])
    assert (copy["outcome"], copy["unpriced"]) == ("succeeded", False)
    assert copy["cost_micros"] > 0
    first, second = await suite.vendor_call(real["id"]), await suite.vendor_call(copy["id"])
    assert (first.vendor, first.stream, second.vendor, second.stream) == ("openai", streamed, "bedrock", False)
    assert (copy["input_tokens"], copy["output_tokens"]) == (second.input_tokens, second.output_tokens)
    assert len(suite.record()) == calls + 2


async def test_totals_and_filters_tell_copies_apart(suite: Suite) -> None:
    answer = await suite.chat("[[tokens=20]] added up", model="copied")
    completion_id = answer.headers["x-omnix-completion-id"]
    real, copy = await both(suite, completion_id)
    for purpose, entry in (("answer", real), ("shadow", copy)):
        query = {"completion_id": completion_id, "purpose": purpose}
        assert await suite.usage(**query) == [entry]
        summary = await suite.http.get(f"{suite.url}/v1/usage/summary", params=query, headers=suite.headers)
        [total] = summary.json()["data"]
        assert (total["model"], total["purpose"], total["attempts"]) == (entry["model"], entry["purpose"], 1)
        assert (total["cost_micros"], total["output_tokens"]) == (entry["cost_micros"], entry["output_tokens"])


async def test_embeddings_are_copied(suite: Suite) -> None:
    body = {"model": "points", "input": ["one", "two"]}
    answer = await suite.http.post(f"{suite.url}/v1/embeddings", json=body, headers=suite.headers)
    assert len(answer.json()["data"][0]["embedding"]) == 1536
    assert answer.headers["x-omnix-model"] == "openai/text-embedding-3-small"
    _, copy = await both(suite, answer.headers["x-omnix-completion-id"])
    assert (copy["operation"], copy["provider"], copy["outcome"]) == ("embeddings", "gemini", "succeeded")


async def test_copy_that_fails_is_made_once_and_not_seen(suite: Suite) -> None:
    stream = await suite.stream("[[tokens=20]] fails elsewhere", model="tried/sandbox-503")
    assert (stream.done, stream.errors) == (True, [])
    assert silent_about_the_copy([stream.events, stream.headers])
    _, copy = await both(suite, stream.headers["x-omnix-completion-id"])
    assert (copy["outcome"], copy["error"]["code"]) == ("failed", "provider_overloaded")
    assert len([call for call in suite.record() if call.model == "sandbox-503"]) == 1


async def test_copy_that_is_never_answered_delays_nobody_and_ends_at_its_deadline(suite: Suite) -> None:
    question = "[[tokens=20]] nothing comes from elsewhere"
    answer = await suite.chat(question, model="tried/sandbox-silence")
    completion_id = answer.headers["x-omnix-completion-id"]
    assert answer.json()["choices"][0]["message"]["content"] == script.answer(script.user(question)).text
    await eventually(lambda: any(call.model == "sandbox-silence" for call in suite.record()))
    [waiting] = [call for call in suite.record() if call.model == "sandbox-silence"]
    assert waiting.outcome is None
    _, copy = await both(suite, completion_id)
    assert copy["outcome"] in ("failed", "cancelled")
    assert (await suite.vendor_call(copy["id"])).outcome is Outcome.LEFT


async def test_router_that_is_stopped_ends_its_copies_and_each_is_recorded(suite: Suite) -> None:
    answer = await suite.chat("[[tokens=20]] stopped meanwhile", model="held/sandbox-tokens-9-silence")
    await eventually(lambda: any(call.model == "sandbox-tokens-9-silence" for call in suite.record()))
    router = suite.signal("router", signal.SIGTERM)
    _, copy = await both(suite, answer.headers["x-omnix-completion-id"])
    assert copy["outcome"] == "cancelled"
    assert (await suite.vendor_call(copy["id"])).outcome is Outcome.LEFT
    await suite.reborn("router", router)
    await suite.settled()


async def test_cancelling_the_stream_ends_its_copy(suite: Suite) -> None:
    async with suite.open_stream("[[tokens=400]] [[pace=5/s]] for long", model="copied") as reader:
        await reader.read(lambda seen: bool(seen.text))
        await eventually(lambda: sum(call.outcome is None for call in suite.record()) == 2)
        await suite.http.delete(f"{suite.url}/v1/streams/{reader.id}", headers=suite.headers)
        await reader.read()
    real, copy = await both(suite, reader.id)
    assert (real["outcome"], copy["outcome"]) == ("cancelled", "cancelled")
    for entry in (real, copy):
        assert (await suite.vendor_call(entry["id"])).outcome is Outcome.LEFT
