"""Traces: W3C context always travels, spans are recorded only where a collector is configured.

OpenTelemetry's own gRPC interceptors cost more than the calls they watch, so ours carry the context and nothing else,
and the SDK is imported only when there is somewhere to export to.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


@dataclass(frozen=True, slots=True)
class Trace:
    """The place in a trace: https://www.w3.org/TR/trace-context/."""

    trace_id: str
    span_id: str
    flags: str = "01"

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)
_tracer: "Tracer | None" = None


def current_trace() -> Trace | None:
    return _current.get()


def recording() -> bool:
    """Whether spans go anywhere; asked on hot paths before one is begun."""
    return _tracer is not None


def adopt(traceparent: str | None) -> Trace:
    """Go on in the caller's trace, or begin one when there is none or it cannot be read."""
    found = _TRACEPARENT.fullmatch(traceparent or "")
    if found and found[1] != "0" * 32 and found[2] != "0" * 16:
        trace = Trace(found[1], found[2], found[3])
    else:
        trace = Trace(os.urandom(16).hex(), os.urandom(8).hex())
    _current.set(trace)
    return trace


@contextmanager
def span(name: str, attributes: Mapping[str, str | int | float | bool] | None = None) -> Iterator[None]:
    """Record what happens inside as a span, when traces are exported; otherwise do nothing."""
    if _tracer is None:
        yield
        return
    from opentelemetry import trace as api

    parent = _current.get()
    context = None
    if parent is not None:
        remote = api.SpanContext(
            int(parent.trace_id, 16),
            int(parent.span_id, 16),
            is_remote=True,
            trace_flags=api.TraceFlags(int(parent.flags, 16)),
        )
        context = api.set_span_in_context(api.NonRecordingSpan(remote))
    with _tracer.start_as_current_span(name, context=context, attributes=dict(attributes or {})) as recorded:
        here = recorded.get_span_context()
        token = _current.set(Trace(f"{here.trace_id:032x}", f"{here.span_id:016x}", f"{int(here.trace_flags):02x}"))
        try:
            yield
        finally:
            _current.reset(token)


@contextmanager
def exporting(service: str, endpoint: str | None, ratio: float) -> Iterator[None]:
    """Export spans to ``{endpoint}/v1/traces`` while inside; without an endpoint, do nothing."""
    global _tracer  # noqa: PLW0603 - spans are begun in many places of one process
    if endpoint is None:
        yield
        return
    provider = _provider(service, endpoint, ratio)
    _tracer = provider.get_tracer("omnix")
    try:
        yield
    finally:
        _tracer = None
        provider.shutdown()


def _provider(service: str, endpoint: str, ratio: float) -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    provider = TracerProvider(
        resource=Resource.create({"service.name": f"omnix-{service}"}), sampler=ParentBased(TraceIdRatioBased(ratio))
    )
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=5)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider
