"""What a span tells of a vendor's call."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from omnix_kit import telemetry
from omnix_kit.caller import Caller
from omnix_provider import tracing
from omnix_provider.types import (
    Attempt,
    Batch,
    Choice,
    Chunk,
    Completion,
    CompletionRequest,
    EmbeddingRequest,
    Embeddings,
    FinishReason,
    Head,
    Image,
    Message,
    Role,
    Text,
    ToolCall,
    Usage,
)
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

ATTEMPT = Attempt("a" * 32, "c" * 32, 2, Caller("tenant", "", "", "key"), "bedrock", "claude")


class Vendor:
    name = "bedrock"
    kind = "bedrock"
    sandbox = False
    base_url = "https://bedrock.example:8443/path"


VENDOR: Any = Vendor()


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry, "_tracer", provider.get_tracer("test"))
    telemetry.adopt("00-" + "a" * 32 + "-" + "b" * 16 + "-01")
    yield exporter
    provider.shutdown()


@pytest.fixture
def content(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "_content", True)


def asked(*messages: Message) -> CompletionRequest:
    return CompletionRequest("m", messages or (Message(Role.USER, (Text("marzipan"),)),))


def call(request: CompletionRequest | EmbeddingRequest, *, streamed: bool = False) -> tracing.VendorCall:
    begun = tracing.vendor_call(VENDOR, request, ATTEMPT, streamed=streamed)
    assert begun is not None
    return begun


def told(exporter: InMemorySpanExporter) -> tuple[ReadableSpan, dict[str, Any]]:
    [span] = exporter.get_finished_spans()
    return span, dict(span.attributes or {})


def test_nothing_is_told_where_nothing_is_exported() -> None:
    assert tracing.vendor_call(VENDOR, asked(), ATTEMPT, streamed=True) is None


def test_a_stream_is_told_with_its_end(exporter: InMemorySpanExporter) -> None:
    traced = call(asked(), streamed=True)
    traced.take(Batch([Chunk("said")], Head(vendor_model="claude-1")))
    traced.take(Batch([Chunk(finish_reason=FinishReason.TOOL_CALLS)]))
    usage = Usage(10, 5, cached_input_tokens=4, reasoning_tokens=3)
    traced.ended(usage, 17, 250_000, None)
    span, attributes = told(exporter)
    assert span.name == "chat claude"
    assert attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "aws.bedrock",
        "gen_ai.request.model": "claude",
        "gen_ai.request.stream": True,
        "server.address": "bedrock.example",
        "server.port": 8443,
        "gen_ai.response.model": "claude-1",
        "gen_ai.response.finish_reasons": ("tool_calls",),
        "gen_ai.response.time_to_first_chunk": 0.25,
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.reasoning.output_tokens": 3,
        "omnix.usage.estimated": False,
        "omnix.cost_micros": 17,
        "omnix.provider": "bedrock",
        "omnix.completion_id": "c" * 32,
        "omnix.attempt_id": "a" * 32,
        "omnix.attempt": 2,
        "omnix.sandbox": False,
    }


def test_embeddings_are_an_operation_of_their_own(exporter: InMemorySpanExporter) -> None:
    call(EmbeddingRequest("m", ("marzipan",), dimensions=256)).answered(Embeddings((b"",)), Usage(3), None)
    span, attributes = told(exporter)
    assert span.name == "embeddings claude"
    assert attributes["gen_ai.operation.name"] == "embeddings"
    assert attributes["gen_ai.embeddings.dimension.count"] == 256
    assert "marzipan" not in str(attributes)


def test_a_failure_is_told_by_its_reason(exporter: InMemorySpanExporter) -> None:
    call(asked()).failed("PROVIDER_OVERLOADED")
    span, attributes = told(exporter)
    assert attributes["error.type"] == "PROVIDER_OVERLOADED"
    assert not span.status.is_ok


def test_content_is_told_in_the_conventions_form(exporter: InMemorySpanExporter, content: None) -> None:
    request = asked(
        Message(Role.USER, (Text("Look"), Image(data=b"secret", media_type="image/png"))),
        Message(Role.ASSISTANT, tool_calls=(ToolCall("1", "look", "{}"),)),
        Message(Role.TOOL, (Text("a cat"),), tool_call_id="1"),
    )
    answer = Completion((Choice(0, Message(Role.ASSISTANT, (Text("Grüezi \ud83d"),)), FinishReason.STOP),))
    call(request).answered(answer, Usage(), None)
    _, attributes = told(exporter)
    assert json.loads(attributes["gen_ai.input.messages"]) == [
        {
            "role": "user",
            "parts": [{"type": "text", "content": "Look"}, {"type": "image", "mime_type": "image/png"}],
        },
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "1", "name": "look", "arguments": "{}"}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "1", "response": "a cat"}]},
    ]
    assert json.loads(attributes["gen_ai.output.messages"]) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "Grüezi ?"}], "finish_reason": "stop"}
    ]


def test_content_is_bounded_and_the_newest_of_what_was_asked(exporter: InMemorySpanExporter, content: None) -> None:
    long = [Message(Role.USER, (Text(f"{number} " + "x" * 30_000),)) for number in range(4)]
    traced = call(asked(*long), streamed=True)
    for _ in range(100):
        traced.take(Batch([Chunk("y" * 1000)]))
    traced.ended(Usage(), None, 1, None)
    _, attributes = told(exporter)
    kept = json.loads(attributes["gen_ai.input.messages"])
    assert [message["parts"][0]["content"][0] for message in kept] == ["2", "3"]
    assert len(attributes["gen_ai.output.messages"]) < 70_000
