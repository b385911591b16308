"""The code location that the live tests' daemon loads: the real sensors over one workload, whose assets do next to nothing.

`landing` takes over as the real one does, so that epochs go on in the buckets; everything else only succeeds.
"""

from collections.abc import Callable

import dagster as dg

from mcml_assets.build import build_failover_sensors, build_resources
from mcml_assets.configuration.settings import DEFS, Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.configuration.workload import load_workload
from mcml_assets.declaration import asset_key
from mcml_assets.domain.workload import Workload
from mcml_assets.failover.probing import shared_prober
from mcml_assets.failover.takeover import become_original
from mcml_assets.partitions import by_jurisdiction, by_location
from mcml_assets.resources.stores import CloudStores
from mcml_assets.sensors.alerting import alerting

WORKLOAD = "online_retail"


def _landing(workload: Workload) -> Callable[..., None]:
    def landing(context: dg.AssetExecutionContext, stores: CloudStores) -> None:
        acting = stores.acting(workload, context.partition_key)
        become_original(workload, acting, "landing", stores.snapshots, shared_prober(stores.settings))

    return landing


def _nothing() -> Callable[..., None]:
    def nothing() -> None:
        return

    return nothing


def _assets(workload: Workload) -> list[dg.AssetsDefinition]:
    jurisdictions, locations = by_jurisdiction(workload), by_location(workload)
    made = [dg.asset(key=asset_key(workload, "landing"), partitions_def=jurisdictions)(_landing(workload))]
    for noun in ("training_run", "traffic_route"):
        made.append(dg.asset(key=asset_key(workload, noun), partitions_def=jurisdictions)(_nothing()))
    for noun in ("raw_data", "feature_snapshot", "model", "endpoint"):
        made.append(dg.asset(key=asset_key(workload, noun), partitions_def=locations)(_nothing()))
    return made


@dg.definitions
def defs() -> dg.Definitions:
    """The workload's keys and partitions, and every sensor that decides."""
    settings = Settings()
    workload = load_workload(DEFS / WORKLOAD / "defs.yaml", load_topology(settings.topology_file))
    return dg.Definitions.merge(
        build_resources(settings),
        dg.Definitions(assets=_assets(workload), sensors=[alerting, *build_failover_sensors(settings)]),
    )
