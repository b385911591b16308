"""`training_run`: a candidate trained by the acting location, tracked, judged and packaged.

How a model is fitted, the user says; splitting, judging and tracking are `training/`'s business, the package's form
`serving/`'s.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import dagster as dg

from mcml_assets.asset_checks.quality import evaluation_metadata, quality_check, quality_result
from mcml_assets.assets.failures import typed_failures
from mcml_assets.assets.feature_snapshot import feast_repository
from mcml_assets.automation import when_acting_location_published
from mcml_assets.declaration import asset_key, code_version, declared, now, published
from mcml_assets.domain.acting import Acting
from mcml_assets.domain.errors import ModelRejected, ObjectNotFound
from mcml_assets.domain.snapshot import Manifest, snapshot_watermark
from mcml_assets.domain.workload import Workload
from mcml_assets.failover.probing import shared_prober
from mcml_assets.failover.takeover import become_original
from mcml_assets.partitions import by_jurisdiction, locations_to_jurisdiction
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


def build_training_run(workload: Workload) -> dg.AssetsDefinition:
    """The `training_run` asset of a workload, with its `quality` check."""
    check = quality_check(asset_key(workload, "training_run"), by_jurisdiction(workload))

    @dg.asset(
        **declared(workload, "training_run"),
        deps=[dg.AssetDep(asset_key(workload, "feature_snapshot"), partition_mapping=locations_to_jurisdiction(workload))],
        partitions_def=by_jurisdiction(workload),
        automation_condition=when_acting_location_published(),
        kinds={"scikitlearn", "mlflow"},
        check_specs=[check],
    )
    def training_run(
        context: dg.AssetExecutionContext, stores: CloudStores
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        """A candidate model, trained by the acting location on its published features, and better than guessing.

        One partition per jurisdiction. Guarantee: features are joined as of each label's time, the test period lies
        after all that was learnt from, and only a candidate that passed `quality` becomes a package: better than guessing,
        no worse than the model now served, surely bad in no segment, and calibrated. One that did not is kept in MLflow.
        """
        from mcml_assets.training.figures import as_markdown  # noqa: PLC0415 - only when a model is trained
        from mcml_assets.training.judgement import judge  # noqa: PLC0415 - pandas, the same
        from mcml_assets.training.tracking import log_candidate  # noqa: PLC0415 - MLflow, 2 s

        jurisdiction = context.partition_key
        with typed_failures(stores, workload), TemporaryDirectory() as scratch:
            inputs = _inputs(workload, stores, jurisdiction)
            # A refused candidate is a finished experiment: MLflow keeps it with its figures.
            tags = {"mcml.version": str(inputs.version), "mcml.epoch": str(inputs.acting.epoch)}
            with tracked(context, workload, stores, inputs.acting.location, tags) as run:
                candidate = train_here(workload, stores, inputs.acting.location, inputs.features, inputs.raw, Path(scratch))
                quality = judge(workload, candidate, served_answers(workload, stores, inputs.acting.location, candidate))
                plots = log_candidate(run, candidate, workload=workload, snapshots=inputs.parents, quality=quality)
            context.log.info("%s in %s: %s", workload.name, jurisdiction, quality.decision.reason)
            result = quality_result(check, workload, candidate.evaluation, quality, plots["calibration"])
            if not quality.decision.passed:
                yield result
                raise ModelRejected(f"{workload.name} in {jurisdiction}: {quality.decision.reason}")
            manifest = _commit(workload, stores, inputs, candidate, run.run_id, Path(scratch) / "package")
        yield published(
            manifest,
            {
                "model_version": inputs.version,
                "trained_at": inputs.acting.location,
                "training_seconds": candidate.seconds,
                "mlflow_run": run.run_id,
                "trained_on": inputs.features.snapshot_id[:12],
                **evaluation_metadata(candidate.evaluation),
                **{name: dg.MetadataValue.md(as_markdown(name, png)) for name, png in plots.items()},
            },
        )
        # After what it is about: Dagster ties a check's result to the newest materialization there is.
        yield result

    return training_run


def _inputs(workload: Workload, stores: CloudStores, jurisdiction: str) -> Inputs:
    acting = stores.acting(workload, jurisdiction)
    features = stores.snapshots(workload, acting.location, "feature_snapshot").current()
    if features is None:
        raise ObjectNotFound(f"{acting.location} has published no features of {workload.name} yet")
    raw = stores.snapshots(workload, acting.location, "raw_data").manifest(features.parents["raw_data"])
    # Versions go on counting where another location trained before.
    become_original(workload, acting, "training_run", stores.snapshots, shared_prober(stores.settings))
    former = stores.snapshots(workload, acting.location, "training_run").current()
    version = former.annotations["version"] + 1 if former else 1
    return Inputs(jurisdiction, acting, features, raw, version)


def tracked(
    context: dg.AssetExecutionContext, workload: Workload, stores: CloudStores, location: str, tags: Mapping[str, str]
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
        dagster_run=context.run,
        instance=context.instance,
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
    return train_candidate(workload, rows.x, rows.y, entities=rows.entities, times=rows.times)


def _commit(
    workload: Workload, stores: CloudStores, inputs: Inputs, candidate: "Candidate", run_id: str, folder: Path
) -> Manifest:
    """Package the candidate and commit the package as the snapshot that every location will copy."""
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
    )
    return commit.manifest
