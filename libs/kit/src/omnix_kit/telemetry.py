"""Traces: W3C context always travels, spans are recorded only where a collector is configured.

OpenTelemetry's own gRPC interceptors cost more than the calls they watch, so ours carry the context and nothing else,
and the SDK is imported only when there is somewhere to export to. A span tells an error by its kind and never by its
words, which may quote what was asked or answered.
"""

import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span as Recorded
    from opentelemetry.trace import SpanContext, Tracer

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")

_LAST_WITHIN = 3.0
"""Seconds at the end of the process, for what was not exported yet."""

TRACEPARENTS = "omnix-traceparents"
"""Header of a message of several traces: their places, with commas between."""

Attribute = str | int | float | bool | Sequence[str]
Attributes = Mapping[str, Attribute]


class Kind(Enum):
    """What a span is to the one at its other side; the values are OpenTelemetry's."""

    INTERNAL = 0
    SERVER = 1
    CLIENT = 2
    CONSUMER = 4


@dataclass(frozen=True, slots=True)
class Trace:
    """The place in a trace: https://www.w3.org/TR/trace-context/."""

    trace_id: str
    span_id: str
    flags: str = "01"
    begun: bool = field(default=False, compare=False)
    """It begins here, so that its first span has no parent and is recorded or not by this process's ratio."""

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)
_tracer: "Tracer | None" = None
_content = False


def current_trace() -> Trace | None:
    return _current.get()


def recording() -> bool:
    """Whether spans go anywhere; asked on hot paths before one is made."""
    return _tracer is not None


def captures_content() -> bool:
    """Whether spans may tell what was asked and answered."""
    return _content


def read(traceparent: str | None) -> Trace | None:
    """None when there is none, or it cannot be read."""
    found = _TRACEPARENT.fullmatch(traceparent or "")
    if found is None or found[1] == "0" * 32 or found[2] == "0" * 16:
        return None
    return Trace(found[1], found[2], found[3])


def is_sampled(traceparent: str) -> bool:
    """Whether the place is in a trace that is recorded."""
    return int(traceparent[-1], 16) % 2 == 1


def adopt(traceparent: str | None) -> Trace:
    """Go on in the caller's trace, or begin one when there is none or it cannot be read."""
    trace = read(traceparent) or Trace(os.urandom(16).hex(), os.urandom(8).hex(), begun=True)
    _current.set(trace)
    return trace


class Span:
    """What happens between entering and leaving, or ``begin`` and ``end``; it does nothing where nothing is exported.

    Meanwhile it is where the trace is: spans that are made, calls and messages belong to it. ``trace`` is its place, to
    be linked to; None where nothing is exported, or its caller records nothing.
    """

    __slots__ = ("_arguments", "_failed", "_recorded", "_token", "trace")

    def __init__(
        self,
        name: str,
        attributes: Attributes | None = None,
        *,
        kind: Kind = Kind.INTERNAL,
        parent: Trace | None = None,
        links: Sequence[Trace | None] = (),
        start_ns: int | None = None,
    ) -> None:
        """:param parent: None for the current place.
        :param links: other places that this has to do with; None among them is left out.
        :param start_ns: since 1970; None for when it is begun.
        """
        self._arguments = (name, attributes, kind, parent, links, start_ns)
        self._recorded: Recorded | None = None
        self._token: Token[Trace | None] | None = None
        self._failed = False
        self.trace: Trace | None = None

    @property
    def is_recorded(self) -> bool:
        """What is told goes somewhere: it is exported, and its trace belongs to the share that is."""
        return self._recorded is not None and self._recorded.is_recording()

    def begin(self) -> "Span":
        if _tracer is None:
            return self
        name, attributes, kind, parent, links, start_ns = self._arguments
        parent = parent or _current.get()
        if parent is not None and not parent.begun and not is_sampled(parent.traceparent):
            return self
        from opentelemetry import trace as api

        context = api.set_span_in_context(api.INVALID_SPAN)
        if parent is not None and not parent.begun:
            context = api.set_span_in_context(api.NonRecordingSpan(_context_of(parent)))
        self._recorded = _tracer.start_span(
            name,
            context,
            api.SpanKind(kind.value),
            attributes,
            [api.Link(_context_of(link)) for link in links if link is not None],
            start_ns,
            record_exception=False,
            set_status_on_exception=False,
        )
        here = self._recorded.get_span_context()
        self.trace = Trace(f"{here.trace_id:032x}", f"{here.span_id:016x}", f"{int(here.trace_flags):02x}")
        self._token = _current.set(self.trace)
        return self

    def rename(self, name: str) -> None:
        if self._recorded is not None:
            self._recorded.update_name(name)

    def tell(self, attributes: Attributes) -> None:
        if self._recorded is not None:
            self._recorded.set_attributes(attributes)

    def failed(self, error_type: str) -> None:
        """:param error_type: one of few: a reason, a status, the name of a class."""
        self._failed = True
        if self._recorded is not None:
            from opentelemetry.trace import StatusCode

            self._recorded.set_attribute("error.type", error_type)
            self._recorded.set_status(StatusCode.ERROR)

    def end(self) -> None:
        """Said again, it does nothing."""
        if self._token is not None:
            _current.reset(self._token)
            self._token = None
        if self._recorded is not None:
            self._recorded.end()
            self._recorded = None

    def __enter__(self) -> "Span":
        return self.begin()

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None and not self._failed:
            reason = getattr(exc, "reason", None)
            self.failed(str(reason.value) if isinstance(reason, Enum) else kind.__name__)
        self.end()


def _context_of(trace: Trace) -> "SpanContext":
    from opentelemetry import trace as api

    return api.SpanContext(
        int(trace.trace_id, 16),
        int(trace.span_id, 16),
        is_remote=True,
        trace_flags=api.TraceFlags(int(trace.flags, 16)),
    )


@contextmanager
def exporting(service: str, endpoint: str | None, ratio: float, *, content: bool = False) -> Iterator[None]:
    """Export spans to ``{endpoint}/v1/traces`` while inside; without an endpoint, do nothing.

    :param content: whether they may tell what was asked and answered.
    """
    global _tracer, _content
    if endpoint is None:
        yield
        return
    provider = _provider(service, endpoint, ratio)
    _tracer, _content = provider.get_tracer("omnix"), content
    try:
        yield
    finally:
        _tracer, _content = None, False
        # A collector that is away shall not keep the process from ending.
        last = threading.Thread(target=provider.shutdown, name="last-spans", daemon=True)
        last.start()
        last.join(_LAST_WITHIN)


def _provider(service: str, endpoint: str, ratio: float) -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    class Adopted(RandomIdGenerator):
        """A trace that begins here has the id by which logs tell it already."""

        def generate_trace_id(self) -> int:
            trace = _current.get()
            return super().generate_trace_id() if trace is None else int(trace.trace_id, 16)

    provider = TracerProvider(
        resource=Resource.create({"service.name": f"omnix-{service}"}),
        sampler=ParentBased(TraceIdRatioBased(ratio)),
        id_generator=Adopted(),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=5)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider
