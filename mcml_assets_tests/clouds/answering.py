"""A service on loopback that gives every request one answer: how the providers' refusals reach their real clients.

No emulator slows down, loses its clock or moves a bucket; the answers are those that the providers document.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from mcml_assets.domain.topology import StoreKind


@dataclass
class Service:
    """The service's address, its answer with further `headers`, and what it was asked: method, path, headers, body.

    The answer's body is `document`, and without one an error of `code`.
    """

    kind: StoreKind
    url: str = ""
    status: int = 200
    code: str = ""
    delay: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    document: bytes | None = None
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    def body(self) -> bytes:
        """The error document of the service's kind; it repeats the request's signature, as S3's does."""
        asked = self.requests[-1][2].get("authorization", "") if self.requests else ""
        if self.kind == "gcs":
            error = {"code": self.status, "message": asked, "errors": [{"reason": self.code, "message": asked}]}
            return json.dumps({"error": error}).encode()
        return f"<?xml version='1.0'?><Error><Code>{self.code}</Code><Message>{asked}</Message></Error>".encode()


@contextmanager
def answering(kind: StoreKind, port: int) -> Iterator[Service]:
    """Run such a service on this port of loopback until the block is left."""
    service = Service(kind, f"http://127.0.0.1:{port}")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            service.requests.append((self.command, self.path, headers, self.rfile.read(length)))
            time.sleep(service.delay)
            body = service.body() if service.document is None else service.document
            self.send_response(service.status)
            self.send_header("content-length", str(len(body)))
            self.send_header("content-type", "application/json" if kind == "gcs" else "application/xml")
            self.send_header("etag", '"1"')
            for name, value in service.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it is called by
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
