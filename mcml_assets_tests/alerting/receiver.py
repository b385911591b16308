"""A receiver of alerts on loopback, which keeps what it gets and answers as it is told."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from mcml_assets_tests.ports import free_ports


class Hang(Enum):
    """How a receiver never comes to an end: it says nothing, or it goes on answering."""

    SILENT = "silent"
    ENDLESS = "endless"


class Receiver:
    """What arrived, in order, and the answers still to be given: a status code, or a hang; 200 when there are no more."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}/secret-path"
        self.got: list[dict[str, Any]] = []
        self.answers: list[int | Hang] = []
        self.released = Event()


@contextmanager
def receiver() -> Iterator[Receiver]:
    (port,) = free_ports(1)
    state = Receiver(port)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            state.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            answer = state.answers.pop(0) if state.answers else 200
            if answer is Hang.SILENT:
                state.released.wait(60)
                return
            self.send_response(200 if isinstance(answer, Hang) else answer)
            self.end_headers()
            if answer is Hang.ENDLESS:
                self.wfile.write(b"...")
                self.wfile.flush()
                state.released.wait(60)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Keep the terminal quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
