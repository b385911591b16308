"""Promises of the data plane, with real servers behind a real edge: answers go on whatever dies, and stop means stopped."""

import json
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from mcml_assets.clouds.fault_plan import clear_fault, set_fault
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import (
    ConfigurationError,
    CorruptSnapshot,
    LocationUnavailable,
    ModelRejected,
    TransientError,
    UnknownEntity,
)
from mcml_assets.domain.faults import Fault, FaultKind
from mcml_assets.domain.route import plan_route
from mcml_assets.domain.topology import Topology
from mcml_assets.serving.client import predict
from mcml_assets.serving.data_plane import data_plane_state, edge_url, ensure_data_plane, stop_data_plane
from mcml_assets.serving.edge.envoy import is_edge
from mcml_assets.serving.endpoint import PROBE_EVERY_SECONDS, UNANSWERED_KILLED
from mcml_assets.serving.folder import DataPlaneFolder
from mcml_assets.serving.instance import find_instances
from mcml_assets.serving.interfaces import EndpointState, EndpointStatus
from mcml_assets.serving.local_platform import LocalEndpointPlatform
from mcml_assets.serving.package import package_digest
from mcml_assets.serving.processes import find, is_alive
from mcml_assets.serving.routes import publish_route
from mcml_assets_tests.serving.served_shop import (
    COLD,
    CUSTOMER,
    FEATURE_SNAPSHOT,
    PRIMARY,
    TIME,
    TRAINING_SNAPSHOT,
    WARM,
    Shop,
    build_shop,
)

pytestmark = pytest.mark.live
READY_SECONDS = 60
QUESTION = {"inputs": [{"name": "customer_id", "datatype": "INT64", "shape": [1], "data": [CUSTOMER]}]}


class Traffic:
    """One caller who asks without pause, and what it got: statuses, and who answered."""

    def __init__(self) -> None:
        self.statuses: list[int | str] = []
        self.locations: list[str | None] = []
        self.versions: list[str | None] = []

    @property
    def lost(self) -> list[int | str]:
        return [status for status in self.statuses if status != 200]


