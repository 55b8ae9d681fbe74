"""Spans: where they belong, which are recorded, and that they are nothing where nothing is exported."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from omnix_kit import telemetry
from omnix_kit.errors import PlatformError, Reason
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

CALLER = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


class Exported:
    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.url = ""

    def named(self, name: str) -> Span:
        [found] = [span for span in self.spans if span.name == name]
        return found


@pytest.fixture
def exported() -> Iterator[Exported]:
    """A collector; it has everything when ``exporting`` was left."""
    found = Exported()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                found.spans += [span for scope in resource.scope_spans for span in scope.spans]
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def in_the_callers_trace() -> None:
    telemetry.adopt(CALLER)


def test_a_span_is_nothing_where_nothing_is_exported() -> None:
    here = telemetry.current_trace()
    with telemetry.Span("one", {"a": 1}) as span:
        span.tell({"b": 2})
        assert not span.is_recorded
        assert span.trace is None
        assert telemetry.current_trace() is here


def test_spans_are_in_the_callers_trace_each_in_the_one_around_it(exported: Exported) -> None:
    with telemetry.exporting("test", exported.url, 0.0):
        with telemetry.Span("outer", kind=telemetry.Kind.SERVER) as outer, telemetry.Span("inner", links=[outer.trace]):
            pass
        assert telemetry.current_trace() == telemetry.read(CALLER)
    outside, inside = exported.named("outer"), exported.named("inner")
    assert outside.trace_id.hex() == inside.trace_id.hex() == "a" * 32
    assert outside.parent_span_id.hex() == "b" * 16
    assert inside.parent_span_id == outside.span_id
    assert [link.span_id for link in inside.links] == [outside.span_id]
    assert outside.kind == Span.SPAN_KIND_SERVER


def test_a_trace_that_begins_here_has_the_id_of_the_logs_and_no_parent(exported: Exported) -> None:
    with telemetry.exporting("test", exported.url, 1.0):
        begun = telemetry.adopt(None)
        with telemetry.Span("first"):
            pass
    first = exported.named("first")
    assert first.trace_id.hex() == begun.trace_id
    assert first.parent_span_id == b""


def test_the_ratio_decides_on_traces_that_begin_here(exported: Exported) -> None:
    with telemetry.exporting("test", exported.url, 0.0):
        begun = telemetry.adopt(None)
        with telemetry.Span("first") as span:
            told = telemetry.current_trace()
            assert told is not None
            assert told.trace_id == begun.trace_id
            assert not telemetry.is_sampled(told.traceparent), "others must not record it either"
            assert not span.is_recorded
    assert exported.spans == []


def test_nothing_is_made_in_a_trace_that_its_caller_does_not_record(exported: Exported) -> None:
    with telemetry.exporting("test", exported.url, 1.0):
        silent = telemetry.adopt(CALLER[:-2] + "00")
        with telemetry.Span("one") as span:
            assert not span.is_recorded
            assert telemetry.current_trace() is silent
    assert exported.spans == []


def test_an_error_is_told_by_its_reason_and_never_by_its_words(exported: Exported) -> None:
    with telemetry.exporting("test", exported.url, 1.0):
        with pytest.raises(PlatformError), telemetry.Span("refused"):
            raise PlatformError("the prompt was: marzipan", reason=Reason.UNAVAILABLE)
        with pytest.raises(ZeroDivisionError), telemetry.Span("defect"):
            raise ZeroDivisionError("marzipan")
    for name, error_type in (("refused", "UNAVAILABLE"), ("defect", "ZeroDivisionError")):
        span = exported.named(name)
        assert {pair.key: pair.value.string_value for pair in span.attributes} == {"error.type": error_type}
        assert span.status.code == Status.STATUS_CODE_ERROR
        assert "marzipan" not in str(span)


def test_a_collector_that_is_away_keeps_nobody_from_leaving(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "_LAST_WITHIN", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        with telemetry.exporting("test", f"http://127.0.0.1:{deaf.getsockname()[1]}", 1.0), telemetry.Span("lost"):
            pass
        assert "last-spans" in {thread.name for thread in threading.enumerate()}, "it goes on trying, unwaited for"
        connection, _ = deaf.accept()
        with connection:
            assert connection.recv(1)


def test_content_is_captured_only_when_asked_for(exported: Exported) -> None:
    assert not telemetry.captures_content()
    with telemetry.exporting("test", exported.url, 1.0):
        assert not telemetry.captures_content()
    with telemetry.exporting("test", exported.url, 1.0, content=True):
        assert telemetry.captures_content()
    assert not telemetry.captures_content()
