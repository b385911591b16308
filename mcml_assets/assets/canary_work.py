"""The work of `canary_training`: from what a location holds to a judged canary beside the served model, in the run's process
or in a worker's.

What crosses from one process to another is JSON, and no row of data. When a canary trains, whether it agrees and where the
evidence goes is `canary_training.py`'s business, fitting and tracking `training_work.py`'s.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import dagster as dg

from mcml_assets.asset_checks.quality import evaluation_metadata, quality_figures
from mcml_assets.assets.training_work import as_json, tracked, train_here
from mcml_assets.declaration import code_version
from mcml_assets.domain.canary import Compared
from mcml_assets.domain.errors import ObjectNotFound
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.domain.workload import Workload
from mcml_assets.resources.packages import held_package, served_answers
from mcml_assets.resources.stores import CloudStores

if TYPE_CHECKING:
    from mcml_assets.training.candidate import Candidate
    from mcml_assets.training.judgement import Quality


@dataclass(frozen=True, slots=True)
class Held:
    """What a canary starts from in its location: the features, the raw data they were made of, and the model."""

    features: Manifest
    raw: Manifest
    model: Manifest

    @property
    def parents(self) -> dict[str, str]:
        return {"feature_snapshot": self.features.snapshot_id, "model": self.model.snapshot_id}

    def as_task(self) -> dict[str, Any]:
        """What a worker needs to find the same in its bucket."""
        return {**self.parents, "raw_data": self.raw.snapshot_id}


@dataclass(frozen=True, slots=True)
class Canary:
    """A judged canary beside the served model; the figures are those of `quality` and of the asset, as JSON."""

    passed: bool
    description: str
    check: Mapping[str, Any]
    asset: Mapping[str, Any]
    compared: Compared


def held(workload: Workload, stores: CloudStores, location: str) -> Held:
    """What this location holds. Raises `ObjectNotFound` where something is lacking."""
    features = stores.snapshots(workload, location, "feature_snapshot").current()
    model = stores.snapshots(workload, location, "model").current()
    if features is None or model is None:
        lacking = "features" if features is None else "model"
        raise ObjectNotFound(f"{location} holds no {lacking} of {workload.name} yet, so there is nothing to compare")
    return Held(features, stores.snapshots(workload, location, "raw_data").manifest(features.parents["raw_data"]), model)


def canary_task(
    workload: Workload, stores: CloudStores, location: str, task: Mapping[str, Any], profile: str, wanted: str, run_id: str
) -> dict[str, Any]:
    """What a worker does, tracked as a part of the run that asked for it.

    A canary is compared with the served model in any case, so a profile that stands in for another needs no more.
    """
    del profile, wanted
    found = {noun: stores.snapshots(workload, location, noun).manifest(snapshot) for noun, snapshot in task.items()}
    inputs = Held(found["feature_snapshot"], found["raw_data"], found["model"])
    run = dg.DagsterRun("__ASSET_JOB", run_id=run_id)
    with dg.DagsterInstance.ephemeral() as instance:
        return asdict(train_canary(workload, stores, location, inputs, run=run, instance=instance))


def canary_of(result: Mapping[str, Any]) -> Canary:
    """What a worker gave back."""
    return Canary(**{**result, "compared": Compared(**result["compared"])})


def train_canary(
    workload: Workload, stores: CloudStores, location: str, inputs: Held, *, run: dg.DagsterRun, instance: dg.DagsterInstance
) -> Canary:
    """Train, judge and track a canary, and compare it with the model that the location holds."""
    from mcml_assets.training.judgement import judge  # noqa: PLC0415 - pandas, only when a model is trained
    from mcml_assets.training.tracking import log_candidate  # noqa: PLC0415 - MLflow, 2 s

    with (
        TemporaryDirectory() as scratch,
        tracked(run, instance, workload, stores, location, {"mcml.canary": "true"}) as mlflow,
    ):
        candidate = train_here(workload, stores, location, inputs.features, inputs.raw, Path(scratch))
        quality = judge(workload, candidate, served_answers(workload, stores, location, candidate))
        plots = log_candidate(mlflow, candidate, workload=workload, snapshots=inputs.parents, quality=quality)
    description, figures = quality_figures(workload, candidate.evaluation, quality, plots["calibration"])
    asset = {
        "training_seconds": candidate.seconds,
        "mlflow_run": mlflow.run_id,
        **evaluation_metadata(candidate.evaluation),
    }
    compared = _compared(workload, stores, location, inputs, candidate, quality)
    return Canary(quality.decision.passed, description, as_json(figures), as_json(asset), compared)


def _compared(
    workload: Workload, stores: CloudStores, location: str, inputs: Held, candidate: "Candidate", quality: "Quality"
) -> Compared:
    import numpy as np  # noqa: PLC0415 - 0.2 s, only when a model is trained

    from mcml_assets.serving.package import golden_inputs  # noqa: PLC0415 - the same

    served, over = quality.served, quality.over_served
    problem = None if served is None or served.scores is not None else f"the served model cannot be asked: {served.problem}"
    golden = None
    package = held_package(workload, stores, location, inputs.model)
    if problem is None and set(package.schema.model_inputs) == set(candidate.x_train.columns):
        scores = np.asarray(candidate.model.predict_proba(golden_inputs(package)[candidate.x_train.columns]))[:, 1]
        golden = float(np.abs(scores - np.asarray(package.golden.predictions)).mean())
    return Compared(
        metric=workload.training.metric,
        difference=over.value if over is not None else None,
        rows=quality.compared_rows,
        golden_difference=golden,
        same_data=inputs.features.parents["raw_data"] == inputs.model.parents["raw_data"],
        same_code=inputs.model.code_version == code_version(workload),
        problem=problem,
    )
