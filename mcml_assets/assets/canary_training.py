"""`canary_training`: a location trains on its own features, and what came of it is compared with the served model.

Nothing of it is served: what is kept is the evidence, in the location's own bucket, where who decides about a failover
reads it without Dagster. What training does is `canary_work.py`'s business, judging `domain/canary.py`'s.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg

from mcml_assets.asset_checks.agreement import agreement_check, agreement_result
from mcml_assets.asset_checks.quality import UNJUDGED, quality_check, unjudged_result
from mcml_assets.assets.canary_work import Canary, Held, canary_of, held, train_canary
from mcml_assets.assets.failures import typed_failures
from mcml_assets.assets.training_work import as_metadata
from mcml_assets.automation import when_canary_is_due
from mcml_assets.compute.work import do_work
from mcml_assets.declaration import asset_key, code_version, declared, now, published
from mcml_assets.domain.canary import CanaryResult, Compared, judge_canary
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.domain.workload import Workload
from mcml_assets.partitions import by_location
from mcml_assets.resources.stores import CloudStores

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
        location = context.partition_key
        with typed_failures(stores, workload):
            epoch = stores.acting(workload, workload.placement_of(location).jurisdiction).epoch
            inputs = held(workload, stores, location)
            try:
                canary, profile = _train(context, workload, stores, inputs)
            except UNJUDGED as error:
                yield unjudged_result(quality_spec, error)
                raise
            agreement, reason = judge_canary(canary.compared, workload.canary)
            result = CanaryResult(agreement, reason, inputs.model.snapshot_id, inputs.model.annotations["version"])
            manifest = _commit(workload, stores, location, epoch, inputs.parents, canary.compared, result)
        context.log.info("%s in %s %s: %s", workload.name, location, agreement, reason)
        told = {"agreement": agreement.value, "compared_with_version": result.version}
        yield published(manifest, {**told, **as_metadata(canary.asset), **profile})
        # After what they are about: Dagster ties a check's result to the newest materialization there is.
        yield dg.AssetCheckResult(
            passed=canary.passed,
            check_name=quality_spec.name,
            asset_key=quality_spec.asset_key,
            description=canary.description,
            metadata={**as_metadata(canary.check), **profile},
        )
        yield agreement_result(agreement_spec, workload, canary.compared, result)

    return canary_training


def _train(
    context: dg.AssetExecutionContext, workload: Workload, stores: CloudStores, inputs: Held
) -> tuple[Canary, dict[str, Any]]:
    """A judged canary, and by which profile: where the workload's models are trained."""
    wanted = workload.training.compute_profile
    if wanted is None:
        return train_canary(workload, stores, context.partition_key, inputs, run=context.run, instance=context.instance), {}
    done = do_work(context, stores, workload, NOUN, context.partition_key, wanted, inputs.as_task())
    return canary_of(done.result), done.metadata


def _commit(
    workload: Workload,
    stores: CloudStores,
    location: str,
    epoch: int,
    parents: dict[str, str],
    compared: Compared,
    result: CanaryResult,
) -> Manifest:
    created_at = now()
    # With its time within: a canary that finds what the last one found is new evidence all the same.
    evidence = {"trained_at": created_at, "location": location, **asdict(compared), **result.annotations()}
    with TemporaryDirectory() as scratch:
        file = Path(scratch) / EVIDENCE
        file.write_text(json.dumps(evidence, indent=2) + "\n", "utf-8")
        commit = stores.snapshots(workload, location, NOUN).commit(
            {EVIDENCE: file},
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
