"""`endpoint`: a server in this location answers with this location's model. How servers are run is `serving/`'s business."""

from time import monotonic

import dagster as dg

from mcml_assets.assets.failures import typed_failures
from mcml_assets.automation import ACTING_TAG, when_upstream_published
from mcml_assets.declaration import asset_key, declared
from mcml_assets.domain.errors import ObjectNotFound
from mcml_assets.domain.workload import Workload
from mcml_assets.partitions import by_location
from mcml_assets.resources.endpoints import Endpoints
from mcml_assets.resources.packages import held_package
from mcml_assets.resources.stores import CloudStores
from mcml_assets.serving.manifest import endpoint_name, inference_service
from mcml_assets.serving.servable import drop_packages, make_servable

READY_SECONDS = 180.0


def build_endpoint(workload: Workload) -> dg.AssetsDefinition:
    """The `endpoint` asset of a workload."""
    features = asset_key(workload, "feature_snapshot")

    @dg.asset(
        **declared(workload, "endpoint"),
        deps=[asset_key(workload, "model"), features],
        partitions_def=by_location(workload),
        automation_condition=when_upstream_published(without_updates_of=features),
        kinds={"kserve"},
    )
    def endpoint(context: dg.AssetExecutionContext, stores: CloudStores, endpoints: Endpoints) -> dg.MaterializeResult:
        """A model server in this location that answers with this location's model.

        One partition per location; cold standbys hold the verified package and run nothing. Guarantee: the server
        checked the package's digest and gave its golden predictions before it became ready, and the former version
        answered until then.
        """
        location = context.partition_key
        placed = workload.placed(location)
        began = monotonic()
        with typed_failures(stores, workload):
            acting = stores.acting(workload, workload.placement_of(location).jurisdiction)
            if location == acting.location:
                context.instance.add_run_tags(context.run.run_id, {ACTING_TAG: str(acting.epoch)})
            manifest = stores.snapshots(workload, location, "model").current()
            if manifest is None:
                raise ObjectNotFound(f"{location} holds no model of {workload.name} yet")
            package = held_package(workload, stores, location, manifest)
            bucket = stores.bucket(location)
            servable = make_servable(package, manifest.snapshot_id, placed.location, bucket, stores.settings)
            endpoints.platform.apply(
                inference_service(
                    workload,
                    placed,
                    package_uri=servable.package_uri,
                    features_uri=servable.features_uri,
                    image=servable.image,
                    model_version=package.description.version,
                    digest=manifest.snapshot_id,
                    # A cold standby that has to act answers like any other.
                    running=True if location == acting.location else None,
                )
            )
            name = endpoint_name(workload.name, location)
            status = endpoints.platform.wait_ready(name, manifest.snapshot_id, READY_SECONDS)
            if placed.location.endpoints.platform != "local":
                drop_packages(workload.name, endpoints.platform.kept_packages(name), bucket)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(manifest.snapshot_id),
            metadata={
                "state": status.state.value,
                "model_version": package.description.version,
                "address": status.address or "none: the standby is cold",
                "seconds_to_ready": monotonic() - began,
                "epoch": acting.epoch,
            },
        )

    return endpoint
