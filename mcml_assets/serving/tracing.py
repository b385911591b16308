"""A model server's spans: the request, its feature lookup and its model. OpenTelemetry is imported only where it is on.

Spans wait in a bounded queue for a thread that sends them; what a collector does not take is dropped, and nobody waits.
Whoever asks somebody else within a request sends `onward` along, so that the trace goes on there.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, Protocol

from mcml_assets.serving.collector import Collector

SERVICE = "mcml-endpoint"
TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"
QUEUED_SPANS = 2048
SEND_SECONDS = 1.0  # for one batch; the sending thread alone waits


_ONWARD: ContextVar[Mapping[str, str]] = ContextVar("onward")


def onward() -> dict[str, str]:
    """The headers by which the trace of the present request goes on to who is asked next; none outside of one."""
    return dict(_ONWARD.get({}))


class Tracing(Protocol):
    """What may be noted of a request. `note` takes attributes that are known only at its end."""

    def request(self, name: str, headers: Mapping[str, str]) -> "AbstractContextManager[Note]":
        """A span for the request, within the trace that its headers name."""
        ...

    def step(self, name: str) -> AbstractContextManager[None]:
        """A span within the present one."""
        ...


class Note(Protocol):
    """Adds attributes to a span."""

    def __call__(self, attributes: Mapping[str, str | int]) -> None: ...


class Untraced:
    """Notes nothing; a caller's trace goes on as it came."""

    def request(self, name: str, headers: Mapping[str, str]) -> "AbstractContextManager[Note]":
        """No span: who is asked next belongs below the caller's."""
        known, _ = trace_of(headers)
        _ONWARD.set({key: headers[key] for key in (TRACEPARENT, TRACESTATE) if known is not None and key in headers})
        return nullcontext(_forget)

    def step(self, name: str) -> AbstractContextManager[None]:
        """Nothing."""
        return nullcontext()


class Traced:
    """Sends spans to a collector. `resource` says who answers: it is on every span."""

    def __init__(self, collector: Collector, resource: Mapping[str, str | int]) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - only where traces are on
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - the same
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - the same
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - the same
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased  # noqa: PLC0415 - the same
        from opentelemetry.trace import SpanKind  # noqa: PLC0415 - the same
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415 - the same

        # It says of every batch at length that the collector does not answer; that spans are missing is seen there.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._provider = TracerProvider(
            resource=Resource({"service.name": SERVICE, **resource}),
            sampler=ParentBased(TraceIdRatioBased(collector.share)),
        )
        exporter = OTLPSpanExporter(collector.traces, timeout=SEND_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=QUEUED_SPANS))
        self._tracer = self._provider.get_tracer("mcml_assets")
        self._server, self._propagator = SpanKind.SERVER, TraceContextTextMapPropagator()

    @contextmanager
    def request(self, name: str, headers: Mapping[str, str]) -> "Iterator[Note]":
        """A span, and within it those of its steps."""
        parent = self._propagator.extract(headers)
        # An exception's text may hold what a caller sent.
        with self._tracer.start_as_current_span(name, parent, self._server, record_exception=False) as span:

            def note(attributes: Mapping[str, Any]) -> None:
                span.set_attributes(dict(attributes))

            with self._going_on():
                yield note

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A span within the request's."""
        started = self._tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False)
        with started, self._going_on():
            yield

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        """Who is asked meanwhile belongs below the present span."""
        headers: dict[str, str] = {}
        self._propagator.inject(headers)
        before = _ONWARD.set(headers)
        try:
            yield
        finally:
            _ONWARD.reset(before)

    def close(self) -> None:
        """Send what waits, as far as the collector takes it at once."""
        self._provider.shutdown()


def trace_of(headers: Mapping[str, str]) -> tuple[str | None, bool]:
    """The trace id that a request carries (W3C Trace Context), and whether its trace is kept; no id for a wrong header."""
    parts = headers.get(TRACEPARENT, "").split("-")
    if len(parts) < 4 or [len(part) for part in parts[:4]] != [2, 32, 16, 2] or parts[1].strip("0") == "":
        return None, False
    try:
        int(parts[1], 16)
        return parts[1], bool(int(parts[3], 16) & 1)
    except ValueError:
        return None, False


def _forget(attributes: Mapping[str, Any]) -> None:
    """Nobody asks."""
