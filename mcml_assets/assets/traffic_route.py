"""`traffic_route`: which locations the edge asks for a jurisdiction, in which order. Obeying it is the edge's business."""

from time import monotonic, sleep

import dagster as dg

from mcml_assets.assets.failures import typed_failures
from mcml_assets.automation import when_acting_location_published
from mcml_assets.declaration import asset_key, declared, now
from mcml_assets.domain.errors import LocationUnavailable, ObjectNotFound, TransientError
from mcml_assets.domain.route import Route, plan_route
from mcml_assets.domain.workload import Role, Workload
from mcml_assets.partitions import by_jurisdiction, locations_to_jurisdiction
from mcml_assets.resources.endpoints import Endpoints
from mcml_assets.resources.stores import CloudStores

OBEYED_SECONDS = 20.0
POLL_SECONDS = 0.25


def build_traffic_route(workload: Workload) -> dg.AssetsDefinition:
    """The `traffic_route` asset of a workload."""

    @dg.asset(
        **declared(workload, "traffic_route"),
        deps=[dg.AssetDep(asset_key(workload, "endpoint"), partition_mapping=locations_to_jurisdiction(workload))],
        partitions_def=by_jurisdiction(workload),
        automation_condition=when_acting_location_published(),
        kinds={"envoy"},
    )
    def traffic_route(context: dg.AssetExecutionContext, stores: CloudStores, endpoints: Endpoints) -> dg.MaterializeResult:
        """The locations that the edge asks for this jurisdiction, the acting one first, with the epoch.

        One partition per jurisdiction. Guarantee: no location outside the placement is ever named, an older epoch never
        replaces a newer one, and the edge goes on with the last route it knew when nobody can tell it a new one.
        """
        jurisdiction = context.partition_key
        placement = workload.placement(jurisdiction)
        with typed_failures(stores, workload):
            acting = stores.acting(workload, jurisdiction)
            model = stores.snapshots(workload, acting.location, "model").current()
            if model is None:
                raise ObjectNotFound(f"{acting.location} holds no model of {workload.name} yet")
            # Standbys that are still starting are named too: the edge asks a location only while its health checks pass.
            answering = [placed.key for placed in placement.locations if placed.role is not Role.COLD]
            route = plan_route(
                workload.name,
                placement,
                acting.location,
                answering,
                acting.epoch,
                model.annotations["version"],
                now(),
            )
            stores.confirm(workload, jurisdiction, route.epoch)
            endpoints.publish(route)
            _wait_until_obeyed(workload, jurisdiction, endpoints)
        # After the edge obeys: what happens at a provider holds up nobody, and `global_traffic` tells people of it.
        published = endpoints.publish_globally(placement, route)
        for outcome in published:
            if outcome.problem is not None:
                context.log.error("%s: %s: %s", outcome.key, outcome.error, outcome.problem)
        return dg.MaterializeResult(
            metadata={
                "epoch": route.epoch,
                "acting_location": acting.location,
                "model_version": route.version,
                "edge": endpoints.edge_address(workload, jurisdiction),
                "route": dg.MetadataValue.md(_table(route)),
                **{f"published/{outcome.kind}": outcome.error or "yes" for outcome in published},
            },
        )

    return traffic_route


def _wait_until_obeyed(workload: Workload, jurisdiction: str, endpoints: Endpoints) -> None:
    """The edge takes up a route within a second or two, and asks its locations before it sends them anything."""
    deadline = monotonic() + OBEYED_SECONDS
    while True:
        try:
            endpoints.edge_ready(workload, jurisdiction)
            return
        except LocationUnavailable as error:
            if monotonic() > deadline:
                raise TransientError(f"the edge does not obey the route after {OBEYED_SECONDS:.0f} s: {error}") from error
        sleep(POLL_SECONDS)


def _table(route: Route) -> str:
    lines = ["| priority | location | weight |", "|---:|---|---:|"]
    lines += [f"| {entry.priority} | {entry.location} | {entry.weight} |" for entry in route.weights]
    return "\n".join(lines)
