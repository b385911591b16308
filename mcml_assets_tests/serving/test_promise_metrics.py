"""What Prometheus is told of promises: each workload's own objectives, lag that is known or not, and counted synthetic ones."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from mcml_assets.clouds.fault_plan import set_fault
from mcml_assets.clouds.registry import open_store, provision
from mcml_assets.configuration.settings import DEFS, Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.configuration.workload import load_workloads
from mcml_assets.domain.error_budget import Objectives
from mcml_assets.domain.faults import Fault, FaultKind
from mcml_assets.domain.route import plan_route
from mcml_assets.serving import lag_watch
from mcml_assets.serving.folder import DataPlaneFolder
from mcml_assets.serving.lag_watch import LagWatch
from mcml_assets.serving.local_platform import LocalEndpointPlatform
from mcml_assets.serving.manifest import endpoint_name, inference_service
from mcml_assets.serving.promise_metrics import PromiseMetrics, latency_bound
from mcml_assets.serving.routes import publish_route
from mcml_assets.serving.synthetic_results import record_synthetic
from mcml_assets.snapshots.store import SnapshotStore
from mcml_assets_tests.serving.served_shop import COLD, PRIMARY, TIME, WARM, shop_workload
from mcml_assets_tests.snapshots.committing import commit


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A data plane that wants `shop` in three locations and obeys a route of it."""
    settings = Settings(home=tmp_path / "home")
    workload = shop_workload(tmp_path / "shop")
    platform = LocalEndpointPlatform(settings)
    for placed in workload.locations:
        uri = tmp_path.as_uri()
        platform.apply(inference_service(workload, placed, package_uri=uri, features_uri=uri, model_version=1, digest="d" * 64))
    publish_route(plan_route("shop", workload.placement("UK"), PRIMARY, {PRIMARY, WARM}, 1, 1, TIME), settings)
    return settings


def exposed(settings: Settings) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(PromiseMetrics(settings))
    return registry


def snapshots(settings: Settings, location: str, noun: str) -> SnapshotStore:
    """The shop's snapshots of a kind in a location, whose bucket is made."""
    topology = load_topology(settings.topology_file)
    provision(topology, settings)
    return SnapshotStore(open_store(topology.location(location), settings), "shop", noun)


def test_each_route_is_promised_what_its_workload_declares(settings: Settings) -> None:
    """Every declared workload's own objectives are exposed; a route of a workload that is not declared has the defaults."""
    workloads, errors = load_workloads(DEFS, load_topology(settings.topology_file))
    assert errors == []
    registry = exposed(settings)
    for workload in workloads:
        promised = workload.serving.objectives
        assert registry.get_sample_value("mcml_objective_recovery_point_seconds", {"workload": workload.name}) == (
            workload.rpo_seconds
        )
        for placement in workload.placements:
            route = f"{workload.name}.{placement.jurisdiction}"
            for objective, allowed in (("availability", 1 - promised.availability), ("latency", 1 - promised.latency_share)):
                labels = {"route": route, "objective": objective}
                assert registry.get_sample_value("mcml_objective_error_budget_ratio", labels) == pytest.approx(allowed)
    labels = {"route": "shop.UK", "objective": "availability"}
    assert registry.get_sample_value("mcml_objective_error_budget_ratio", labels) == pytest.approx(0.001)
    assert registry.get_sample_value("mcml_objective_latency_bound", {"route": "shop.UK", "le": "250"}) == 1


@pytest.mark.parametrize(("milliseconds", "bound"), [(250, "250"), (251, "300"), (1000, "1000"), (60_000, "+Inf")])
def test_a_time_between_two_buckets_is_judged_by_the_next(milliseconds: float, bound: str) -> None:
    """Nobody is blamed for an answer that came in time: the next higher bound counts, as in rollouts."""
    assert latency_bound(Objectives(latency_milliseconds=milliseconds)) == bound


def test_lag_is_told_and_what_nobody_knows_is_not_nought(settings: Settings, tmp_path: Path) -> None:
    """A location that holds the newest snapshot has no lag, one that lacks it its age, and one that cannot be asked none
    that anybody knows; nor has one that nobody looked at lately.
    """
    names = [f"shop@{location}" for location in (PRIMARY, WARM, COLD)]
    watch = LagWatch(settings, load_topology(settings.topology_file))

    def look() -> dict[str, tuple[float | None, float | None]]:
        for name in names:
            watch.look(name)
        registry = exposed(settings)
        found = {}
        for location in (PRIMARY, WARM, COLD):
            labels = {"workload": "shop", "location": location}
            values = [registry.get_sample_value(f"mcml_replication_lag_{what}", labels) for what in ("seconds", "known")]
            found[location] = (values[0], values[1])
        return found

    assert look() == dict.fromkeys((PRIMARY, WARM, COLD), (None, 0))
    commit(snapshots(settings, PRIMARY, "landing"), {"t/one": b"one"}, tmp_path)
    for location in (PRIMARY, COLD):
        commit(snapshots(settings, location, "raw_data"), {"t/one": b"one"}, tmp_path)
    now = datetime.now(UTC)
    set_fault(Fault(COLD, FaultKind.OUTAGE, now, now + timedelta(hours=1)), load_topology(settings.topology_file), settings)
    found = look()
    assert (found[PRIMARY], found[COLD]) == ((0, 1), (None, 0))
    seconds, known = found[WARM]
    assert known == 1
    assert seconds is not None
    assert 0 <= seconds < 3600
    file = DataPlaneFolder.of(settings).endpoint("lag", names[0])
    file.write_text(json.dumps(json.loads(file.read_text()) | {"at": TIME}))
    assert exposed(settings).get_sample_value(
        "mcml_replication_lag_known", {"workload": "shop", "location": PRIMARY}
    ) == 0  # fmt: skip
    watch.end()


def test_synthetic_transactions_are_counted_by_who_was_asked(settings: Settings) -> None:
    """Through the edge and at each location, all and those that failed, so that they have an error budget of their own."""
    folder = DataPlaneFolder.of(settings)
    for passed in (True, False, True):
        record_synthetic(folder, endpoint_name("shop", WARM), passed, 1, None if passed else "wrong", "UK")
    record_synthetic(folder, "shop.UK", False, 2, "HTTP status 503", "UK")
    registry = exposed(settings)
    for location, asked, failed, passed in ((WARM, 3, 1, 1), ("", 1, 1, 0)):
        labels = {"route": "shop.UK", "location": location}
        assert registry.get_sample_value("mcml_synthetic_transactions_total", labels) == asked
        assert registry.get_sample_value("mcml_synthetic_transactions_failed_total", labels) == failed
        assert registry.get_sample_value("mcml_synthetic_passed", labels) == passed


class BrokenWatch(LagWatch):
    """One whose looks end by an error that no cloud explains."""

    def look(self, name: str) -> None:
        raise FileNotFoundError(f"nothing to read for {name}")


def test_what_keeps_the_lag_from_being_looked_at_is_in_the_log(
    settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that ends by an error which no cloud explains is told by a later round, with the endpoint's name."""
    monkeypatch.setattr(lag_watch, "LOOK_SECONDS", 0.0)
    watch, deadline = BrokenWatch(settings, load_topology(settings.topology_file)), time.monotonic() + 30
    name = endpoint_name("shop", PRIMARY)
    while f"looking at the lag of {name} failed" not in caplog.text:
        assert time.monotonic() < deadline
        watch.round()
        time.sleep(0.01)
    watch.end()
    assert f"nothing to read for {name}" in caplog.text
