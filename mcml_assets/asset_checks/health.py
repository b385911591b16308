"""`health`: what should answer, answers, with the version it should have. Asked of the running servers, not of records."""

import dagster as dg

from mcml_assets.asset_checks.partitioned import partitioned_check
from mcml_assets.declaration import asset_key
from mcml_assets.domain.errors import McmlError
from mcml_assets.domain.workload import Workload
from mcml_assets.partitions import by_jurisdiction, by_location
from mcml_assets.resources.endpoints import Endpoints
from mcml_assets.resources.stores import CloudStores


def build_endpoint_health(workload: Workload) -> dg.AssetChecksDefinition:
    """The endpoint answers with this location's model, after golden predictions passed on that very server."""

    @partitioned_check(
        asset_key(workload, "endpoint"),
        "health",
        "The server here is ready with the model this location holds; a cold standby holds it verified.",
        by_location(workload),
    )
    def health(context: dg.AssetCheckExecutionContext, stores: CloudStores, endpoints: Endpoints) -> dg.AssetCheckResult:
        location = context.partition_key
        try:
            model = stores.snapshots(workload, location, "model").current_pointer()
            status = endpoints.status(workload, location)
        except McmlError as error:
            return dg.AssetCheckResult(passed=False, metadata={"problem": str(error), "error": type(error).__name__})
        wanted = model.snapshot_id if model else None
        return dg.AssetCheckResult(
            passed=status.healthy and wanted is not None and status.wanted_digest == wanted,
            metadata={
                "state": status.state.value,
                "message": status.message or "none",
                "model": wanted[:12] if wanted else "nothing",
                "endpoint_model": status.wanted_digest[:12] if status.wanted_digest else "nothing",
            },
        )

    return health


def build_route_health(workload: Workload) -> dg.AssetChecksDefinition:
    """The edge answers for the jurisdiction, from a location of its placement."""

    @partitioned_check(
        asset_key(workload, "traffic_route"),
        "health",
        "The edge passes a readiness request of this jurisdiction to a server that is ready.",
        by_jurisdiction(workload),
    )
    def health(context: dg.AssetCheckExecutionContext, endpoints: Endpoints) -> dg.AssetCheckResult:
        jurisdiction = context.partition_key
        try:
            answered_by = endpoints.edge_ready(workload, jurisdiction)
        except McmlError as error:
            return dg.AssetCheckResult(passed=False, metadata={"problem": str(error), "error": type(error).__name__})
        lawful = [placed.key for placed in workload.placement(jurisdiction).locations]
        return dg.AssetCheckResult(
            passed=answered_by in lawful,
            metadata={"answered_by": answered_by, "lawful": ", ".join(lawful)},
        )

    return health
