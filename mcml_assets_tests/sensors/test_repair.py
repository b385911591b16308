"""What the repair and retraining sensors promise: who is proved wrong is mended, twice at most, and drift asks once."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from mcml_assets.asset_checks.partitioned import partitioned_check_spec
from mcml_assets.resources.stores import CloudStores
from mcml_assets.sensors.check_results import FailedCheck
from mcml_assets.sensors.repair import MOST_REPAIRS, build_repair, not_to_repair
from mcml_assets.sensors.retraining import build_retraining
from mcml_assets_tests.assets.conftest import Bench, bench, checks_of
from mcml_assets_tests.snapshots.committing import commit

__all__ = ["bench"]

PRIMARY, WARM, COLD = "azure/westeurope", "gcp/europe-west1", "aws/eu-central-1"
SHOP = "online_retail"


class Sensor:
    """One sensor over one workload, with its cursor."""

    def __init__(self, sensor: dg.SensorDefinition, shop: Bench, *more: dg.Definitions) -> None:
        self.shop, self.cursor = shop, None
        definitions = dg.Definitions.merge(shop.definitions, dg.Definitions(sensors=[sensor]), *more)
        self.name, self.repository = sensor.name, definitions.get_repository_def()
        self.told: list[str] = []

    def tick(self) -> list[dg.RunRequest]:
        resources: Mapping[str, Any] = {"stores": CloudStores.from_settings(self.shop.settings)}
        with dg.build_sensor_context(
            instance=self.shop.instance, cursor=self.cursor, repository_def=self.repository, sensor_name=self.name,
            resources=dict(resources),
        ) as context:  # fmt: skip
            data = self.repository.get_sensor_def(self.name).evaluate_tick(context)
        self.cursor = data.cursor
        self.told += [event.description or "" for event in data.asset_events]
        return list(data.run_requests or [])


@pytest.fixture
def shop(bench: Callable[[str], Bench]) -> Bench:
    """The EU's raw data in a primary and a standby."""
    shop = bench(SHOP)
    assert shop.run("EU", "landing").success
    for location in (PRIMARY, WARM):
        assert all(checks_of(shop.run(location, "raw_data")).values())
    return shop


