"""`python -m mcml_assets_tests.benchmarks.sensors`: what a tick costs when there is nothing new, by sensor.

Workloads are copies of `online_retail` under names of their own, three locations in each of two jurisdictions, on local
clouds with a few bytes of data; Dagster's instance is real, in sqlite files. A tick is measured from the stored cursor to
the next one, with the resources that it opens; the daemon's own part, a call of its code server, is Dagster's. Where the
machine has other work, the processor's time says what a tick costs by itself: it stands where others have a peer.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg
from sqlalchemy import Engine, event

from mcml_assets.build import build_resources, build_workload
from mcml_assets.resources.alerts import Alerts
from mcml_assets.resources.endpoints import Endpoints
from mcml_assets.resources.stores import CloudStores
from mcml_assets.sensors.alerting import alerting
from mcml_assets.sensors.endpoint_health import endpoint_health
from mcml_assets.sensors.failover import build_failover
from mcml_assets.sensors.recovery import SETTLED_SECONDS, build_recovery
from mcml_assets.sensors.repair import build_repair
from mcml_assets.sensors.retraining import build_retraining
from mcml_assets.sensors.watchdog import watchdog
from mcml_assets_tests.benchmarks.repeated_events import repeat_events, repeat_history
from mcml_assets_tests.benchmarks.report import Result, publish, seconds
from mcml_assets_tests.failover.stage import Stage, example_workloads

SMALL, HISTORIC, WHOLE, MANY = 1, 5, 100, 167
"""Workloads; a workload has 6 locations, so these are 6, 30, 600 and 1,002 partitions of each asset by location."""
AUTOMATED = 44
"""Workloads that have some 400 assets together."""
SHORT_HISTORY, LONG_HISTORY = 1_000, 50_000
# Thousands of small files are written before the ticks that are measured; those read, and what was read is in memory too.
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - in folders of our own
WARM_TICKS, TICKS = 4, 15


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds of one sensor's tick with nothing new, of processor time in it, of the first tick, and the most queries."""

    usual: float
    processor: float
    first: float
    queries: int


class Queries:
    """Counts the statements that any database of this process is sent."""

    def __init__(self) -> None:
        self.sent = 0
        event.listen(Engine, "before_cursor_execute", self._count)

    def _count(self, *_: object) -> None:
        self.sent += 1


class Plane:
    """A control plane over generated workloads, where all is well."""

    def __init__(self, folder: Path, home: Path, instance: dg.DagsterInstance, count: int) -> None:
        shop = example_workloads(["online_retail"])[0]
        self.instance = instance
        self.home = home
        self.stage = Stage(folder / "home", [replace(shop, name=f"shop_{number:03d}") for number in range(count)])
        workloads = list(self.stage.workloads.values())
        over_all = (build_recovery, build_repair, build_retraining)
        failover = build_failover(lambda: workloads, look_again_seconds=0.0)  # both looks count, the wait between them does not
        sensors = [failover, *(build(lambda: workloads) for build in over_all), watchdog, alerting, endpoint_health]
        self.names = [sensor.name for sensor in sensors]
        self.definitions = dg.Definitions.merge(
            build_resources(self.stage.settings),
            *(build_workload(workload) for workload in workloads),
            dg.Definitions(sensors=sensors),
        )
        self.repository = self.definitions.get_repository_def()
        self.cursors: dict[str, str | None] = {}
        self.events = 0

    def fill(self) -> None:
        """Data in every location, and in Dagster one materialization and passed checks for every partition."""
        self.stage.fill()
        first, *others = self.stage.workloads
        graph = self.repository.asset_graph
        for key in sorted(graph.executable_asset_keys):
            if key.path[0] == first:
                for partition in self._partitions(key):
                    self.instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition))
        for check in sorted(graph.asset_check_keys, key=str):
            if check.asset_key.path[0] == first:
                for partition in self._partitions(check.asset_key):
                    self.instance.report_runless_asset_event(
                        dg.AssetCheckEvaluation(check.asset_key, check.name, passed=True, metadata={}, partition=partition)
                    )
        self.events = repeat_events(self.home, first, others)
        landing = dg.AssetKey([first, "landing"])
        self.instance.add_run(dg.DagsterRun(
            "__ASSET_JOB", tags={"dagster/partition": "UK"}, status=dg.DagsterRunStatus.SUCCESS,
            asset_selection=frozenset({landing}),
        ))  # fmt: skip

    def age(self, events: int) -> None:
        """Add to the history until so many events are stored, each tenth with the run that made it."""
        self.events = repeat_history(self.home, events)

    def costs(self, queries: Queries) -> Mapping[str, Cost]:
        """Ticks of each sensor in turns, after those in which it got to know the world."""
        time.sleep(SETTLED_SECONDS + 3)  # what is younger is news
        first = {name: self._tick(name, queries)[0] for name in self.names}
        for _ in range(WARM_TICKS):
            for name in self.names:
                self._tick(name, queries)
        while json.loads(self.cursors["alerting"] or "{}")["unread"]:
            self._tick("alerting", queries)  # which reads all there is by and by, once
        ticks = [{name: self._tick(name, queries) for name in self.names} for _ in range(TICKS)]
        return {
            name: Cost(
                usual=median(one[name][0] for one in ticks),
                processor=median(one[name][1] for one in ticks),
                first=first[name],
                queries=max(one[name][2] for one in ticks),
            )
            for name in self.names
        }

    def _tick(self, name: str, queries: Queries) -> tuple[float, float, int]:
        self.stage.beat()
        sent, processor = queries.sent, time.process_time()
        took = 1000 * seconds(lambda: self._evaluate(name))
        return took, 1000 * (time.process_time() - processor), queries.sent - sent

    def _evaluate(self, name: str) -> None:
        settings = self.stage.settings
        resources: dict[str, Any] = {
            "stores": CloudStores.from_settings(settings),
            "endpoints": Endpoints.from_settings(settings),
            "alerts": Alerts.from_settings(settings),
        }
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursors.get(name), repository_def=self.repository, sensor_name=name,
            resources=resources,
        ) as context:  # fmt: skip
            data = self.repository.get_sensor_def(name).evaluate_tick(context)
        if data.run_requests:
            raise SystemExit(f"{name} requests {data.run_requests}, although nothing happened")
        self.cursors[name] = data.cursor

    def _partitions(self, key: dg.AssetKey) -> Sequence[str]:
        partitions = self.repository.asset_graph.get(key).partitions_def
        return partitions.get_partition_keys() if partitions is not None else []


