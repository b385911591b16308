"""`training_run`: a candidate trained by the acting location, tracked, judged and packaged.

How a model is fitted, the user says; what training does is `training_work.py`'s business, splitting, judging and tracking
`training/`'s, the package's form `serving/`'s.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from mcml_assets.asset_checks.quality import UNJUDGED, quality_check, unjudged_result
from mcml_assets.assets.failures import typed_failures
from mcml_assets.assets.training_work import Inputs, Trained, train
from mcml_assets.automation import when_acting_location_published
from mcml_assets.compute.work import do_work
from mcml_assets.declaration import asset_key, declared, published
from mcml_assets.domain.errors import ModelRejected, ObjectNotFound
from mcml_assets.domain.workload import Workload
from mcml_assets.failover.probing import shared_prober
from mcml_assets.failover.takeover import become_original
from mcml_assets.partitions import by_jurisdiction, locations_to_jurisdiction
from mcml_assets.resources.stores import CloudStores


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
        jurisdiction = context.partition_key
        with typed_failures(stores, workload):
            inputs = _inputs(workload, stores, jurisdiction)
            try:
                trained, profile = _train(context, workload, stores, inputs)
            except UNJUDGED as error:
                yield unjudged_result(check, error)
                raise
            context.log.info("%s in %s: %s", workload.name, jurisdiction, trained.reason)
            result = dg.AssetCheckResult(
                passed=trained.snapshot is not None,
                check_name=check.name,
                asset_key=check.asset_key,
                description=trained.description,
                metadata={**trained.figures("check"), **profile},
            )
            if trained.snapshot is None:
                yield result
                raise ModelRejected(f"{workload.name} in {jurisdiction}: {trained.reason}")
            snapshots = stores.snapshots(workload, inputs.acting.location, "training_run")
            manifest = snapshots.publish(trained.snapshot, inputs.acting.epoch)
        yield published(manifest, {**trained.figures("asset"), **profile})
        # After what it is about: Dagster ties a check's result to the newest materialization there is.
        yield result

    return training_run


def _train(
    context: dg.AssetExecutionContext, workload: Workload, stores: CloudStores, inputs: Inputs
) -> tuple[Trained, dict[str, Any]]:
    """A judged candidate, and by which profile: by this very process unless the workload names one."""
    wanted = workload.training.compute_profile
    if wanted is None:
        return train(workload, stores, inputs, run=context.run, instance=context.instance), {}
    done = do_work(context, stores, workload, "training_run", inputs.acting.location, wanted, inputs.as_task())
    return Trained(**done.result), done.metadata


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
