"""The plugin between an adapter and its readers: all are real processes, and the sandbox is the vendor."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from omnix.completion.v1 import completion_pb2 as pb
from omnix.plugin.v1 import plugin_pb2
from omnix.provider.v1 import provider_pb2
from omnix.provider.v1 import provider_service_pb2 as calls_pb
from omnix_kit import subjects
from omnix_kit.testing import eventually, nats_server
from omnix_provider.testing import GATEWAY, Place, Streamed, asking, attempt, scene
from omnix_sandbox.testing import running_sandbox

from .conftest import TOKEN, Plugin, running_plugin

pytestmark = pytest.mark.asyncio(loop_scope="module")

ECHO = "[[echo]] Ann is at ann@example.org, or at +49 170 1234567."


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder: Path = tmp_path_factory.mktemp("adapter")
    with nats_server(folder / "nats") as nats:
        async with running_sandbox(folder / "sandbox", fsync=False, keep_requests=True) as sandbox:
            environment = {"OMNIX_SANDBOX_URL": sandbox.url, "OMNIX_GRPC_TOKEN": TOKEN}
            async with scene("omnix_adapter_openai", nats, folder / "data", environment) as made:
                yield made


def ordered(plugin: Plugin, on_failure: "plugin_pb2.OnFailure.ValueType") -> plugin_pb2.Plugin:
    made = plugin_pb2.Plugin(
        name="redact", address=plugin.address, hooks=[plugin_pb2.HOOK_ANSWER], on_failure=on_failure
    )
    made.timeout.FromTimedelta(timedelta(seconds=2))
    return made


async def start(
    place: Place, made: provider_pb2.Attempt, request: pb.CompletionRequest, plugin: plugin_pb2.Plugin
) -> Streamed:
    streamed = place.readers.streams[made.completion_id] = Streamed(made)
    asked = calls_pb.StartCompletionRequest(
        request=request,
        attempt=made,
        chunk_subject=subjects.chunks(GATEWAY, made.completion_id),
        plugins=[plugin],
    )
    call = place.adapter.stub.StartCompletion(asked, timeout=10, metadata=[("authorization", f"Bearer {TOKEN}")])
    await call
    return streamed


@pytest.mark.parametrize("pace", ["[[burst]]", "[[pace=200/s]]"])
async def test_reader_gets_what_the_vendor_never_saw(plugin: Plugin, place: Place, pace: str) -> None:
    made = attempt()
    redacted = (await plugin.request(made.completion_id, asking(f"{pace} {ECHO}"))).request
    assert "[EMAIL_1], or at [PHONE_1]" in redacted.messages[0].parts[0].text
    streamed = await start(place, made, redacted, ordered(plugin, plugin_pb2.ON_FAILURE_CLOSED))
    await eventually(streamed.whole)
    assert streamed.text.strip() == "Ann is at ann@example.org, or at +49 170 1234567."
    assert streamed.end is not None
    assert not streamed.end.HasField("error")


async def test_killed_in_the_middle_ends_the_answer_or_leaves_it_as_it_is(place: Place) -> None:
    for policy in (plugin_pb2.ON_FAILURE_CLOSED, plugin_pb2.ON_FAILURE_OPEN):
        async with running_plugin() as plugin:
            made = attempt()
            asked = asking(f"[[pace=40/s]] {ECHO} " + "word " * 40 + "ann@example.org")
            redacted = (await plugin.request(made.completion_id, asked)).request
            streamed = await start(place, made, redacted, ordered(plugin, policy))
            await eventually(lambda at=streamed: "ann@example.org" in at.text)  # type: ignore[misc]
            plugin.process.kill()
            await plugin.process.wait()
            await eventually(streamed.whole)
        assert streamed.end is not None
        assert streamed.end.HasField("error") == (policy == plugin_pb2.ON_FAILURE_CLOSED)
        if policy == plugin_pb2.ON_FAILURE_OPEN:
            assert streamed.text.endswith("word [EMAIL_1]")
            assert streamed.text.count("word") == 40
        else:
            assert "[EMAIL_1]" not in streamed.text
            assert streamed.end.error.param == "plugins.redact"


async def test_many_answers_at_once(plugin: Plugin, place: Place) -> None:
    async def one(number: int) -> None:
        made = attempt()
        asked = asking(f"[[echo]] I am user{number}@example.org")
        redacted = (await plugin.request(made.completion_id, asked)).request
        streamed = await start(place, made, redacted, ordered(plugin, plugin_pb2.ON_FAILURE_CLOSED))
        await eventually(streamed.whole, 20)
        assert streamed.text.strip() == f"I am user{number}@example.org"

    await asyncio.gather(*map(one, range(50)))


async def test_what_the_plugin_forgot_is_not_told(plugin: Plugin, place: Place) -> None:
    made = attempt()
    with pytest.raises(Exception) as caught:  # noqa: PT011 - grpc's own, with our details
        await start(place, made, asking("Say [EMAIL_1]"), ordered(plugin, plugin_pb2.ON_FAILURE_CLOSED))
    assert "The plugin redact failed" in str(caught.value)
    assert made.completion_id not in place.readers.begun
