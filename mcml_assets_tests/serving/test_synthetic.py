"""Promises of synthetic transactions, against a real edge and model server: they ask as callers do, and leave no prediction."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from mcml_assets.resources.alerts import Alerts
from mcml_assets.resources.endpoints import Endpoints
from mcml_assets.resources.stores import CloudStores
from mcml_assets.sensors.synthetic_transactions import build_synthetic_transactions
from mcml_assets.serving.folder import DataPlaneFolder
from mcml_assets.serving.local_platform import LocalEndpointPlatform
from mcml_assets.serving.synthetic_results import counted_synthetic
from mcml_assets.snapshots.store import SnapshotStore
from mcml_assets_tests.alerting.receiver import Receiver, receiver
from mcml_assets_tests.serving.closed_edge import INFER, QUESTION, ClosedEdge
from mcml_assets_tests.serving.served_shop import PRIMARY, TIME
from mcml_assets_tests.serving.waiting import until

pytestmark = pytest.mark.live
ROUTE = dg.AssetKey(["shop", "traffic_route"])
ENDPOINT = dg.AssetKey(["shop", "endpoint"])


class Clock:
    """The sensor of a platform, whose rounds a test starts."""

    def __init__(self, closed: ClosedEdge, here: Receiver) -> None:
        self.here, self.cursor = here, None
        self.instance = dg.DagsterInstance.ephemeral()
        workload = closed.shop.workload
        self.sensor = build_synthetic_transactions(lambda: (workload,))
        self.resources: dict[str, Any] = {
            "stores": CloudStores.from_settings(closed.shop.settings),
            "endpoints": Endpoints.from_settings(closed.shop.settings),
            "alerts": Alerts(webhook="ALERTS", pagerduty_address="unused", repeat_hours=24),
        }

    def round(self) -> list[tuple[str, str]]:
        """What one round tells people: action and key."""
        before = len(self.here.got)
        with dg.build_sensor_context(instance=self.instance, cursor=self.cursor, resources=self.resources) as context:
            result: Any = self.sensor(context)
        assert not result.run_requests
        for event in result.asset_events:
            self.instance.report_runless_asset_event(event)
        self.cursor = result.cursor
        return [(one["action"], one["key"]) for one in self.here.got[before:]]

    def observed(self, key: dg.AssetKey) -> list[dict[str, Any]]:
        """Metadata of the observations of an asset, newest first."""
        records = self.instance.fetch_observations(key, limit=20).records
        observations = [record.asset_observation for record in records if record.asset_observation is not None]
        return [{name: value.value for name, value in observation.metadata.items()} for observation in observations]


@pytest.fixture
def clock(closed: ClosedEdge, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """The package is in the location's bucket, and the platform has a caller of its own in its environment."""
    settings = closed.shop.settings
    for name in ("edge_callers", "edge_tls_certificate", "edge_tls_key", "edge_client_authority", "edge_authority",
                 "edge_port"):  # fmt: skip
        monkeypatch.setenv(f"MCML_{name.upper()}", str(getattr(settings, name)))
    folder = closed.shop.packages[1]
    commit_package(SnapshotStore(CloudStores.from_settings(settings).bucket(PRIMARY), "shop", "model"), folder)
    with receiver() as here, closed.known("platform", synthetic=True) as platform:
        monkeypatch.setenv("ALERTS", here.address)
        monkeypatch.setitem(os.environ, "MCML_TOKEN", platform.headers["authorization"].removeprefix("Bearer "))
        yield Clock(closed, here)
    for file in closed.folder.glob("*"):
        file.unlink()


def commit_package(store: SnapshotStore, folder: Path) -> None:
    files = {str(file.relative_to(folder)): file for file in sorted(folder.rglob("*")) if file.is_file()}
    store.commit(
        files, tables_schema={}, row_count=0, watermark=None, parents={}, code_version="1", epoch=1, producer=PRIMARY,
        created_at=TIME,
    )  # fmt: skip


def logged(closed: ClosedEdge) -> list[str]:
    files = DataPlaneFolder.of(closed.shop.settings).predictions.rglob("*.jsonl")
    return [line for file in files for line in file.read_text().splitlines()]


