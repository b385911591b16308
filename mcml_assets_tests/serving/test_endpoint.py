"""Promises of an endpoint's life: what fails forever costs little, and what cannot work is not tried again."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from threading import Thread

import psutil
import pytest

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.serving import instance
from mcml_assets.serving.endpoint import Endpoint, is_stalled
from mcml_assets.serving.instance import Instance
from mcml_assets.serving.interfaces import EndpointState
from mcml_assets.serving.local_platform import LocalEndpointPlatform
from mcml_assets.serving.manifest import inference_service
from mcml_assets.serving.processes import is_alive
from mcml_assets.serving.watched_server import WatchedServer
from mcml_assets_tests.ports import free_port_range
from mcml_assets_tests.serving.served_shop import PRIMARY, shop_workload

NAME = f"shop@{PRIMARY}"
DIGEST = "a" * 64


@pytest.fixture
def platform(tmp_path: Path) -> LocalEndpointPlatform:
    """A platform that wants a server whose package does not exist."""
    workload = shop_workload(tmp_path / "shop")
    platform = LocalEndpointPlatform(Settings(home=tmp_path))
    manifest = inference_service(
        workload,
        workload.placed(PRIMARY),
        package_uri=(tmp_path / "package").as_uri(),
        features_uri=(tmp_path / "features").as_uri(),
        model_version=1,
        digest=DIGEST,
    )
    platform.apply(manifest)
    return platform


@pytest.mark.parametrize(
    ("unanswered", "stalled"), [((), False), ((7,), False), ((7, 0, 5), False), ((1, 3), True), ((1, 0), False)]
)
def test_servers_that_fall_silent_together_are_not_taken_for_hung(unanswered: tuple[int, ...], stalled: bool) -> None:
    """Where none answers the machine stands still, and nothing is killed for it; where one answers, the others hang."""
    assert is_stalled(unanswered) is stalled


def starts(endpoint: Endpoint, seconds: int) -> list[int]:
    """When the endpoint started a server, in so many seconds of its own clock; each server is real and awaited."""
    port, started = free_port_range(1), []
    with ThreadPoolExecutor(1) as pool:
        for now in range(seconds):
            manifest = endpoint.due(now)
            if manifest is not None:
                endpoint.start(manifest, port, now)
                started.append(now)
                while endpoint.candidate is not None and is_alive(endpoint.candidate.instance.process):
                    time.sleep(0.01)
            endpoint.step(now, pool)
    return started


def test_a_server_that_always_dies_is_started_ever_more_rarely(
    platform: LocalEndpointPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten minutes of a server that dies at once cost a dozen starts, the pauses doubling up to a minute; never a loop."""
    monkeypatch.setattr(instance, "SERVER_MODULE", "this")  # a module that ends at once
    endpoint = Endpoint(NAME, platform.folder)
    endpoint.want()
    started = starts(endpoint, 600)
    assert started[:6] == [0, 1, 3, 7, 15, 31]
    assert len(started) <= 16
    assert all(second - first == 60 for first, second in pairwise(started[7:]))
    status = endpoint.status()
    assert status is not None
    assert (status.state, status.error) == (EndpointState.FAILED, None)
    assert "tried again at" in status.message


def test_a_refused_package_is_tried_once_per_manifest(platform: LocalEndpointPlatform) -> None:
    """A package that cannot be right is not loaded again until its manifest is given anew."""
    endpoint = Endpoint(NAME, platform.folder)
    endpoint.want()
    assert starts(endpoint, 300) == [0]
    status = endpoint.status()
    assert status is not None
    assert (status.state, status.error) == (EndpointState.FAILED, "CorruptSnapshot")
    endpoint.want()
    assert starts(endpoint, 5) == [0]


def test_an_unreadable_manifest_leaves_the_former_one(platform: LocalEndpointPlatform) -> None:
    """A damaged manifest file is an error that names it, and what was wanted before stays wanted."""
    endpoint = Endpoint(NAME, platform.folder)
    endpoint.want()
    file = platform.folder.endpoint("wanted", NAME)
    file.write_text("kind: [")
    with pytest.raises(ConfigurationError, match=file.name):
        endpoint.want()
    assert endpoint.wanted is not None
    assert endpoint.due(0.0) == endpoint.wanted


@contextmanager
def never_ready() -> Iterator[int]:
    """The port of a server that says of itself, as the endpoint's, that it is not ready."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503)
            self.send_header("x-mcml-location", PRIMARY)
            self.send_header("x-mcml-digest", DIGEST)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", free_port_range(1)), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("gateway", [True, False])
def test_a_gateway_waits_for_its_platform_and_a_server_is_given_up(platform: LocalEndpointPlatform, gateway: bool) -> None:
    """An hour that a platform takes to change version ends no gateway, which answers with the very moment; a server that
    speaks and is never ready is ended in minutes.
    """
    endpoint = Endpoint(NAME, platform.folder)
    endpoint.want()
    assert endpoint.wanted is not None
    with never_ready() as port, ThreadPoolExecutor(1) as pool, psutil.Popen(["/bin/sleep", "600"]) as process:
        server = Instance(psutil.Process(process.pid), NAME, port, 1, DIGEST, endpoint.wanted.revision, gateway)
        endpoint.candidate = candidate = WatchedServer(server, 0.0)
        for now in range(1, 3600, 30):
            endpoint.step(now, pool)
            if candidate.probe is not None:
                wait([candidate.probe])
        given_up = endpoint.candidate is None
        process.kill()
    assert given_up is not gateway
