"""`raw_data`: the landed snapshot, held by every location. Its checks are in `asset_checks/`."""

import dagster as dg

from mcml_assets.assets.copying import CopyConfig, copy_here
from mcml_assets.assets.failures import typed_failures
from mcml_assets.automation import when_upstream_published
from mcml_assets.declaration import asset_key, declared, published
from mcml_assets.domain.errors import ObjectNotFound
from mcml_assets.domain.workload import Workload
from mcml_assets.failover.takeover import originals
from mcml_assets.partitions import by_location, jurisdiction_to_locations
from mcml_assets.resources.stores import CloudStores


def build_raw_data(workload: Workload) -> dg.AssetsDefinition:
    """The `raw_data` asset of a workload."""

    @dg.asset(
        **declared(workload, "raw_data"),
        deps=[dg.AssetDep(asset_key(workload, "landing"), partition_mapping=jurisdiction_to_locations(workload))],
        partitions_def=by_location(workload),
        automation_condition=when_upstream_published(),
        kinds={"parquet", "objectstorage"},
    )
    def raw_data(context: dg.AssetExecutionContext, config: CopyConfig, stores: CloudStores) -> dg.MaterializeResult:
        """The landed snapshot, held by this location.

        One partition per location. Guarantee: every file was compared with the manifest's digest as it passed, and
        `current` names the snapshot only after all of them arrived; until then it names the former one.
        """
        location = context.partition_key
        with typed_failures(stores, workload):
            acting = stores.acting(workload, workload.placement_of(location).jurisdiction)
            source = originals(workload, acting.location, "landing", stores.snapshots)
            manifest = source.current()
            if manifest is None:
                raise ObjectNotFound(f"{acting.location} has landed nothing of {workload.name} yet")
            copied = copy_here(
                context, stores, workload, "raw_data", source, manifest, epoch=acting.epoch, verify=config.verify
            )
        return published(manifest, copied)

    return raw_data