def test_endpoints_and_routes_are_asked_and_no_prediction_is_logged(closed: ClosedEdge, clock: Clock) -> None:
    """Every endpoint and route gets an observation at first, none while nothing changes, and the prediction log no row. Each is
    counted for who reads the metrics.
    """
    before = logged(closed)
    for _ in range(3):
        assert clock.round() == []
    assert logged(closed) == before
    (endpoint,), (route,) = clock.observed(ENDPOINT), clock.observed(ROUTE)
    for told in (endpoint, route):
        assert (told["synthetic"], told["synthetic_asked"], told["synthetic_failed"]) == ("passed", 1, 0)
        assert (told["answered_by"], told["model_version"]) == (PRIMARY, 1)
    assert json.loads(clock.cursor or "")["tallies"]["shop/traffic_route|UK"]["asked"] == 2
    counted = counted_synthetic(DataPlaneFolder.of(closed.shop.settings))
    assert sorted((one.route, one.location, one.asked, one.failed) for one in counted) == [
        ("shop.UK", "", 3, 0),
        ("shop.UK", PRIMARY, 3, 0),
    ]


def test_a_route_that_fails_twice_is_told_and_so_is_its_end(closed: ClosedEdge, clock: Clock) -> None:
    """Without features nothing can be predicted, though the server is ready: observed at once, told at the second failure."""
    clock.round()
    pointer = closed.shop.settings.location_folder(PRIMARY) / "feast" / "shop" / "current.json"
    hidden = pointer.rename(pointer.with_suffix(".hidden"))
    try:
        assert clock.round() == []
        assert clock.round() == [("trigger", "synthetic/shop")]
        assert clock.round() == []
    finally:
        hidden.rename(pointer)
    assert clock.round() == [("resolve", "synthetic/shop")]
    back, failed, first = clock.observed(ROUTE)
    assert [entry["synthetic"] for entry in (first, failed, back)] == ["passed", "failed", "passed"]
    assert "HTTP status 503" in failed["problem"]
    assert (back["synthetic_asked"], back["synthetic_failed"]) == (3, 2)


def test_a_model_that_answers_wrongly_is_no_answer(closed: ClosedEdge, clock: Clock) -> None:
    """Predictions that are not the package's golden ones fail, whatever the server says of itself."""
    from mcml_assets.sensors import synthetic_transactions as sensor
    from mcml_assets.serving.package import read_package

    golden = read_package(closed.shop.packages[1], digest=closed.shop.digest(1)).golden
    read = sensor._read(str(closed.shop.settings.home))
    moved = type(golden)(golden.columns, tuple(score + 1e-3 for score in golden.predictions), golden.tolerance)
    read[closed.shop.digest(1)] = moved
    try:
        clock.round()
    finally:
        read.clear()
    (route,) = clock.observed(ROUTE)
    assert route["synthetic"] == "failed"
    assert "differ from the golden ones by 0.001" in route["problem"]


def test_without_its_own_caller_the_platform_says_what_is_missing(
    closed: ClosedEdge, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the edge closed and no token the route fails, and the observation says that nobody knows us; the endpoint passes."""
    monkeypatch.delitem(os.environ, "MCML_TOKEN")
    clock.round()
    (route,), (endpoint,) = clock.observed(ROUTE), clock.observed(ENDPOINT)
    assert route["synthetic"] == "failed"
    assert "401: say who you are" in route["problem"]
    assert endpoint["synthetic"] == "passed"


def test_a_synthetic_caller_gets_no_prediction(closed: ClosedEdge, clock: Clock) -> None:
    """The platform's own caller makes synthetic transactions and nothing else; what asks for predictions is business."""
    with closed.client(os.environ["MCML_TOKEN"]) as platform:
        assert platform.get("/UK/v2/models/shop/synthetic").status_code == 200
        assert platform.post(INFER, json=QUESTION).status_code == 403


def test_a_dead_endpoint_is_seen(closed: ClosedEdge, clock: Clock) -> None:
    """An endpoint without a server fails, and says why; once it is back it passes."""
    platform = LocalEndpointPlatform(closed.shop.settings)
    victim = platform.status(f"shop@{PRIMARY}").pid
    assert victim is not None
    os.kill(victim, 9)
    until(lambda: platform.status(f"shop@{PRIMARY}").pid is None, "the death is noticed")
    clock.round()
    until(lambda: platform.status(f"shop@{PRIMARY}").pid is not None, "a new server")
    platform.wait_ready(f"shop@{PRIMARY}", closed.shop.digest(1), 60)
    clock.round()
    back, dead = clock.observed(ENDPOINT)
    assert (dead["synthetic"], back["synthetic"]) == ("failed", "passed")
