"""The adapter that WRITING.md shows is one: it runs as it stands there, and says where it is called."""

import re
from pathlib import Path

import pytest
from nats.aio.msg import Msg
from omnix.completion.v1 import completion_pb2 as pb
from omnix.provider.v1.heartbeat_pb2 import SenderHeartbeat
from omnix_kit import subjects
from omnix_kit.errors import OmnixError, Reason
from omnix_kit.testing import eventually, nats_server
from omnix_provider.testing import asking, attempt, scene

WRITING = (Path(__file__).parents[1] / "WRITING.md").read_text()
[ADAPTER] = re.findall(r"```python\n(.*?)```", WRITING, re.DOTALL)


async def test_adapter_of_the_page_answers_whole_and_streamed_and_is_metered(tmp_path: Path) -> None:
    (tmp_path / "echo.py").write_text(ADAPTER)
    with nats_server(tmp_path / "nats") as server:
        async with scene("echo", server, tmp_path / "data", {"PYTHONPATH": str(tmp_path)}) as place:
            made = attempt("parrot", "echo")
            response = await place.adapter.complete(made, asking("What is it?"))
            assert response.completion.choices[0].message.parts[0].text == "What is it? "
            assert (await place.readers.usage_of(made)).usage == pb.Usage(input_tokens=3, output_tokens=3)

            made = attempt("parrot", "echo")
            streamed = await place.stream(made, asking("What is it?"))
            assert (streamed.text, streamed.whole()) == ("What is it? ", True)
            assert (await place.readers.usage_of(made)).usage.output_tokens == 3

            with pytest.raises(OmnixError) as refused:
                await place.adapter.complete(
                    attempt("parrot", "echo"), asking(tools=[pb.Tool(name="get_weather", parameters_json="{}")])
                )
            assert (refused.value.reason, refused.value.param) == (Reason.UNSUPPORTED_PARAMETER, "tools")
            assert [(each.provider, each.model) for each in (await place.models()).models] == [("echo", "parrot")]

            beats: set[str] = set()

            async def on_beat(message: Msg) -> None:
                beats.add(SenderHeartbeat.FromString(message.data).address)

            await place.messaging.subscribe(subjects.SENDER_HEARTBEATS, on_beat)
            await eventually(lambda: beats == {place.adapter.address})