@contextmanager
def plane(count: int) -> Iterator[Plane]:
    """A control plane in a folder of its own."""
    with (
        TemporaryDirectory(dir=MEMORY) as scratch,
        TemporaryDirectory(dir=MEMORY) as home,
        dg.DagsterInstance.local_temp(home) as instance,
    ):
        made = Plane(Path(scratch), Path(home), instance, count)
        made.fill()
        yield made


def main() -> None:
    """Run everything and publish `build/bench/sensors.json`."""
    queries = Queries()
    results = [*_many_partitions(queries), *_whole_tick(queries), *_history(queries), *_automation()]
    publish("sensors", results)


def _many_partitions(queries: Queries) -> list[Result]:
    with plane(SMALL) as small:
        few = small.costs(queries)
    with plane(MANY) as large:
        many = large.costs(queries)
    bodies = [
        Result(f"{name}, {6 * MANY:,} partitions; of it the processor", "ours <= 100", cost.usual, cost.processor, "ms")
        for name, cost in many.items()
    ]
    sent = [
        Result(f"{name}, queries there against {6 * SMALL} partitions", "ours <= 25", many[name].queries, few[name].queries, "")
        for name in many
    ]
    return [*bodies, *sent]


def _whole_tick(queries: Queries) -> list[Result]:
    with plane(WHOLE) as whole:
        costs = whole.costs(queries)
    usual, processor, first = (
        sum(getattr(cost, figure) for cost in costs.values()) for figure in ("usual", "processor", "first")
    )
    name = f"all sensors, {WHOLE} workloads x 6 locations, {whole.events:,} events; of it the processor"
    return [
        Result(name, "ours <= 1000", usual, processor, "ms"),
        Result("the same when the control plane has just started", "", first, None, "ms"),
    ]


def _history(queries: Queries) -> list[Result]:
    with plane(HISTORIC) as historic:
        historic.age(SHORT_HISTORY)
        short = historic.costs(queries)
        historic.age(LONG_HISTORY)
        long = historic.costs(queries)
    name = f"all sensors, {HISTORIC} workloads, {LONG_HISTORY:,} events against {SHORT_HISTORY:,}, the processor"
    ours, peer = (sum(cost.processor for cost in costs.values()) for costs in (long, short))
    return [Result(name, "ratio <= 1.2", ours, peer, "ms")]


def _automation() -> list[Result]:
    """The conditions of all assets, evaluated as the daemon does: everything is there, and nothing became due."""
    with plane(AUTOMATED) as automated:
        evaluated = dg.evaluate_automation_conditions(automated.definitions, automated.instance)
        times: list[tuple[float, float]] = []
        for _ in range(5):
            began, processor = time.perf_counter(), time.process_time()
            evaluated = dg.evaluate_automation_conditions(automated.definitions, automated.instance, cursor=evaluated.cursor)
            times.append((time.perf_counter() - began, time.process_time() - processor))
        count = len(automated.repository.asset_graph.executable_asset_keys)
    usual, processor = (median(column) for column in zip(*times, strict=True))
    name = f"automation conditions of {count} assets, Dagster's own; of it the processor"
    return [Result(name, "", usual, processor, "s")]


if __name__ == "__main__":
    main()
