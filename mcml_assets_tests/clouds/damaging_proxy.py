"""A proxy on loopback that damages what it carries: what bad memory, a bad line or a bad middlebox does to a body.

Requests and their signatures pass unchanged; only bodies that are read are damaged, each object's first ones. The four
kinds come in turn, and an answer is well-formed after all of them but a cut: nothing in it tells that it is wrong.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from random import Random

KINDS = ("flipped bit", "too short", "too long", "cut off")
HOP_BY_HOP = ("connection", "keep-alive", "transfer-encoding", "content-length")


class Damage:
    """Where the proxy listens, and what it did: how often by kind, and to how many different objects.

    Bodies of paths that contain `within` are damaged, of each path the first `times`; 0 lets everything pass.
    """

    def __init__(self, url: str, within: str) -> None:
        self.url, self._within = url, within
        self.times = 1
        self.done: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._next = cycle(KINDS)
        self._random = Random(0)  # noqa: S311 - where a body is damaged is no secret

    def start_over(self, times: int) -> None:
        """Forget what was read, and damage the first `times` readings of each object from now on."""
        with self._lock:
            self.times = times
            self.done.clear()
            self.seen.clear()

    def apply(self, path: str, body: bytes) -> tuple[bytes, int]:
        """What is sent of a body, and the length that is claimed."""
        with self._lock:
            if self._within not in path or not body or self.seen[path] >= self.times:
                return body, len(body)
            self.seen[path] += 1
            kind = next(self._next)
            self.done[kind] += 1
            at = self._random.randrange(len(body))
        if kind == "flipped bit":
            body = body[:at] + bytes([body[at] ^ 1 << at % 8]) + body[at + 1 :]
        elif kind == "too short":
            body = body[:at]
        elif kind == "too long":
            body += body[: 1 + at % 100]
        else:
            return body[:at], len(body)
        return body, len(body)


@contextmanager
def damaging_proxy(port: int, upstream: str, within: str) -> Iterator[Damage]:
    """Run such a proxy on this port before the server at `upstream`, written `http://host:port`, until the block is left."""
    damage = Damage(f"http://127.0.0.1:{port}", within)
    address = upstream.removeprefix("http://")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            self.upstream = HTTPConnection(address, timeout=60)

        def finish(self) -> None:
            self.upstream.close()
            super().finish()

        def carry(self) -> None:
            sent = self.rfile.read(int(self.headers.get("content-length") or 0))
            answer = self.ask(sent)
            body = answer.read()
            self.send_response(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            readable = self.command == "GET" and answer.status in (200, 206)
            body, claimed = damage.apply(self.path, body) if readable else (body, len(body))
            if self.command == "HEAD":
                claimed = int(answer.getheader("content-length") or 0)
            self.send_header("content-length", str(claimed))
            self.end_headers()
            # A client that found out, or gave up, closes its end.
            with suppress(BrokenPipeError, ConnectionResetError):
                self.wfile.write(body)
            if self.command != "HEAD" and len(body) < claimed:
                self.close_connection = True

        def ask(self, sent: bytes) -> HTTPResponse:
            """The server's answer, on a new connection where it closed the one that was kept."""
            headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
            try:
                self.upstream.request(self.command, self.path, sent, headers)
                return self.upstream.getresponse()
            except (HTTPException, OSError):
                self.upstream.close()
                self.upstream.request(self.command, self.path, sent, headers)
                return self.upstream.getresponse()

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = carry

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it is called by
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield damage
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
