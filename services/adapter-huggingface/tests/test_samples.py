"""What Hugging Face's servers were recorded or documented to send; each sample says where and when it was read."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from omnix_adapter_huggingface.errors import refusal
from omnix_kit.errors import Reason
from omnix_provider.chatcompletions.answer import completion_from_wire
from omnix_provider.chatcompletions.events import EventReader
from omnix_provider.types import Batch, FinishReason, ToolCall, Usage

SAMPLES: list[dict[str, Any]] = [
    msgspec.json.decode(line) for line in Path(__file__).with_name("data").joinpath("samples.jsonl").open("rb")
]


def sample(what: str) -> dict[str, Any]:
    return next(each for each in SAMPLES if each["what"] == what)


def batch(what: str) -> Batch:
    read, failure = EventReader().batch([msgspec.json.encode(event) for event in sample(what)["events"]])
    assert failure is None
    return read


@pytest.mark.parametrize("told", [each for each in SAMPLES if "refusal" in each], ids=lambda each: each["what"])
def test_documented_refusal_gives_its_reason(told: dict[str, Any]) -> None:
    body = msgspec.json.encode(told["refusal"])
    found = refusal(told["status"], {}, body, "huggingface", "http://x", datetime.now(UTC))
    assert found.reason is Reason[told["reason"]]


def test_recorded_stream_of_text_is_whole() -> None:
    read = batch("text-generation-inference, streamed text with usage")
    assert "".join(chunk.text for chunk in read.chunks) == "OK!"
    assert read.chunks[-1].finish_reason is FinishReason.STOP
    assert read.usage == Usage(39, 3)


def test_recorded_stream_of_a_call_gives_its_id_once_and_its_arguments_whole() -> None:
    calls = [
        call
        for chunk in batch("text-generation-inference, streamed call of a tool").chunks
        for call in chunk.tool_calls
    ]
    assert "".join(call.id for call in calls) == "0"
    assert "".join(call.name for call in calls) == "get_current_weather"
    arguments = msgspec.json.decode("".join(call.arguments_json for call in calls))
    assert arguments == {"location": "Brooklyn, NY", "format": "fahrenheit"}


def test_recorded_call_ends_because_a_tool_is_wanted() -> None:
    answer = msgspec.json.encode(sample("text-generation-inference, call of a tool")["answer"])
    [choice] = completion_from_wire(answer).choices
    assert choice.finish_reason is FinishReason.TOOL_CALLS
    assert choice.message.tool_calls == (
        ToolCall("0", "get_current_weather", '{"location":"Brooklyn, NY","format":"fahrenheit"}'),
    )
