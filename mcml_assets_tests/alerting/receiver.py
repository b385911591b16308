"""A receiver of alerts on loopback, which keeps what it gets and answers as it is told."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from mcml_assets_tests.ports import free_ports


class Receiver:
    """What arrived, in order, and the status codes still to be answered; 200 when there are no more."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}/secret-path"
        self.got: list[dict[str, Any]] = []
        self.answers: list[int] = []


@contextmanager
def receiver() -> Iterator[Receiver]:
    (port,) = free_ports(1)
    state = Receiver(port)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            state.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(state.answers.pop(0) if state.answers else 200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Keep the terminal quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