@contextmanager
def traffic(settings: Settings) -> Iterator[Traffic]:
    seen, stop = Traffic(), threading.Event()

    def ask() -> None:
        with httpx.Client(trust_env=False, timeout=5) as client:
            while not stop.is_set():
                try:
                    answer = client.post(f"{edge_url(settings)}/UK/v2/models/shop/infer", json=QUESTION)
                except httpx.HTTPError as error:
                    seen.statuses.append(type(error).__name__)
                    continue
                seen.statuses.append(answer.status_code)
                seen.locations.append(answer.headers.get("x-mcml-location"))
                seen.versions.append(answer.headers.get("x-mcml-model-version"))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def until(condition: Callable[[], bool], what: str, seconds: float = READY_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Version 1 in three locations behind the edge; ended with the module."""
    built = build_shop(tmp_path_factory.mktemp("home"))
    platform = LocalEndpointPlatform(built.settings)
    try:
        ensure_data_plane(built.settings)
        for key in (PRIMARY, WARM, COLD):
            platform.apply(built.manifest(key, 1))
        publish_route(plan_route("shop", built.workload.placement("UK"), PRIMARY, {PRIMARY, WARM}, 1, 1, TIME), built.settings)
        for key in (PRIMARY, WARM):
            platform.wait_ready(f"shop@{key}", built.digest(1), READY_SECONDS)
        wait_for_edge(built)
        yield built
    finally:
        stop_data_plane(built.settings)


@pytest.fixture(scope="module")
def platform(shop: Shop) -> LocalEndpointPlatform:
    return LocalEndpointPlatform(shop.settings)


def wait_for_edge(shop: Shop, location: str = PRIMARY) -> None:
    """Until the location that the route prefers is the one that answers."""

    def answered() -> bool:
        try:
            return predict(shop.settings, shop.workload, CUSTOMER, "UK").location == location
        except (ConfigurationError, LocationUnavailable, TransientError):
            return False

    until(answered, f"an answer from {location}")


def status(platform: LocalEndpointPlatform, key: str) -> EndpointStatus:
    return platform.status(f"shop@{key}")


def test_a_prediction_says_where_it_comes_from(shop: Shop) -> None:
    """The edge's answer names version, location, jurisdiction, both snapshots and the route's epoch."""
    answer = predict(shop.settings, shop.workload, CUSTOMER, "UK")
    assert 0 < answer.score < 1
    assert (answer.model_version, answer.location, answer.jurisdiction, answer.route_epoch) == (1, PRIMARY, "UK", 1)
    assert (answer.training_snapshot, answer.feature_snapshot) == (TRAINING_SNAPSHOT, FEATURE_SNAPSHOT)


def test_what_the_edge_does_not_know_is_said(shop: Shop) -> None:
    """An unknown path is a 404 problem, an unknown customer is its own error, and the edge tells its routes."""
    with httpx.Client(base_url=edge_url(shop.settings), trust_env=False) as client:
        unknown = client.get("/UK/v2/models/shoes/infer")
        assert (unknown.status_code, unknown.headers["content-type"]) == (404, "application/problem+json")
        assert unknown.json()["type"] == "urn:mcml:not-routed"
        assert client.get("/healthz").json() == {"status": "ok"}
        (route,) = client.get("/routes").json()["routes"]
        assert (route["workload"], route["locations"]) == ("shop", [PRIMARY, WARM])
        assert client.get("/UK/v2/models/shop/ready").json() == {"name": "shop", "ready": True}
        assert client.post("/UK/v2/repository/models/shop/unload").status_code == 404
    with pytest.raises(UnknownEntity):
        predict(shop.settings, shop.workload, 777777777, "UK")
    with pytest.raises(ConfigurationError, match="not placed in jurisdiction"):
        predict(shop.settings, shop.workload, CUSTOMER, "EU")


def test_a_wrong_jurisdiction_is_refused_and_logged(shop: Shop, platform: LocalEndpointPlatform) -> None:
    """A path of another jurisdiction is a 451, data said to be of another one a 403, both on record; the right one passes."""
    with httpx.Client(base_url=edge_url(shop.settings), trust_env=False) as client:
        elsewhere = client.post("/EU/v2/models/shop/infer", json=QUESTION)
        claimed = client.post("/UK/v2/models/shop/infer", json=QUESTION, headers={"x-mcml-jurisdiction": "EU"})
        right = client.post("/UK/v2/models/shop/infer", json=QUESTION, headers={"x-mcml-jurisdiction": "UK"})
    assert [answer.status_code for answer in (elsewhere, claimed, right)] == [451, 403, 200]
    for refused in (elsewhere, claimed):
        assert refused.headers["content-type"] == "application/problem+json"
        assert (refused.json()["type"], refused.json()["status"]) == ("urn:mcml:wrong-jurisdiction", refused.status_code)

    def refusals() -> list[dict[str, object]]:
        lines = platform.folder.own_log("envoy").read_text().splitlines()
        said = [json.loads(line) for line in lines if line.startswith("{")]
        return [entry for entry in said if entry["message"] == "refused"]

    until(lambda: [entry["status"] for entry in refusals()] == [451, 403], "both refusals are logged")
    assert [entry["jurisdiction"] for entry in refusals()] == [None, "EU"]


def test_an_answer_tells_how_old_its_route_is(shop: Shop) -> None:
    """Each answer names the epoch and the time of the route it followed, so that a stale one is seen without Dagster."""
    answer = httpx.get(f"{edge_url(shop.settings)}/UK/v2/models/shop/ready", trust_env=False)
    assert (answer.headers["x-mcml-route-epoch"], answer.headers["x-mcml-route-updated-at"]) == ("1", TIME)


def test_the_edge_bounds_what_it_takes(shop: Shop) -> None:
    """A body past the bound is a 413 problem from the edge itself, declared or not, and nobody may name themselves."""

    def chunks() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * 100_000

    url = f"{edge_url(shop.settings)}/UK/v2/models/shop/infer"
    with httpx.Client(trust_env=False) as client:
        for content in (b" " * 1_100_000, chunks()):
            answer = client.post(url, content=content)
            assert (answer.status_code, answer.json()["title"]) == (413, "Request Entity Too Large")
            assert answer.headers["content-type"] == "application/problem+json"
        assert client.post(url, json=QUESTION, headers={"x-mcml-caller": "somebody else"}).status_code == 200


@pytest.mark.parametrize(
    "data", ["[NaN]", "[1.5]", '["17850"]', "[true]", "[null]", "[9223372036854775808]", "[]", "[[1]]", "{}"]
)
def test_an_id_that_is_none_is_refused(shop: Shop, data: str) -> None:
    """Anything but whole numbers of 64 bits as ids is the caller's mistake, said as a 400 problem, through the edge too."""
    # Written by hand: a JSON library would not write NaN.
    body = json.dumps(QUESTION).replace(f"[{CUSTOMER}]", data)
    url = f"{edge_url(shop.settings)}/UK/v2/models/shop/infer"
    with httpx.Client(trust_env=False, headers={"content-type": "application/json"}) as client:
        answer = client.post(url, content=body)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert "'customer_id', datatype 'INT64'" in answer.json()["detail"]


def test_a_cold_endpoint_runs_nothing(shop: Shop, platform: LocalEndpointPlatform) -> None:
    """A cold standby holds the verified package without a process; a damaged one is not called cold."""
    assert status(platform, COLD).state is EndpointState.COLD
    assert COLD not in {instance.location for instance in find_instances(platform.folder)}
    platform.apply(shop.manifest(COLD, 1, digest="0" * 64))
    with pytest.raises(CorruptSnapshot, match="should have digest 0000"):
        platform.wait_ready(f"shop@{COLD}", "0" * 64, 10)
    platform.apply(shop.manifest(COLD, 1))
    platform.wait_ready(f"shop@{COLD}", shop.digest(1), 10)


def test_a_killed_server_loses_no_request(shop: Shop, platform: LocalEndpointPlatform) -> None:
    """kill -9 of the acting location's server: the standby answers everything, and the server comes back by itself."""
    victim = status(platform, PRIMARY)
    assert victim.pid is not None
    with traffic(shop.settings) as seen:
        until(lambda: len(seen.locations) > 20, "traffic")
        os.kill(victim.pid, signal.SIGKILL)
        until(lambda: WARM in seen.locations, "the standby answers")
        until(lambda: status(platform, PRIMARY).pid not in (None, victim.pid), "a new server")
        until(lambda: seen.locations[-1] == PRIMARY, "the primary answers again")
    assert seen.lost == []
    assert status(platform, PRIMARY).port == victim.port


def test_a_hanging_server_loses_no_request(shop: Shop, platform: LocalEndpointPlatform) -> None:
    """SIGSTOP of the acting location's server: the standby answers within the timeout, and the status says failed."""
    victim = status(platform, PRIMARY)
    assert victim.pid is not None
    with traffic(shop.settings) as seen:
        until(lambda: len(seen.locations) > 20, "traffic")
        os.kill(victim.pid, signal.SIGSTOP)
        try:
            until(lambda: WARM in seen.locations, "the standby answers")
            until(lambda: status(platform, PRIMARY).state is EndpointState.FAILED, "the hang is noticed")
        finally:
            os.kill(victim.pid, signal.SIGCONT)
        until(lambda: status(platform, PRIMARY).state is EndpointState.READY, "ready again")
    assert seen.lost == []
    wait_for_edge(shop)


def test_a_planned_outage_is_seen_at_the_edge_within_a_second(shop: Shop, platform: LocalEndpointPlatform) -> None:
    """A cloud that is set dark answers no more, the standby does at once; its server is left alone, and is back after."""
    cloud, before = PRIMARY.partition("/")[0], status(platform, PRIMARY).pid
    topology = Topology("local", {placed.key: placed.location for placed in shop.workload.locations})
    now = datetime.now(UTC)
    outage = Fault(cloud, FaultKind.OUTAGE, now, now + timedelta(seconds=60))
    with traffic(shop.settings) as seen:
        until(lambda: seen.locations[-1:] == [PRIMARY], "the primary answers")
        set_fault(outage, topology, shop.settings)
        until(lambda: seen.locations[-1] == WARM, "the standby answers", seconds=1)
        asked = len(seen.locations)
        until(lambda: status(platform, PRIMARY).state is EndpointState.FAILED, "the outage is noticed")
        # Longer than a server may hang before it is killed: a dark location's server is to be found again.
        time.sleep(UNANSWERED_KILLED * PROBE_EVERY_SECONDS)
        assert set(seen.locations[asked:]) == {WARM}
        direct = httpx.get(f"{status(platform, PRIMARY).address}/v2/models/shop/ready", trust_env=False)
        assert (direct.status_code, direct.json()["type"]) == (503, "urn:mcml:planned-outage")
        clear_fault(outage.id, shop.settings)
        until(lambda: seen.locations[-1] == PRIMARY, "the primary answers again")
    assert seen.lost == []
    until(lambda: status(platform, PRIMARY).state is EndpointState.READY, "ready again")
    assert status(platform, PRIMARY).pid == before


def test_a_server_that_answers_wrongly_is_left_within_seconds(shop: Shop, platform: LocalEndpointPlatform) -> None:
    """One whose scores are none of its model's is not ready: the edge turns to the standby, and returns when they are right."""
    topology = Topology("local", {placed.key: placed.location for placed in shop.workload.locations})
    now = datetime.now(UTC)
    wrong = Fault(PRIMARY, FaultKind.WRONG_ANSWERS, now, now + timedelta(seconds=60))
    with traffic(shop.settings) as seen:
        until(lambda: seen.locations[-1:] == [PRIMARY], "the primary answers")
        set_fault(wrong, topology, shop.settings)
        until(lambda: set(seen.locations[-20:]) == {WARM}, "the standby answers")
        clear_fault(wrong.id, shop.settings)
        until(lambda: seen.locations[-1] == PRIMARY, "the primary answers again")
    assert seen.lost == []
    until(lambda: status(platform, PRIMARY).state is EndpointState.READY, "ready again")


def test_a_feature_store_that_does_not_answer_costs_no_request(shop: Shop, platform: LocalEndpointPlatform) -> None:
    """The primary says 503, and the edge asks the standby within the same request."""
    topology = Topology("local", {placed.key: placed.location for placed in shop.workload.locations})
    now = datetime.now(UTC)
    down = Fault(PRIMARY, FaultKind.FEATURE_STORE_DOWN, now, now + timedelta(seconds=60))
    with traffic(shop.settings) as seen:
        until(lambda: seen.locations[-1:] == [PRIMARY], "the primary answers")
        set_fault(down, topology, shop.settings)
        until(lambda: WARM in seen.locations, "the standby answers")
        clear_fault(down.id, shop.settings)
        until(lambda: seen.locations[-1] == PRIMARY, "the primary answers again")
    assert seen.lost == []


def test_a_killed_controller_is_replaced_without_a_restart(shop: Shop, platform: LocalEndpointPlatform) -> None:
    """kill -9 of the data plane's process: servers and edge go on, and the next one takes them over as they are."""
    before = {key: status(platform, key).pid for key in (PRIMARY, WARM)}
    edges = [process.pid for process, _ in find(lambda line: is_edge(line, platform.folder))]
    controller = data_plane_state(shop.settings).pid
    assert controller is not None
    with traffic(shop.settings) as seen:
        os.kill(controller, signal.SIGKILL)
        until(lambda: status(platform, PRIMARY).state is EndpointState.UNKNOWN, "nobody watches")
        asked = len(seen.statuses)
        until(lambda: len(seen.statuses) > asked + 50, "answers without a controller")
        assert ensure_data_plane(shop.settings).pid != controller
        until(lambda: all(status(platform, key).state is EndpointState.READY for key in before), "all are watched again")
    assert seen.lost == []
    assert {key: status(platform, key).pid for key in before} == before
    assert [process.pid for process, _ in find(lambda line: is_edge(line, platform.folder))] == edges


def test_a_dead_edge_comes_back(shop: Shop, platform: LocalEndpointPlatform) -> None:
    """When Envoy dies it is started again, with the same routes."""
    ((edge, _),) = find(lambda line: is_edge(line, platform.folder))
    edge.kill()
    until(lambda: not is_alive(edge), "the edge is dead")
    wait_for_edge(shop)
    assert edge.pid not in {process.pid for process, _ in find(lambda line: is_edge(line, platform.folder))}


@pytest.mark.parametrize(("damage", "error"), [("digest", CorruptSnapshot), ("golden", ModelRejected)])
def test_a_bad_version_never_takes_over(
    shop: Shop, platform: LocalEndpointPlatform, tmp_path: Path, damage: str, error: type[Exception]
) -> None:
    """A package of another digest, or that misses its golden predictions, is refused, and the old version still answers."""
    package = Path(shutil.copytree(shop.packages[2], tmp_path / "package"))
    digest = package_digest(package)
    if damage == "digest":
        (package / "package.json").write_bytes((package / "package.json").read_bytes() + b"\n")
    else:
        golden = json.loads((package / "golden.json").read_text())
        golden["predictions"][0] += 1e-6
        (package / "golden.json").write_text(json.dumps(golden))
        digest = package_digest(package)
    name, before = f"shop@{WARM}", status(platform, WARM)
    platform.apply(shop.manifest(WARM, 2, package_uri=package.as_uri(), digest=digest))
    with pytest.raises(error, match="version 1 still answers"):
        platform.wait_ready(name, digest, READY_SECONDS)
    after = status(platform, WARM)
    assert (after.state, after.version, after.pid, after.wanted_version) == (EndpointState.FAILED, 1, before.pid, 2)
    platform.apply(shop.manifest(WARM, 1))
    assert platform.wait_ready(name, shop.digest(1), 10).pid == before.pid


def test_a_new_version_takes_over_without_losing_a_request(shop: Shop, platform: LocalEndpointPlatform) -> None:
    """The new version starts beside the old one and takes over when it is ready; the old manifest is kept for rollback."""
    old = status(platform, PRIMARY)
    with traffic(shop.settings) as seen:
        platform.apply(shop.manifest(PRIMARY, 2))
        ready = platform.wait_ready(f"shop@{PRIMARY}", shop.digest(2), READY_SECONDS)
        until(lambda: seen.versions[-20:] == ["2"] * 20, "only the new version answers")
        until(lambda: old.pid not in {entry.process.pid for entry in find_instances(platform.folder)}, "the old one ended")
    assert seen.lost == []
    assert set(seen.locations) == {PRIMARY}
    assert (ready.version, ready.pid != old.pid) == (2, True)
    former = platform.former(f"shop@{PRIMARY}")
    assert former == shop.manifest(PRIMARY, 1)


def test_a_deleted_endpoint_ends_its_server(shop: Shop, platform: LocalEndpointPlatform) -> None:
    """Deleting an endpoint drains and ends its server, and the others go on."""
    platform.delete(f"shop@{WARM}")
    until(lambda: [entry.location for entry in find_instances(platform.folder)] == [PRIMARY], "only the primary runs")
    assert status(platform, WARM).state is EndpointState.STOPPED
    assert predict(shop.settings, shop.workload, CUSTOMER, "UK").location == PRIMARY


def test_no_personal_value_reaches_a_log(shop: Shop, platform: LocalEndpointPlatform) -> None:
    """After all of the above no log holds an id that was asked for, nor a line per request."""
    logs = [file for file in (platform.folder.path / "logs").rglob("*.log*") if file.is_file()]
    assert len(logs) >= 4
    for file in logs:
        text = file.read_text()
        assert str(CUSTOMER) not in text
        assert "777777777" not in text
        assert len(text.splitlines()) < 150, text


def test_stop_leaves_no_process(shop: Shop, platform: LocalEndpointPlatform) -> None:
    """After a stop nothing of this data plane runs, even what a killed controller left; stopping twice is no error."""
    controller = data_plane_state(shop.settings).pid
    assert controller is not None
    os.kill(controller, signal.SIGKILL)
    stop_data_plane(shop.settings)
    assert find_instances(platform.folder) == []
    assert find(lambda line: any(str(platform.folder.path) in part for part in line)) == []
    stop_data_plane(shop.settings)
    assert not data_plane_state(shop.settings).running
    with pytest.raises(TransientError, match="does not answer"):
        predict(shop.settings, shop.workload, CUSTOMER, "UK")


def test_a_taken_edge_port_is_a_clear_error(shop: Shop, tmp_path: Path) -> None:
    """Starting on a taken port fails at once, names the setting and who has the port, and leaves nothing running."""
    settings = shop.settings.model_copy(update={"home": tmp_path})
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", settings.edge_port))
        other.listen()
        with pytest.raises(ConfigurationError, match=rf"port {settings.edge_port}.*pid {os.getpid()}.*MCML_EDGE_PORT"):
            ensure_data_plane(settings)
    assert find(lambda line: is_edge(line, DataPlaneFolder.of(settings))) == []
