"""The work of `training_run`: from a location's features to a judged candidate and its package, in the run's process or in a
worker's.

What crosses from one process to another is JSON, and no row of data. Who trains, when, and what becomes of the package
is `training_run.py`'s business.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import dagster as dg

from mcml_assets.asset_checks.quality import evaluation_metadata, quality_figures
from mcml_assets.assets.feature_work import feast_repository
from mcml_assets.declaration import code_version, now
from mcml_assets.domain.acting import Acting
from mcml_assets.domain.snapshot import Manifest, snapshot_watermark
from mcml_assets.domain.workload import Workload
from mcml_assets.resources.packages import HELD_OUT_FROM, served_answers
from mcml_assets.resources.stores import CloudStores

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from mcml_assets.training.candidate import Candidate
    from mcml_assets.training.tracking import TrackedRun


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a training starts from: where, and the snapshots it reads there."""

    jurisdiction: str
    acting: Acting
    features: Manifest
    raw: Manifest
    version: int

    @property
    def parents(self) -> dict[str, str]:
        return {"feature_snapshot": self.features.snapshot_id, "raw_data": self.raw.snapshot_id}

    def as_task(self) -> dict[str, Any]:
        """What a worker needs to find the same inputs in its bucket."""
        return {
            "jurisdiction": self.jurisdiction,
            "epoch": self.acting.epoch,
            "version": self.version,
            "feature_snapshot": self.features.snapshot_id,
            "raw_data": self.raw.snapshot_id,
        }


@dataclass(frozen=True, slots=True)
class Trained:
    """A judged candidate; `snapshot` is the id of its package, stored and not yet current, or None for a refused one.

    The figures are those of the check and of the asset, as JSON: Markdown is `{"md": text}`.
    """

    snapshot: str | None
    reason: str
    description: str
    check: Mapping[str, Any]
    asset: Mapping[str, Any]

    def figures(self, of: str) -> dict[str, Any]:
        """The metadata of the `check` or the `asset`."""
        return as_metadata(getattr(self, of))


def train_task(
    workload: Workload, stores: CloudStores, location: str, task: Mapping[str, Any], profile: str, wanted: str, run_id: str
) -> dict[str, Any]:
    """What a worker does, tracked as a part of the run that asked for it."""
    inputs = Inputs(
        task["jurisdiction"],
        Acting(location, task["epoch"]),
        stores.snapshots(workload, location, "feature_snapshot").manifest(task["feature_snapshot"]),
        stores.snapshots(workload, location, "raw_data").manifest(task["raw_data"]),
        task["version"],
    )
    run = dg.DagsterRun("__ASSET_JOB", run_id=run_id)
    with dg.DagsterInstance.ephemeral() as instance:
        return asdict(train(workload, stores, inputs, run=run, instance=instance, profiles=(wanted, profile)))


def train(
    workload: Workload,
    stores: CloudStores,
    inputs: Inputs,
    *,
    run: dg.DagsterRun,
    instance: dg.DagsterInstance,
    profiles: tuple[str, str] | None = None,
) -> Trained:
    """Train, judge, track, and store the package of a candidate that passed.

    `profiles` are the wanted one and the one that trains; where they differ, equivalence is judged too.
    """
    from mcml_assets.training.equivalence import equivalence  # noqa: PLC0415 - numpy, only when a model is trained
    from mcml_assets.training.figures import as_markdown  # noqa: PLC0415 - the same
    from mcml_assets.training.judgement import judge  # noqa: PLC0415 - pandas, the same
    from mcml_assets.training.tracking import log_candidate  # noqa: PLC0415 - MLflow, 2 s

    location = inputs.acting.location
    tags = {"mcml.version": str(inputs.version), "mcml.epoch": str(inputs.acting.epoch)}
    with TemporaryDirectory() as scratch:
        # A refused candidate is a finished experiment: MLflow keeps it with its figures.
        with tracked(run, instance, workload, stores, location, tags) as mlflow:
            candidate = train_here(workload, stores, location, inputs.features, inputs.raw, Path(scratch))
            served = served_answers(workload, stores, location, candidate)
            quality = judge(workload, candidate, served)
            if profiles is not None and profiles[0] != profiles[1]:
                found = equivalence(workload, candidate, served, *profiles)
                quality = replace(quality, judgements={**quality.judgements, "equivalence": found})
            plots = log_candidate(mlflow, candidate, workload=workload, snapshots=inputs.parents, quality=quality)
        description, figures = quality_figures(workload, candidate.evaluation, quality, plots["calibration"])
        snapshot = None
        if quality.decision.passed:
            stored = _store(workload, stores, inputs, candidate, mlflow.run_id, Path(scratch) / "package")
            snapshot = stored.snapshot_id
    asset = {
        "model_version": inputs.version,
        "trained_at": location,
        "training_seconds": candidate.seconds,
        "mlflow_run": mlflow.run_id,
        "trained_on": inputs.features.snapshot_id[:12],
        **evaluation_metadata(candidate.evaluation),
        **{name: dg.MetadataValue.md(as_markdown(name, png)) for name, png in plots.items()},
    }
    return Trained(snapshot, quality.decision.reason, description, as_json(figures), as_json(asset))


