"""A collector on loopback that takes traces as OTLP over HTTP (protobuf), and keeps their spans for a test to look at."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

from mcml_assets_tests.ports import free_ports


@dataclass(frozen=True)
class Span:
    """One span as it arrived; ids in hexadecimal digits, an empty parent for none."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, str] = field(default_factory=dict)


class Collected:
    """What arrived until now."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self.spans: list[Span] = []
        self.held = 0
        self._released = Event()
        self._released.set()

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Meanwhile what is sent here is taken and never answered."""
        self._released.clear()
        try:
            yield
        finally:
            self._released.set()

    def hold(self) -> None:
        self.held += not self._released.is_set()
        self._released.wait()

    def trace(self, trace_id: str) -> list[Span]:
        return [span for span in list(self.spans) if span.trace == trace_id]


@contextmanager
def collector() -> Iterator[Collected]:
    """A collector that answers until the end."""
    (port,) = free_ports(1)
    collected = Collected(port)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def sized(self) -> bytes:
            return self.rfile.read(int(self.headers["content-length"]))

        def chunks(self) -> bytes:
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            body = self.chunks() if self.headers["content-length"] is None else self.sized()
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            collected.hold()
            collected.spans += spans_of(ExportTraceServiceRequest.FromString(body))
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """Who gave up while an export hung is gone: that is what hanging is for."""

    server = Server(("127.0.0.1", port), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield collected
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def spans_of(request: ExportTraceServiceRequest) -> Iterator[Span]:
    """The spans of one export."""
    for resource in request.resource_spans:
        named = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
        for scope in resource.scope_spans:
            for span in scope.spans:
                said = {attribute.key: attribute.value.string_value for attribute in span.attributes}
                yield Span(
                    named["service.name"], span.name, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(),
                    named | said,
                )  # fmt: skip
