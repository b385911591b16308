"""`canary_training`: a location trains on its own features, and what came of it is compared with the served model.

Nothing of it is served: what is kept is the evidence, in the location's own bucket, where who decides about a failover
reads it without Dagster. Judging is `domain/canary.py`'s business.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import dagster as dg

from mcml_assets.asset_checks.agreement import agreement_check, agreement_result
from mcml_assets.asset_checks.quality import evaluation_metadata, quality_check, quality_result
from mcml_assets.assets.failures import typed_failures
from mcml_assets.assets.training_work import tracked, train_here
from mcml_assets.automation import when_canary_is_due
from mcml_assets.declaration import asset_key, code_version, declared, now, published
from mcml_assets.domain.canary import CanaryResult, Compared, judge_canary
from mcml_assets.domain.errors import ObjectNotFound
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.domain.workload import Workload
from mcml_assets.partitions import by_location
from mcml_assets.resources.packages import held_package, served_answers
from mcml_assets.resources.stores import CloudStores

if TYPE_CHECKING:
    from mcml_assets.training.candidate import Candidate
    from mcml_assets.training.judgement import Quality

NOUN = "canary_training"
EVIDENCE = "canary.json"


def build_canary_training(workload: Workload) -> dg.AssetsDefinition:
    """The `canary_training` asset of a workload, with its `quality` and `agreement` checks."""
    key, partitions = asset_key(workload, NOUN), by_location(workload)
    quality_spec, agreement_spec = quality_check(key, partitions), agreement_check(key, partitions)

    @dg.asset(
        **declared(workload, NOUN),
        deps=[asset_key(workload, "feature_snapshot"), asset_key(workload, "model")],
        partitions_def=partitions,
        automation_condition=when_canary_is_due(workload.canary.cron),
        kinds={"scikitlearn", "mlflow"},
        check_specs=[quality_spec, agreement_spec],
    )
    def canary_training(
        context: dg.AssetExecutionContext, stores: CloudStores
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        """A model that this location trained on its own features, compared with the served one, and not served.

        One partition per location; standbys show that they could train, and the acting location that nothing but the
        location differs. Guarantee: what came of it is recorded in the location's own bucket, whether it agrees or not, and
        a standby whose last canary disagreed is not chosen by a failover.
        """
        from mcml_assets.training.judgement import judge  # noqa: PLC0415 - pandas, only when a model is trained
        from mcml_assets.training.tracking import log_candidate  # noqa: PLC0415 - MLflow, 2 s

        location = context.partition_key
        with typed_failures(stores, workload), TemporaryDirectory() as scratch:
            epoch = stores.acting(workload, workload.placement_of(location).jurisdiction).epoch
            features, raw, model = _held(workload, stores, location)
            parents = {"feature_snapshot": features.snapshot_id, "model": model.snapshot_id}
            with tracked(context.run, context.instance, workload, stores, location, {"mcml.canary": "true"}) as run:
                candidate = train_here(workload, stores, location, features, raw, Path(scratch))
                quality = judge(workload, candidate, served_answers(workload, stores, location, candidate))
                plots = log_candidate(run, candidate, workload=workload, snapshots=parents, quality=quality)
            compared = _compared(workload, stores, location, features, model, candidate, quality)
            agreement, reason = judge_canary(compared, workload.canary)
            result = CanaryResult(agreement, reason, model.snapshot_id, model.annotations["version"])
            manifest = _commit(workload, stores, location, epoch, parents, compared, result, Path(scratch))
        context.log.info("%s in %s %s: %s", workload.name, location, agreement, reason)
        yield published(
            manifest,
            {
                "agreement": agreement.value,
                "compared_with_version": result.version,
                "training_seconds": candidate.seconds,
                "mlflow_run": run.run_id,
                **evaluation_metadata(candidate.evaluation),
            },
        )
        # After what they are about: Dagster ties a check's result to the newest materialization there is.
        yield quality_result(quality_spec, workload, candidate.evaluation, quality, plots["calibration"])
        yield agreement_result(agreement_spec, workload, compared, result)

    return canary_training


def _held(workload: Workload, stores: CloudStores, location: str) -> tuple[Manifest, Manifest, Manifest]:
    """This location's features, the raw data they were made of, and the model it holds."""
    features = stores.snapshots(workload, location, "feature_snapshot").current()
    model = stores.snapshots(workload, location, "model").current()
    if features is None or model is None:
        lacking = "features" if features is None else "model"
        raise ObjectNotFound(f"{location} holds no {lacking} of {workload.name} yet, so there is nothing to compare")
    return features, stores.snapshots(workload, location, "raw_data").manifest(features.parents["raw_data"]), model


def _compared(
    workload: Workload,
    stores: CloudStores,
    location: str,
    features: Manifest,
    model: Manifest,
    candidate: "Candidate",
    quality: "Quality",
) -> Compared:
    import numpy as np  # noqa: PLC0415 - 0.2 s, only when a model is trained

    from mcml_assets.serving.package import golden_inputs  # noqa: PLC0415 - the same

    served, over = quality.served, quality.over_served
    problem = None if served is None or served.scores is not None else f"the served model cannot be asked: {served.problem}"
    golden = None
    package = held_package(workload, stores, location, model)
    if problem is None and set(package.schema.model_inputs) == set(candidate.x_train.columns):
        scores = np.asarray(candidate.model.predict_proba(golden_inputs(package)[candidate.x_train.columns]))[:, 1]
        golden = float(np.abs(scores - np.asarray(package.golden.predictions)).mean())
    return Compared(
        metric=workload.training.metric,
        difference=over.value if over is not None else None,
        rows=quality.compared_rows,
        golden_difference=golden,
        same_data=features.parents["raw_data"] == model.parents["raw_data"],
        same_code=model.code_version == code_version(workload),
        problem=problem,
    )


def _commit(
    workload: Workload,
    stores: CloudStores,
    location: str,
    epoch: int,
    parents: dict[str, str],
    compared: Compared,
    result: CanaryResult,
    scratch: Path,
) -> Manifest:
    created_at = now()
    # With its time within: a canary that finds what the last one found is new evidence all the same.
    evidence = {"trained_at": created_at, "location": location, **asdict(compared), **result.annotations()}
    (scratch / EVIDENCE).write_text(json.dumps(evidence, indent=2) + "\n", "utf-8")
    commit = stores.snapshots(workload, location, NOUN).commit(
        {EVIDENCE: scratch / EVIDENCE},
        tables_schema={},
        row_count=0,
        watermark=None,
        parents=parents,
        code_version=code_version(workload),
        epoch=epoch,
        producer=location,
        created_at=created_at,
        annotations=result.annotations(),
    )
    return commit.manifest
