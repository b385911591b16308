"""Platforms elsewhere on loopback, as far as they answer requests: a TLS ingress, and SageMaker's runtime.

Behind both are real model servers, started by what the platform stores of the manifest. Nothing here starts containers:
their controllers' reports are made as in `kserve_controller.py` and `sagemaker_api.py`.
"""

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from mcml_assets.serving.manifest import PACKAGE_MOUNT, SERVER_MODULE
from mcml_assets.serving.sagemaker.objects import ARGUMENTS, PACKAGE_FOLDER
from mcml_assets_tests.serving.edge.certificates import Issued


@contextmanager
def container(
    arguments: Sequence[str], package: Path, port: int, log: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """The model server of a pod's container: its arguments, with the package where the storage initializer puts it."""
    here = [str(package) if argument == PACKAGE_MOUNT else argument for argument in arguments]
    command = [sys.executable, "-m", SERVER_MODULE, *here, "--host", "127.0.0.1", "--port", str(port)]
    with _process(command, dict(environment), log) as process:
        yield process


@contextmanager
def sagemaker_container(environment: dict[str, str], package: Path, port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """SageMaker's container, by the word `serve` and the model's environment alone."""
    arguments = [str(package) if one == PACKAGE_FOLDER else one for one in json.loads(environment[ARGUMENTS])]
    arguments += ["--host", "127.0.0.1", "--port", str(port)]
    command = [sys.executable, "-m", "mcml_assets.serving.sagemaker.container", "serve"]
    with _process(command, {**environment, ARGUMENTS: json.dumps(arguments)}, log) as process:
        yield process


@contextmanager
def _process(command: list[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as file:
        process = subprocess.Popen(command, env={"PATH": os.defpath, **environment}, stdout=file, stderr=file)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def ingress(host: str, issued: Issued, port: int, behind: int) -> Iterator[list[str]]:
    """A cluster's ingress: TLS under the certificate of `host`, which alone it serves, by name and by Host header.

    Yields the names under which TLS was begun.
    """
    asked: list[str] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    context.sni_callback = lambda _, name, __: asked.append(name or "")

    class Ingress(_Handler):
        def answer(self, body: bytes) -> tuple[int, bytes]:
            if self.headers["host"] != host:
                return 404, b""
            return self.passed_on(f"http://127.0.0.1:{behind}{self.path}", body, self.kept("content-type", "traceparent"))

    with _served(Ingress, port, context):
        yield asked


@contextmanager
def runtime(
    port: int, control: str, behind: Sequence[int], key: str, secret: str, region: str
) -> Iterator[list[tuple[str, bytes]]]:
    """SageMaker: invocations are judged by their signature (SigV4) and sent to the container, all else is `control`'s (moto).

    Of the containers' ports `behind` the last one is the version that answers. Yields path and body of each invocation
    whose signature held.
    """
    invoked: list[tuple[str, bytes]] = []

    class Runtime(_Handler):
        def answer(self, body: bytes) -> tuple[int, bytes]:
            if not self.path.endswith("/invocations"):
                return self.passed_on(f"{control}{self.path}", body, dict(self.headers))
            if not self._is_signed(body):
                return 403, json.dumps({"message": "SignatureDoesNotMatch"}).encode()
            invoked.append((self.path, body))
            kept = self.kept("content-type", "x-amzn-sagemaker-custom-attributes")
            return self.passed_on(f"http://127.0.0.1:{behind[-1]}/invocations", body, kept)

        def _is_signed(self, body: bytes) -> bool:
            given: str = self.headers.get("authorization", "")
            pairs = (part.partition("=") for part in given.removeprefix("AWS4-HMAC-SHA256 ").split(", "))
            parts = {name: value for name, _, value in pairs}
            names = parts.get("SignedHeaders", "").split(";")
            request = AWSRequest(
                self.command,
                f"http://{self.headers['host']}{self.path}",
                data=body,
                headers={name: self.headers[name] for name in names if name in self.headers},
            )
            request.context["timestamp"] = self.headers.get("x-amz-date", "")
            judge = SigV4Auth(Credentials(key, secret), "sagemaker", region)
            right = judge.signature(judge.string_to_sign(request, judge.canonical_request(request)), request)
            return "host" in names and parts.get("Signature") == right

    with _served(Runtime, port):
        yield invoked


class _Handler(BaseHTTPRequestHandler):
    """Asks `answer` about every request."""

    protocol_version = "HTTP/1.1"

    def answer(self, body: bytes) -> tuple[int, bytes]:
        raise NotImplementedError

    def kept(self, *names: str) -> dict[str, str]:
        """Of the request's headers those that go on."""
        return {name: self.headers[name] for name in names if name in self.headers}

    def passed_on(self, url: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """What who is behind answers; 503 for nobody."""
        try:
            answer = httpx.request(self.command, url, content=body, headers=headers, trust_env=False, timeout=10)
        except httpx.TransportError:
            return 503, b""
        return answer.status_code, answer.content

    def do_POST(self) -> None:
        status, content = self.answer(self.rfile.read(int(self.headers.get("content-length", 0))))
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the server's own name
        """Nothing: the tests look at what is yielded."""


@contextmanager
def _served(handler: type[_Handler], port: int, context: ssl.SSLContext | None = None) -> Iterator[None]:
    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def get_request(self) -> tuple[socket.socket, Any]:
            connection, address = super().get_request()
            if context is None:
                return connection, address
            # The handshake belongs to the connection's own thread: a slow one holds up nobody.
            return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A caller that leaves is no error of the tests."""

    server = Server(("127.0.0.1", port), handler)
    thread = threading.Thread(target=server.serve_forever)
    with ExitStack() as stack:
        stack.callback(thread.join)
        stack.callback(server.server_close)
        stack.callback(server.shutdown)
        thread.start()
        yield