def as_json(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Figures as they cross from one process to another."""
    return {
        name: {"md": value.md_str} if isinstance(value, dg.MarkdownMetadataValue) else value for name, value in metadata.items()
    }


def as_metadata(written: Mapping[str, Any]) -> dict[str, Any]:
    """Figures as Dagster takes them, from what `as_json` made."""
    return {name: dg.MetadataValue.md(value["md"]) if isinstance(value, dict) else value for name, value in written.items()}


def tracked(
    run: dg.DagsterRun,
    instance: dg.DagsterInstance,
    workload: Workload,
    stores: CloudStores,
    location: str,
    tags: Mapping[str, str],
) -> "AbstractContextManager[TrackedRun]":
    """An MLflow run in this location's cloud, for one training."""
    from mcml_assets.training.tracking import tracked_run  # noqa: PLC0415 - MLflow, 2 s
    from mcml_assets.training.tracking_database import reach_registry  # noqa: PLC0415 - the same

    return tracked_run(
        reach_registry(location, stores.settings),
        workload=workload,
        jurisdiction=workload.placement_of(location).jurisdiction,
        location=location,
        tags=tags,
        dagster_run=run,
        instance=instance,
    )


def train_here(
    workload: Workload, stores: CloudStores, location: str, features: Manifest, raw: Manifest, scratch: Path
) -> "Candidate":
    """Train and judge a candidate on what this location holds."""
    from mcml_assets.training.candidate import train_candidate  # noqa: PLC0415 - pandas, only when a model is trained
    from mcml_assets.training.labelled import labelled_rows  # noqa: PLC0415 - the same

    stores.snapshots(workload, location, "raw_data").fetch(raw, scratch / "raw")
    repository = feast_repository(workload, stores, location, features)
    rows = labelled_rows(workload, scratch / "raw", snapshot_watermark(features), repository)
    ray = stores.topology.location(location).compute.ray
    return train_candidate(workload, rows.x, rows.y, entities=rows.entities, times=rows.times, ray=ray)


def _store(
    workload: Workload, stores: CloudStores, inputs: Inputs, candidate: "Candidate", run_id: str, folder: Path
) -> Manifest:
    """Package the candidate and store the package as the snapshot that every location copies once it is published."""
    from mcml_assets.drift.reference import build_reference  # noqa: PLC0415 - numpy, only when a package is written
    from mcml_assets.serving.package import write_package  # noqa: PLC0415 - only when a package is written

    created_at = now()
    write_package(
        folder,
        model=candidate.model,
        workload=workload,
        jurisdiction=inputs.jurisdiction,
        version=inputs.version,
        snapshots=inputs.parents,
        mlflow_run_id=run_id,
        x_sample=candidate.x_test,
        created_at=created_at,
        reference=build_reference(candidate.x_train, candidate.scores),
    )
    files = {str(file.relative_to(folder)): file for file in sorted(folder.rglob("*")) if file.is_file()}
    commit = stores.snapshots(workload, inputs.acting.location, "training_run").commit(
        files,
        # A package is no table: its id is the digest of its files alone, which is what a server verifies.
        tables_schema={},
        row_count=0,
        watermark=None,
        parents=inputs.parents,
        code_version=code_version(workload),
        epoch=inputs.acting.epoch,
        producer=inputs.acting.location,
        created_at=created_at,
        annotations={
            "version": inputs.version,
            "trained_up_to": inputs.features.watermark,
            HELD_OUT_FROM: candidate.split.first_test_time.isoformat(),
        },
        publish=False,
    )
    return commit.manifest
