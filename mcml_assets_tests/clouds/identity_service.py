"""The service on loopback that tells a pod or machine who it is, as AWS, Azure and Google each have one."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from mcml_assets_tests.ports import free_port_range


@contextmanager
def identity_service(answers: Mapping[str, object]) -> Iterator[str]:
    """Answer each path that begins as a key of `answers` with its JSON, every other with 404; gives host and port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = [answer for path, answer in answers.items() if self.path.startswith(path)]
            body = json.dumps(found[0]).encode() if found else b""
            self.send_response(200 if found else 404)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.send_header("metadata-flavor", "Google")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it is called by
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", free_port_range(1)), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
