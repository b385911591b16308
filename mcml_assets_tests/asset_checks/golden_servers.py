"""Servers that answer golden predictions for the locations of a test, over HTTP, each from the package it is told.

Placing and watching real model servers is tested in `serving/`; here a check asks, and a test says who answers what.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from pydantic import Field

from mcml_assets.domain.workload import Workload
from mcml_assets.resources.endpoints import Endpoints
from mcml_assets.serving.interfaces import EndpointState, EndpointStatus
from mcml_assets.serving.manifest import endpoint_name
from mcml_assets.serving.package import golden_inputs, load_model, read_package
from mcml_assets_tests.ports import free_ports

Spoil = Callable[[list[float]], list[float]]


@dataclass
class GoldenServers:
    """Who answers from which package (a folder with its digest), and what is wrong with the answers; nobody else answers."""

    port: int
    packages: dict[str, tuple[Path, str]] = field(default_factory=dict[str, tuple[Path, str]])
    spoilt: dict[str, Spoil] = field(default_factory=dict[str, Spoil])

    def address(self, location: str) -> str:
        return f"http://127.0.0.1:{self.port}/{location}"

    def answer(self, location: str) -> bytes:
        folder, digest = self.packages[location]
        predictions = self.spoilt.get(location, list)(list(_predictions(folder)))
        version = read_package(folder).description.version
        return json.dumps({"digest": digest, "model_version": version, "predictions": predictions}).encode()


class AskedEndpoints(Endpoints):
    """The endpoints of a test: ready where a server of it answers, cold elsewhere.

    Where the file `waiting` of the home names a location, its server is the former version's, and a rollout waits.
    """

    port: int = Field(description="Where the servers of all locations answer.")
    cold: list[str] = Field(default_factory=list, description="Locations that run no server.")

    def status(self, workload: Workload, location: str) -> EndpointStatus:
        cold = location in self.cold
        state = EndpointState.COLD if cold else EndpointState.READY
        address = None if cold else GoldenServers(self.port).address(location)
        waiting = Path(self.home) / "waiting"
        if waiting.exists() and location in waiting.read_text().split():
            since, rollout = "2024-01-01T00:00:00+00:00", "rollout of version 1 to 2 waits: another location comes first"
            state = EndpointState.ROLLING_OUT
            return EndpointStatus(endpoint_name(workload.name, location), state, since, address=address, rollout=rollout)
        return EndpointStatus(endpoint_name(workload.name, location), state, "2024-01-01T00:00:00+00:00", "", address=address)


@contextmanager
def golden_servers() -> Iterator[GoldenServers]:
    """Serve until the block ends."""
    (port,) = free_ports(1)
    servers = GoldenServers(port)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            location = "/".join(self.path.split("/")[1:3])
            if location not in servers.packages:
                self.send_error(503)
                return
            content = servers.answer(location)
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Keep the terminal quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield servers
    finally:
        server.shutdown()
        server.server_close()


@cache
def _predictions(folder: Path) -> tuple[float, ...]:
    package = read_package(folder)
    return tuple(map(float, load_model(package)(golden_inputs(package))))
