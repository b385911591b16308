"""The code location that the live tests' daemon loads: the real sensors and automation over workloads with little data.

`landing` takes over and lands as the real one does, `raw_data` is the real one, so that epochs and copies go on in the
buckets; `feature_snapshot` commits a few bytes when raw data was published, and everything else only succeeds. A test may
plant a failure, or that a run hangs, and order runs: see `live_control.py`.
"""

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg

from mcml_assets.assets.failures import typed_failures
from mcml_assets.assets.raw_data import build_raw_data
from mcml_assets.automation import when_missing_or_on_cron, when_upstream_published
from mcml_assets.build import _automation_sensors, build_resources  # pyright: ignore[reportPrivateUsage] - the very ones
from mcml_assets.configuration.settings import Settings
from mcml_assets.declaration import asset_key, declared
from mcml_assets.domain import errors
from mcml_assets.domain.workload import Workload
from mcml_assets.failover.probing import shared_prober
from mcml_assets.failover.takeover import become_original
from mcml_assets.partitions import by_jurisdiction, by_location
from mcml_assets.resources.stores import CloudStores
from mcml_assets.sensors import watchdog
from mcml_assets.sensors.alerting import alerting
from mcml_assets.sensors.failover import build_failover
from mcml_assets.sensors.recovery import build_recovery
from mcml_assets.sensors.repair import build_repair
from mcml_assets.sensors.retraining import build_retraining
from mcml_assets_tests.failover.stage import example_workloads
from mcml_assets_tests.snapshots.committing import commit

WORKLOAD = "online_retail"
COPIES, IMPATIENT = "LIVE_COPIES", "LIVE_IMPATIENT"
"""In the daemon's environment: how many of each example workload there are, and that the watchdog waits for seconds only."""
PLANTED, ORDERS = "planted.json", "orders.json"
HANGS = "hangs"
NEVER = "0 0 29 2 *"
"""A cron that does not pass while a test runs, so that every run has a cause which the test knows."""


def live_workloads(copies: int) -> list[Workload]:
    """The shop alone, or so many copies of both examples."""
    loaded = example_workloads([WORKLOAD]) if copies == 1 else example_workloads(copies=copies)
    return [replace(workload, cron=NEVER) for workload in loaded]


def written(home: Path, name: str) -> Any:
    """What a test wrote for the daemon's processes; nothing before it did."""
    try:
        return json.loads((home / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}


def _behave(settings: Settings, what: str) -> None:
    """Hang as long as it is planted, or raise the planted error."""
    while (planted := written(settings.home, PLANTED).get(what)) == HANGS:
        time.sleep(0.2)
    if planted is not None:
        raise getattr(errors, planted)(f"planted in {what}")


def _landing(workload: Workload) -> dg.AssetsDefinition:
    @dg.asset(
        **declared(workload, "landing"), partitions_def=by_jurisdiction(workload),
        automation_condition=when_missing_or_on_cron(workload.cron),
    )  # fmt: skip
    def landing(context: dg.AssetExecutionContext, stores: CloudStores) -> dg.MaterializeResult:
        with typed_failures(stores, workload):
            _behave(stores.settings, f"landing {context.partition_key}")
            acting = stores.acting(workload, context.partition_key)
            taken = become_original(workload, acting, "landing", stores.snapshots, shared_prober(stores.settings))
            snapshots = stores.snapshots(workload, acting.location, "landing")
            current = snapshots.current()
            assert current is not None
            if taken is not None:
                batch = {f"batch/{acting.epoch:05d}": f"of epoch {acting.epoch}".encode()}
                files = {file.path: file for file in current.files} | batch
                current = commit(snapshots, files, stores.settings.home / "scratch", epoch=acting.epoch).manifest
        return dg.MaterializeResult(data_version=dg.DataVersion(current.snapshot_id))

    return landing


def _features(workload: Workload) -> dg.AssetsDefinition:
    @dg.asset(
        **declared(workload, "feature_snapshot"), deps=[asset_key(workload, "raw_data")], partitions_def=by_location(workload),
        automation_condition=when_upstream_published(),
    )  # fmt: skip
    def feature_snapshot(context: dg.AssetExecutionContext, stores: CloudStores) -> None:
        location = context.partition_key
        with typed_failures(stores, workload):
            acting = stores.acting(workload, workload.placement_of(location).jurisdiction)
            raw = stores.snapshots(workload, location, "raw_data").current()
            assert raw is not None
            content = {"features": raw.snapshot_id.encode()}
            features, scratch = stores.snapshots(workload, location, "feature_snapshot"), stores.settings.home / "scratch"
            commit(features, content, scratch, epoch=acting.epoch, parents={"raw_data": raw.snapshot_id})

    return feature_snapshot


def _nothing(workload: Workload, noun: str) -> dg.AssetsDefinition:
    partitions = by_jurisdiction if noun in ("training_run", "traffic_route") else by_location

    @dg.asset(**declared(workload, noun), partitions_def=partitions(workload))
    def nothing(context: dg.AssetExecutionContext, stores: CloudStores) -> None:
        with typed_failures(stores, workload):
            _behave(stores.settings, f"{noun} {context.partition_key}")

    return nothing


def _assets(workload: Workload) -> list[dg.AssetsDefinition]:
    rest = (_nothing(workload, noun) for noun in ("training_run", "model", "endpoint", "traffic_route"))
    return [_landing(workload), build_raw_data(workload), _features(workload), *rest]


def _orders(settings: Settings) -> dg.SensorDefinition:
    """What a test wants run: each order once."""

    @dg.sensor(
        name="orders", asset_selection=dg.AssetSelection.all(), minimum_interval_seconds=1,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )  # fmt: skip
    def orders(context: dg.SensorEvaluationContext) -> Sequence[dg.RunRequest]:
        _behave(settings, "orders")
        return [
            dg.RunRequest(run_key=key, partition_key=partition, asset_selection=[dg.AssetKey([WORKLOAD, noun])])
            for key, (noun, partition) in written(settings.home, ORDERS).items()
        ]

    return orders


def live_definitions(settings: Settings, workloads: Sequence[Workload], *sensors: dg.SensorDefinition) -> dg.Definitions:
    """These workloads' keys, partitions and automation, with what their runs need."""
    assets = [asset for workload in workloads for asset in _assets(workload)]
    return dg.Definitions.merge(build_resources(settings), dg.Definitions(assets=assets, sensors=sensors))


@dg.definitions
def defs() -> dg.Definitions:
    """The workloads, and every sensor that decides."""
    settings, environment = Settings(), os.environ
    if IMPATIENT in environment:
        watchdog.HANGING_SECONDS = watchdog.WAITING_SECONDS = watchdog.LEFT_SECONDS = 5.0
        watchdog.SILENT_SECONDS = 20.0
    workloads = live_workloads(int(environment.get(COPIES, "1")))
    everything: Callable[[], Sequence[Workload]] = lambda: workloads  # noqa: E731 - the sensors' one argument
    builders = (build_failover, build_recovery, build_repair, build_retraining)
    deciding = [build(everything) for build in builders]
    sensors = [*deciding, watchdog.watchdog, alerting, _orders(settings), *_automation_sensors()]
    return live_definitions(settings, workloads, *sensors)
