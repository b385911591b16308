"""`synthetic_transactions`: asks every endpoint, and every workload's route through the edge, once a minute.

A run for that would cost seconds of processor time each minute, more than all questions together; and of results without
a run Dagster keeps one per check and partition. So the sensor asks by itself, keeps count in its cursor, and leaves
observations of `endpoint` and `traffic_route`: at once when an outcome changes, and a sum every hour. A route that fails
twice is told to people.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import dagster as dg

from mcml_assets.declaration import asset_key
from mcml_assets.domain.alert import Finding
from mcml_assets.domain.errors import CorruptSnapshot
from mcml_assets.domain.synthetic import Outcome, Summary, Tally, tallied
from mcml_assets.domain.workload import Workload
from mcml_assets.resources.alerts import Alerts
from mcml_assets.resources.endpoints import Endpoints
from mcml_assets.resources.packages import held_package
from mcml_assets.resources.stores import CloudStores
from mcml_assets.sensors.pace import every
from mcml_assets.sensors.telling import Telling, tell
from mcml_assets.serving.interfaces import EndpointState
from mcml_assets.serving.manifest import endpoint_name

if TYPE_CHECKING:
    from mcml_assets.serving.package import Golden
    from mcml_assets.serving.synthetic import GoldenOf

INTERVAL_SECONDS = 60
FORMAT = 2
AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is asked: an endpoint (`place` is a location) or a route (a jurisdiction)."""

    workload: Workload
    noun: str
    place: str
    ask: Callable[[], Outcome]

    @property
    def name(self) -> str:
        """Its key in the cursor."""
        return f"{self.workload.name}/{self.noun}|{self.place}"


@dataclass
class Counted:
    """The cursor: a tally for each subject, and what people were told."""

    tallies: dict[str, Tally] = field(default_factory=dict[str, Tally])
    telling: Telling = field(default_factory=Telling)

    @classmethod
    def from_json(cls, text: str | None) -> "Counted":
        """Read a stored cursor; one of another version is forgotten."""
        document = json.loads(text) if text else {}
        if document.pop("format", None) != FORMAT:
            return cls()
        tallies = {name: Tally(**tally) for name, tally in document["tallies"].items()}
        return cls(tallies, Telling.from_document(document["telling"]))

    def to_json(self) -> str:
        """The stored form."""
        tallies = {name: asdict(tally) for name, tally in self.tallies.items()}
        document = {"format": FORMAT, "tallies": tallies, "telling": self.telling.to_document()}
        return json.dumps(document, separators=(",", ":"))


def build_synthetic_transactions(workloads: Callable[[], tuple[Workload, ...]]) -> dg.SensorDefinition:
    """The sensor over all workloads; it requests no run, ever."""

    @dg.sensor(
        name="synthetic_transactions",
        minimum_interval_seconds=every(INTERVAL_SECONDS),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Asks endpoints and routes for golden predictions; tells of a route that fails, and of its end.",
    )
    def synthetic_transactions(
        context: dg.SensorEvaluationContext, stores: CloudStores, endpoints: Endpoints, alerts: Alerts
    ) -> dg.SensorResult:
        counted = Counted.from_json(context.cursor)
        asked = list(subjects(workloads(), stores, endpoints))
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="synthetic") as pool:
            outcomes = list(pool.map(lambda subject: subject.ask(), asked))
        now = datetime.now(UTC)
        tallies: dict[str, Tally] = {}
        observations: list[dg.AssetObservation] = []
        for subject, outcome in zip(asked, outcomes, strict=True):
            slow_past = subject.workload.serving.objectives.latency_milliseconds
            tallies[subject.name], summary = tallied(counted.tallies.get(subject.name), outcome, now.timestamp(), slow_past)
            keep(subject, outcome, tallies[subject.name], endpoints)
            if summary is not None:
                observations.append(observation(subject, summary))
        found = findings(asked, outcomes, tallies)
        undelivered = tell("synthetic_transactions", found, counted.telling, alerts, now)
        for subject, outcome in zip(asked, outcomes, strict=True):
            if not outcome.passed:
                context.log.warning("%s: %s", subject.name, outcome.problem)
        failed = sum(not outcome.passed for outcome in outcomes)
        return dg.SensorResult(
            skip_reason=dg.SkipReason("\n".join([f"{len(asked)} transactions, of which {failed} failed.", *undelivered])),
            asset_events=observations,
            cursor=Counted(tallies, counted.telling).to_json(),
        )

    return synthetic_transactions


