"""What OpenAI documents to answer; each sample says where and when it was read."""

from pathlib import Path
from typing import Any

import msgspec
from omnix_provider.chatcompletions.answer import completion_from_wire
from omnix_provider.chatcompletions.events import EventReader
from omnix_provider.types import FinishReason, Text, ToolCall, Usage

SAMPLES: dict[str, dict[str, Any]] = {
    sample["what"]: sample
    for sample in map(msgspec.json.decode, Path(__file__).with_name("data").joinpath("samples.jsonl").open("rb"))
}


def answer(what: str) -> bytes:
    return msgspec.json.encode(SAMPLES[what]["answer"])


def test_documented_answer_is_read() -> None:
    completion = completion_from_wire(answer("chat, Default"))
    [choice] = completion.choices
    assert choice.message.parts == (Text("Hello! How can I assist you today?"),)
    assert choice.finish_reason is FinishReason.STOP
    assert completion.usage == Usage(19, 10)
    assert (completion.vendor_id, completion.vendor_model) == ("chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT", "gpt-5.4")


def test_documented_call_of_a_function_is_read() -> None:
    [choice] = completion_from_wire(answer("chat, Functions")).choices
    assert choice.finish_reason is FinishReason.TOOL_CALLS
    assert choice.message.tool_calls == (
        ToolCall("call_abc123", "get_current_weather", '{\n"location": "Boston, MA"\n}'),
    )


def test_documented_probabilities_spell_the_text() -> None:
    [choice] = completion_from_wire(answer("chat, Logprobs")).choices
    assert "".join(token.token for token in choice.logprobs) == "Hello! How can I assist you today?"
    assert all(token.token_bytes == token.token.encode() for token in choice.logprobs)
    assert all(token.top[0].logprob >= token.top[1].logprob for token in choice.logprobs)


def test_documented_stream_is_read() -> None:
    events = [msgspec.json.encode(event) for event in SAMPLES["chat, Streaming"]["events"]]
    batch, failure = EventReader().batch([*events, b"[DONE]"])
    assert failure is None
    assert batch.done
    assert batch.head is not None
    assert (batch.head.vendor_model, batch.head.system_fingerprint) == ("gpt-4o-mini", "fp_44709d6fcb")
    assert [(chunk.text, chunk.finish_reason) for chunk in batch.chunks] == [
        ("Hello", None),
        ("", FinishReason.STOP),
    ]
