"""`retraining`: drift past the second threshold at the acting location asks for a training run, once for each reference.

The reference is what the served model learnt from, stored with it; a new model brings a new one. The candidate still has
to pass the quality gate. A model that learnt from the very rows that drifted is not trained again: it would only bring the
same model, and with it a new reference, without end. Nor is one asked for while a training run is under way.

Bound: one run for each workload, jurisdiction and published features.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import dagster as dg

from mcml_assets.domain.errors import McmlError
from mcml_assets.domain.workload import Workload
from mcml_assets.failover.takeover import originals
from mcml_assets.resources.stores import CloudStores
from mcml_assets.sensors.check_results import FailedCheck, new_failed_checks
from mcml_assets.sensors.cursor import remembered, seen, stored
from mcml_assets.sensors.failures import PARTITION_TAG, Seen
from mcml_assets.sensors.pace import every
from mcml_assets.sensors.recovery import UNFINISHED

INTERVAL_SECONDS = 30
WANTED: Mapping[str, tuple[str, ...]] = {"drift": ("feature_snapshot", "endpoint")}
RETRAINING_TAG = "mcml/retraining"
FORMAT = 1


@dataclass
class Asked:
    """The sensor's memory: how far results were read, and the reference that a training was last asked for."""

    seen: Seen | None = None
    references: dict[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def from_json(cls, text: str | None) -> "Asked":
        """Read a stored cursor; one of another version is forgotten."""
        document = remembered(text, FORMAT)
        if document is None:
            return cls()
        return cls(seen(document["seen"]), document["references"])

    def to_json(self) -> str:
        """The stored form."""
        return stored(self, FORMAT)


def build_retraining(workloads: Callable[[], Sequence[Workload]]) -> dg.SensorDefinition:
    """The sensor over the workloads that `workloads` gives."""

    @dg.sensor(
        name="retraining",
        asset_selection=dg.AssetSelection.all(),
        minimum_interval_seconds=every(INTERVAL_SECONDS),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Asks for a training run when features or predictions drifted past the second threshold; once for each "
        "reference. The new model still has to pass the gates.",
    )
    def retraining(context: dg.SensorEvaluationContext, stores: CloudStores) -> dg.SensorResult:
        """One tick; see the module."""
        asked = Asked.from_json(context.cursor)
        by_name = {workload.name: workload for workload in workloads()}
        now = datetime.now(UTC).timestamp()
        failed, asked.seen = new_failed_checks(context.instance, asked.seen, by_name, WANTED, now=now)
        requests: list[dg.RunRequest] = []
        events: list[dg.AssetObservation] = []
        for one in failed:
            request = _request(by_name[one.workload], one, stores, asked, context.instance)
            if request is not None:
                requests.append(request)
                events.append(_told(one, request.partition_key or ""))
        skipped = None if requests else dg.SkipReason("Nothing drifted past the second threshold that was not asked for.")
        return dg.SensorResult(run_requests=requests or None, skip_reason=skipped, cursor=asked.to_json(), asset_events=events)

    return retraining


def _request(
    workload: Workload, failed: FailedCheck, stores: CloudStores, asked: Asked, instance: dg.DagsterInstance
) -> dg.RunRequest | None:
    """The training run, if this drift is one of the acting location and its reference was not yet answered."""
    reference = failed.metadata.get("model")
    if failed.level != "ERROR" or not isinstance(reference, str):
        return None  # a warning, or something that could not be judged
    jurisdiction = workload.placement_of(failed.partition).jurisdiction
    key = f"{workload.name}/{jurisdiction}"
    try:
        acts = stores.acting(workload, jurisdiction).location == failed.partition
        learnt = _learnt_from_newest(workload, failed.partition, stores)
    except McmlError:
        return None  # who acts, or what is there, cannot be told: the next landing's check asks again
    if not acts or learnt or asked.references.get(key) == reference or _trains(instance, workload, jurisdiction):
        return None
    asked.references[key] = reference
    return dg.RunRequest(
        run_key=f"retraining/{key}/{reference}",
        partition_key=jurisdiction,
        asset_selection=[dg.AssetKey([workload.name, "training_run"])],
        tags={RETRAINING_TAG: reference},
    )


def _trains(instance: dg.DagsterInstance, workload: Workload, jurisdiction: str) -> bool:
    """Whether a training run is under way: new features cause one, and the check that saw them drift ends after that."""
    key = dg.AssetKey([workload.name, "training_run"])
    runs = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED, tags={PARTITION_TAG: jurisdiction}))
    return any(key in (run.asset_selection or ()) for run in runs)


def _learnt_from_newest(workload: Workload, location: str, stores: CloudStores) -> bool:
    """Whether the newest model trained there was made of the newest features; True where there are none."""
    features = stores.snapshots(workload, location, "feature_snapshot").current_pointer()
    trained = originals(workload, location, "training_run", stores.snapshots).current()
    return features is None or (trained is not None and trained.parents.get("feature_snapshot") == features.snapshot_id)


def _told(failed: FailedCheck, jurisdiction: str) -> dg.AssetObservation:
    reference = failed.metadata["model"]
    return dg.AssetObservation(
        dg.AssetKey([failed.workload, "training_run"]),
        partition=jurisdiction,
        description=f"{failed.noun} drifted from model {reference} in {failed.partition}: a training run is requested",
        metadata={"decision": "trains", "reference": reference, "drifted": failed.noun, "location": failed.partition},
    )
