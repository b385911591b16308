"""What Prometheus is told of promises: each workload's objectives, replication lag, and how synthetic transactions went.

Objectives are read from the declarations, so that the rules judge each workload by its own; the others are read from the
data plane's folder, where those who looked left them. Serving the metrics is `data_plane_metrics.py`'s business.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from mcml_assets.configuration.settings import DEFS, Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.configuration.workload import find_workload_files, load_workloads
from mcml_assets.domain.error_budget import DEFAULT_OBJECTIVES, Objective, Objectives
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.workload import Workload
from mcml_assets.serving.edge.attempts import BUCKETS
from mcml_assets.serving.folder import DataPlaneFolder
from mcml_assets.serving.lag_watch import seen_lag
from mcml_assets.serving.routes import read_routes
from mcml_assets.serving.synthetic_results import counted_synthetic

ENDPOINT, ANSWERER = ("workload", "location"), ("route", "location")


class Declarations:
    """The declared workloads, read again when a file has changed; of one that cannot be read the former declaration."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._read: tuple[tuple[str, int], ...] = ()
        self._workloads: dict[str, Workload] = {}

    def workloads(self) -> dict[str, Workload]:
        """By name."""
        files = [self.settings.topology_file, *find_workload_files(DEFS)]
        present = tuple((str(file), file.stat().st_mtime_ns) for file in files)
        if present != self._read:
            try:
                workloads, _ = load_workloads(DEFS, load_topology(self.settings.topology_file))
            except ConfigurationError:
                return self._workloads  # `mcml doctor` says what is wrong with the topology
            self._workloads = self._workloads | {workload.name: workload for workload in workloads}
            self._read = present
        return self._workloads


class PromiseMetrics(Collector):
    """Gauges and counters of one data plane."""

    def __init__(self, settings: Settings) -> None:
        self.folder = DataPlaneFolder.of(settings)
        self.declarations = Declarations(settings)

    def collect(self) -> Iterator[Metric]:
        """What is so now."""
        declared = self.declarations.workloads()
        yield from self._objectives(declared)
        yield from self._recovery_point(declared)
        yield from self._lag()
        yield from self._synthetic()

    def _objectives(self, declared: dict[str, Workload]) -> Iterator[Metric]:
        budget = GaugeMetricFamily(
            "mcml_objective_error_budget_ratio", "Share of answers that may be bad.", labels=("route", "objective")
        )
        bound = GaugeMetricFamily(
            "mcml_objective_latency_bound",
            "1 for the bucket of answers within the objective's time: the next bound of the edge's histogram.",
            labels=("route", "le"),
        )
        period = GaugeMetricFamily("mcml_objective_period_days", "Days that an error budget is for.", labels=("route",))
        promised = {
            f"{workload.name}.{placement.jurisdiction}": workload.serving.objectives
            for workload in declared.values()
            for placement in workload.placements
        }
        # The edge may obey a route of a workload that is declared no more: it was promised nothing else.
        promised = {route.name: DEFAULT_OBJECTIVES for route in read_routes(self.folder)} | promised
        for route, objectives in sorted(promised.items()):
            for objective in Objective:
                budget.add_metric((route, objective.value), objectives.allowed(objective))
            bound.add_metric((route, latency_bound(objectives)), 1)
            period.add_metric((route,), objectives.period_days)
        yield from (budget, bound, period)

    def _recovery_point(self, declared: dict[str, Workload]) -> Iterator[Metric]:
        rpo = GaugeMetricFamily("mcml_objective_recovery_point_seconds", "How old data may be.", labels=("workload",))
        for workload in declared.values():
            rpo.add_metric((workload.name,), workload.rpo_seconds)
        yield rpo

    def _lag(self) -> Iterator[Metric]:
        lag = GaugeMetricFamily(
            "mcml_replication_lag_seconds", "Age of the newest snapshot that the location lacks; 0 for none.", labels=ENDPOINT
        )
        known = GaugeMetricFamily("mcml_replication_lag_known", "0 while nobody can tell the lag.", labels=ENDPOINT)
        now = datetime.now(UTC)
        for name in self.folder.wanted_names():
            seen = seen_lag(self.folder, name)
            seconds = seen.seconds(now) if seen is not None else None
            labels = name.split("@", 1)
            known.add_metric(labels, float(seconds is not None))
            if seconds is not None:
                lag.add_metric(labels, seconds)
        yield from (lag, known)

    def _synthetic(self) -> Iterator[Metric]:
        asked = CounterMetricFamily(
            "mcml_synthetic_transactions", "Synthetic transactions; without a location they went through the edge.",
            labels=ANSWERER,
        )  # fmt: skip
        failed = CounterMetricFamily("mcml_synthetic_transactions_failed", "Those that failed.", labels=ANSWERER)
        passed = GaugeMetricFamily("mcml_synthetic_passed", "Whether the last one passed.", labels=ANSWERER)
        at = GaugeMetricFamily("mcml_synthetic_timestamp_seconds", "When the last one was.", labels=ANSWERER)
        for said in counted_synthetic(self.folder):
            labels = (said.route, said.location)
            asked.add_metric(labels, said.asked)
            failed.add_metric(labels, said.failed)
            passed.add_metric(labels, float(said.passed))
            at.add_metric(labels, datetime.fromisoformat(said.at).timestamp())
        yield from (asked, failed, passed, at)


def latency_bound(objectives: Objectives) -> str:
    """The edge's next bucket, as Prometheus calls it."""
    return next((f"{bound:g}" for bound in BUCKETS if bound >= objectives.latency_milliseconds), "+Inf")