def spoil(shop: Bench, location: str) -> None:
    """Flip a bit in the location's largest blob."""
    where = shop.stores.topology.location(location)
    blobs = shop.settings.clouds_folder / where.cloud / where.bucket / SHOP / "blobs"
    blob = max((path for path in blobs.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    content = bytearray(blob.read_bytes())
    content[100] ^= 1
    blob.write_bytes(content)


def carry_out(shop: Bench, request: dg.RunRequest) -> dict[str, bool]:
    """What a requested run does, and its checks."""
    result = shop.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=shop.instance, partition_key=request.partition_key, asset_selection=list(request.asset_selection or ()),
        run_config=request.run_config, tags={**request.tags}, raise_on_error=False,
    )  # fmt: skip
    return checks_of(result)


def test_a_damaged_copy_is_mended_from_a_good_one(shop: Bench):
    """The location whose bytes are wrong is asked, once, and holds what was promised after that; no other is touched."""
    sensor = Sensor(build_repair(lambda: [shop.workload]), shop)
    assert sensor.tick() == []
    spoil(shop, WARM)
    assert checks_of(shop.run(WARM, "raw_data"))["integrity"] is False
    requests = sensor.tick()
    assert [(request.partition_key, request.asset_selection) for request in requests] == [(WARM, [shop.key("raw_data")])]
    mended = carry_out(shop, requests[0])
    assert {"integrity", "parity"} <= mended.keys()
    assert all(mended.values())
    assert sensor.tick() == []


def test_what_repairs_do_not_mend_is_told_to_a_person(shop: Bench):
    """However often the check fails again, two repairs are requested, and then the event asks for a person."""
    sensor = Sensor(build_repair(lambda: [shop.workload]), shop)
    sensor.tick()
    requests = []
    for _ in range(5):
        spoil(shop, WARM)
        shop.run(WARM, "raw_data")
        requests += sensor.tick()
    assert len(requests) == MOST_REPAIRS
    assert len({request.run_key for request in requests}) == MOST_REPAIRS
    assert "a person has to" in sensor.told[-1]


def test_an_outage_is_no_case_for_repair(shop: Bench, tmp_path: Path):
    """A check that failed because its location did not answer asks for no copy."""
    gone = FailedCheck(SHOP, "raw_data", "integrity", WARM, "ERROR", {"error": "LocationUnavailable"}, "run")
    assert "outage" in (not_to_repair(shop.workload, gone, shop.stores) or "")


def test_two_that_differ_accuse_nobody(shop: Bench):
    """With two holdings no vote can say which one is wrong, so nothing is overwritten."""
    assert shop.run("EU", "landing").success
    assert shop.run(PRIMARY, "raw_data").success
    differs = FailedCheck(SHOP, "raw_data", "parity", WARM, "ERROR", {}, "run")
    assert "too few" in (not_to_repair(shop.workload, differs, shop.stores) or "")


class Drift:
    """A `drift` check of an asset that only exists here, with whatever severity and reference a test wants."""

    def __init__(self, shop: Bench) -> None:
        self.shop = shop
        self.severity, self.model = dg.AssetCheckSeverity.ERROR, "model-1"
        partitions = dg.StaticPartitionsDefinition([placed.key for placed in shop.workload.locations])
        spec = partitioned_check_spec(shop.key("feature_snapshot"), "drift", "drifted", partitions)

        @dg.asset(key=shop.key("feature_snapshot"), partitions_def=partitions, check_specs=[spec])
        def features():
            yield dg.MaterializeResult()
            yield dg.AssetCheckResult(passed=False, check_name="drift", severity=self.severity, metadata={"model": self.model})

        self.definitions = dg.Definitions(assets=[features])

    def find(self, location: str) -> None:
        job = self.definitions.resolve_implicit_global_asset_job_def()
        job.execute_in_process(
            instance=self.shop.instance, partition_key=location, asset_selection=[self.shop.key("feature_snapshot")],
            raise_on_error=False,
        )  # fmt: skip


def publish_features(shop: Bench, content: str) -> None:
    folder = shop.settings.home / "scratch"
    folder.mkdir(exist_ok=True)
    features = shop.stores.snapshots(shop.workload, PRIMARY, "feature_snapshot")
    commit(features, {"features": content.encode()}, folder, parents={"raw_data": "r"})


def test_a_model_that_learnt_from_the_drifted_rows_is_not_trained_again(shop: Bench):
    """However often new models drift from the same newest features: what they learnt from already is no reason to train."""
    drift = Drift(shop)
    sensor = Sensor(build_retraining(lambda: [shop.workload]), shop)
    sensor.tick()
    publish_features(shop, "features-1")
    newest = shop.current(PRIMARY, "feature_snapshot") or ""
    training_run = shop.stores.snapshots(shop.workload, PRIMARY, "training_run")
    commit(training_run, {"model": b"2"}, shop.settings.home / "scratch", parents={"feature_snapshot": newest})
    for number in range(4):
        drift.model = f"model-{number}"
        drift.find(PRIMARY)
        assert sensor.tick() == []
    publish_features(shop, "features-2")
    drift.find(PRIMARY)
    assert len(sensor.tick()) == 1


def test_drift_asks_for_training_once_for_each_reference(shop: Bench):
    """Past the second threshold, at the acting location: one run; the next model's drift asks again; a warning never."""
    drift = Drift(shop)
    sensor = Sensor(build_retraining(lambda: [shop.workload]), shop)
    sensor.tick()
    publish_features(shop, "features-1")
    drift.find(WARM)
    assert sensor.tick() == []
    drift.find(PRIMARY)
    requests = sensor.tick()
    assert [(request.partition_key, request.asset_selection) for request in requests] == [("EU", [shop.key("training_run")])]
    drift.find(PRIMARY)
    assert sensor.tick() == []
    drift.model = "model-2"
    drift.severity = dg.AssetCheckSeverity.WARN
    drift.find(PRIMARY)
    assert sensor.tick() == []
    drift.severity = dg.AssetCheckSeverity.ERROR
    drift.find(PRIMARY)
    assert len(sensor.tick()) == 1


def test_drift_asks_for_nothing_while_a_training_run_is_under_way(shop: Bench):
    """New features are trained on at once, and seen to drift a moment later: one training run, not two; later drift asks."""
    drift = Drift(shop)
    sensor = Sensor(build_retraining(lambda: [shop.workload]), shop)
    sensor.tick()
    publish_features(shop, "features-1")
    training = dg.DagsterRun(
        "__ASSET_JOB", tags={"dagster/partition": "EU"}, status=dg.DagsterRunStatus.STARTED,
        asset_selection=frozenset({shop.key("training_run")}),
    )  # fmt: skip
    shop.instance.add_run(training)
    drift.find(PRIMARY)
    assert sensor.tick() == []
    shop.instance.report_run_failed(training)
    drift.find(PRIMARY)
    assert len(sensor.tick()) == 1
