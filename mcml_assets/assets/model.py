"""`model`: the trained package, held by every location and entered in its registry. Serving it is `endpoint`'s business."""

import dagster as dg

from mcml_assets.assets.copying import CopyConfig, copy_here
from mcml_assets.assets.failures import typed_failures
from mcml_assets.automation import when_upstream_published
from mcml_assets.declaration import asset_key, declared, published
from mcml_assets.domain.errors import ModelRejected, ObjectNotFound
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.domain.workload import Workload
from mcml_assets.failover.takeover import originals
from mcml_assets.partitions import by_location, jurisdiction_to_locations
from mcml_assets.resources.packages import held_package
from mcml_assets.resources.stores import CloudStores
from mcml_assets.serving.package import ModelPackage, check_golden, load_model


def build_model(workload: Workload) -> dg.AssetsDefinition:
    """The `model` asset of a workload."""

    @dg.asset(
        **declared(workload, "model"),
        deps=[dg.AssetDep(asset_key(workload, "training_run"), partition_mapping=jurisdiction_to_locations(workload))],
        partitions_def=by_location(workload),
        automation_condition=when_upstream_published(),
        kinds={"mlflow", "scikitlearn"},
    )
    def model(context: dg.AssetExecutionContext, config: CopyConfig, stores: CloudStores) -> dg.MaterializeResult:
        """The trained package, held by this location and registered with its cloud's MLflow.

        One partition per location. Guarantee: the package is bit-identical to the one that was trained, and gave the
        golden predictions when it was loaded here.
        """
        location = context.partition_key
        with typed_failures(stores, workload):
            acting = stores.acting(workload, workload.placement_of(location).jurisdiction)
            source = originals(workload, acting.location, "training_run", stores.snapshots)
            manifest = source.current()
            if manifest is None:
                raise ObjectNotFound(f"{acting.location} has trained no model of {workload.name} yet")
            copied = copy_here(context, stores, workload, "model", source, manifest, epoch=acting.epoch, verify=config.verify)
            package = held_package(workload, stores, location, manifest)
            golden = check_golden(package, load_model(package))
            if not golden.passed:
                raise ModelRejected(
                    f"{package.name} in {location} differs from its golden predictions by {golden.max_difference:g}, "
                    f"more than {package.golden.tolerance:g}"
                )
            registered = _register(workload, stores, location, package, manifest)
        return published(
            manifest,
            {
                "model_version": package.description.version,
                "registered_as": f"{workload.name}.{location.partition('/')[2]} version {registered}",
                "golden_predictions": golden.compared,
                "golden_max_difference": golden.max_difference,
                **copied,
                "trained_at": manifest.producer,
            },
        )

    return model


def _register(workload: Workload, stores: CloudStores, location: str, package: ModelPackage, manifest: Manifest) -> str:
    """The version's number in this location's registry."""
    from mcml_assets.training.registry import register_version  # noqa: PLC0415 - MLflow, 2 s
    from mcml_assets.training.tracking_database import reach_registry  # noqa: PLC0415 - the same

    return register_version(
        reach_registry(location, stores.settings),
        workload=workload,
        region=stores.topology.location(location).region,
        source=str(package.folder / "model"),
        version=package.description.version,
        digest=manifest.snapshot_id,
        snapshots=package.description.snapshots,
        mlflow_run_id=package.description.mlflow_run_id,
    )