def subjects(workloads: Sequence[Workload], stores: CloudStores, endpoints: Endpoints) -> Iterator[Subject]:
    """Every endpoint that should answer, and every jurisdiction that has a route; what was never published is missing."""
    from mcml_assets.serving.synthetic import ask_edge, ask_endpoint  # noqa: PLC0415 - only this sensor asks

    for workload in workloads:
        golden_of = _golden_of(workload, stores)
        for placed in workload.locations:
            status = endpoints.status(workload, placed.key)
            if status.wanted_digest is None or status.state is EndpointState.COLD:
                continue
            address, why = status.address, f"the endpoint is {status.state.value}: {status.message or 'it has no server'}"

            def ask(address: str | None = address, why: str = why, workload: Workload = workload,
                    golden_of: "GoldenOf" = golden_of) -> Outcome:  # fmt: skip
                return ask_endpoint(address, workload.name, golden_of) if address is not None else Outcome(False, why)

            yield Subject(workload, "endpoint", placed.key, ask)
        for jurisdiction in endpoints.routed_jurisdictions(workload):

            def through(
                jurisdiction: str = jurisdiction, workload: Workload = workload, golden_of: "GoldenOf" = golden_of
            ) -> Outcome:
                return ask_edge(endpoints.settings, workload, jurisdiction, golden_of)

            yield Subject(workload, "traffic_route", jurisdiction, through)


def keep(subject: Subject, outcome: Outcome, tally: Tally, endpoints: Endpoints) -> None:
    """Leave an outcome where failover and metrics read it, which ask no Dagster."""
    from mcml_assets.serving.folder import DataPlaneFolder  # noqa: PLC0415 - only this sensor keeps any
    from mcml_assets.serving.synthetic_results import record_synthetic  # noqa: PLC0415 - the same

    name, jurisdiction = f"{subject.workload.name}.{subject.place}", subject.place
    if subject.noun == "endpoint":
        name = endpoint_name(subject.workload.name, subject.place)
        jurisdiction = subject.workload.placed(subject.place).location.jurisdiction
    folder = DataPlaneFolder.of(endpoints.settings)
    record_synthetic(folder, name, outcome.passed, tally.in_a_row, outcome.problem, jurisdiction)


def findings(asked: Sequence[Subject], outcomes: Sequence[Outcome], tallies: dict[str, Tally]) -> Iterator[Finding]:
    """The routes that people should know about: an endpoint that fails behind a route that answers is no emergency."""
    for subject, outcome in zip(asked, outcomes, strict=True):
        if subject.noun == "traffic_route" and tallies[subject.name].to_be_told:
            yield Finding(
                cause=f"synthetic/{subject.workload.name}",
                title=f"{subject.workload.name} does not answer through the edge as it should",
                where=subject.place,
                detail=outcome.problem or "unknown",
            )


def observation(subject: Subject, summary: Summary) -> dg.AssetObservation:
    """What stands in the asset's own page. Numbers are counts of a period, so that they can be added up."""
    last = summary.last
    metadata: dict[str, Any] = {
        "synthetic": "passed" if last.passed else "failed",
        "synthetic_asked": summary.asked,
        "synthetic_failed": summary.failed,
        "synthetic_slow": summary.slow,
        "synthetic_seconds": round(summary.until - summary.since, 1),
        "synthetic_slowest_ms": round(summary.slowest_milliseconds, 1),
        "problem": last.problem or "none",
        "answered_by": last.answered_by or "nobody",
    }
    if last.model_version is not None:
        metadata["model_version"] = last.model_version
    return dg.AssetObservation(asset_key(subject.workload, subject.noun), partition=subject.place, metadata=metadata)


def _golden_of(workload: Workload, stores: CloudStores) -> "GoldenOf":
    def golden_of(location: str, digest: str) -> "Golden":
        if location not in [placed.key for placed in workload.locations]:
            raise CorruptSnapshot(f"{location} answered, where {workload.name} is not placed")
        read = _read(stores.home)
        if digest not in read:
            manifest = stores.snapshots(workload, location, "model").manifest(digest)
            read[digest] = held_package(workload, stores, location, manifest).golden
        return read[digest]

    return golden_of


@cache
def _read(home: str) -> dict[str, "Golden"]:
    """Golden predictions by digest: a package never changes, so a process fetches and verifies it once."""
    return {}
