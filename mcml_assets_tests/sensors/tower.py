"""A control plane for tests: the platform's definitions on an instance, whose sensors tick when a test says so.

Cursors, run keys and events are kept as the daemon keeps them; a requested run is recorded as created, and not executed.
"""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import dagster as dg

from mcml_assets.automation import ERROR_TAG, UNAVAILABLE_TAG
from mcml_assets.build import build_resources, build_workload
from mcml_assets.resources.endpoints import Endpoints
from mcml_assets.resources.stores import CloudStores
from mcml_assets.sensors.cursor import Cursor
from mcml_assets_tests.failover.stage import Stage

JOB = "__ASSET_JOB"
PARTITION_TAG = "dagster/partition"
RUN_KEY_TAG = "dagster/run_key"


class Tower:
    """The sensors over a stage."""

    def __init__(self, stage: Stage, *sensors: dg.SensorDefinition, instance: dg.DagsterInstance | None = None) -> None:
        self.stage = stage
        self.instance = instance or dg.DagsterInstance.ephemeral()
        workloads = [build_workload(workload) for workload in stage.workloads.values()]
        self.definitions = dg.Definitions.merge(
            build_resources(stage.settings), *workloads, dg.Definitions(sensors=list(sensors))
        )
        self.repository = self.definitions.get_repository_def()
        self.sensors = {sensor.name: sensor for sensor in sensors}
        self.cursors: dict[str, str | None] = {}
        self.last_skip: dict[str, str] = {}

    def tick(self, name: str = "failover") -> list[dg.RunRequest]:
        """Evaluate a sensor as the daemon does, store its cursor and events, and return the runs that are new."""
        self.stage.beat()
        data = self.evaluate(name)
        for event in data.asset_events:
            self.instance.report_runless_asset_event(event)  # pyright: ignore[reportArgumentType] - observations among them
        self.cursors[name] = data.cursor
        self.last_skip[name] = data.skip_message or ""
        return [request for request in data.run_requests or [] if self._is_new(request, name)]

    def evaluate(self, name: str = "failover"):
        """One evaluation, of which nothing is kept: what a daemon that dies right then leaves behind."""
        resources: Mapping[str, Any] = {
            "stores": CloudStores.from_settings(self.stage.settings),
            "endpoints": Endpoints.from_settings(self.stage.settings),
        }
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursors.get(name), repository_def=self.repository, sensor_name=name,
            resources=dict(resources),
        ) as context:  # fmt: skip
            return self.repository.get_sensor_def(name).evaluate_tick(context)

    def finish(self) -> None:
        """Let all requested runs succeed."""
        for run in self.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
            self.instance.report_run_canceled(run)

    def fail(self, workload: str, noun: str, partition: str, error: str | None = None, unavailable: str | None = None) -> str:
        """Record a failed run: with the tags that its typed error left, or without any, as a killed process."""
        run_id = str(uuid4())
        tags = {PARTITION_TAG: partition}
        tags |= {ERROR_TAG: error} if error else {}
        tags |= {UNAVAILABLE_TAG: unavailable} if unavailable else {}
        run = dg.DagsterRun(
            JOB, run_id, tags=tags, status=dg.DagsterRunStatus.STARTED,
            asset_selection=frozenset({dg.AssetKey([workload, noun])}),
        )  # fmt: skip
        self.instance.add_run(run)
        self.instance.report_run_failed(run)
        return run_id

    def acting(self, workload: str, jurisdiction: str) -> tuple[str, int]:
        """Who acts by the register, and in which epoch."""
        stores = CloudStores.from_settings(self.stage.settings)
        acting = stores.register.read(self.stage.workloads[workload], jurisdiction)
        return acting.location, acting.epoch

    def acting_known(self, workload: str, jurisdiction: str) -> tuple[str, int]:
        """Who acts by what the failover sensor remembers: for when too few stores of the register answer."""
        known = Cursor.from_json(self.cursors["failover"]).acting[f"{workload}/{jurisdiction}"]
        return known.location, known.epoch

    def told(self, workload: str, jurisdiction: str) -> list[str]:
        """The decisions that were told about a jurisdiction's route, oldest first."""
        records = self.instance.fetch_observations(
            dg.AssetRecordsFilter(dg.AssetKey([workload, "traffic_route"]), asset_partitions=[jurisdiction]), limit=100
        ).records
        observations = [record.event_log_entry.asset_observation for record in reversed(records)]
        return [observation.description or "" for observation in observations if observation is not None]

    def _is_new(self, request: dg.RunRequest, name: str) -> bool:
        """Whether no run of this key was requested before; records it, as the daemon does."""
        tags = {**request.tags, RUN_KEY_TAG: request.run_key or "", PARTITION_TAG: request.partition_key or ""}
        known = self.instance.get_runs_count(dg.RunsFilter(tags={RUN_KEY_TAG: request.run_key or ""}))
        if request.run_key and known:
            return False
        run = dg.DagsterRun(
            JOB, str(uuid4()), tags={**tags, "dagster/sensor_name": name},
            asset_selection=frozenset(request.asset_selection or ()), status=dg.DagsterRunStatus.STARTED,
        )  # fmt: skip
        self.instance.add_run(run)
        return True


def asked(requests: list[dg.RunRequest]) -> list[tuple[str, list[str]]]:
    """What was requested: each run's partition and assets, as `workload/noun`."""
    return sorted(
        (request.partition_key or "", sorted(key.to_user_string() for key in request.asset_selection or ()))
        for request in requests
    )
