"""`global_traffic`: the global load balancers hold the route that the edge obeys. Asks the providers, and changes nothing."""

import dagster as dg

from mcml_assets.asset_checks.partitioned import partitioned_check
from mcml_assets.declaration import asset_key
from mcml_assets.domain.workload import Workload
from mcml_assets.partitions import by_jurisdiction
from mcml_assets.resources.endpoints import Endpoints


def build_global_traffic(workload: Workload) -> list[dg.AssetChecksDefinition]:
    """The check of a workload whose routes are published anywhere; none for one whose are not.

    It blocks, so that people are told when it fails; nothing comes after a route, so it holds nothing up.
    """
    if not any(placement.traffic for placement in workload.placements):
        return []

    @partitioned_check(
        asset_key(workload, "traffic_route"),
        "global_traffic",
        "Every global load balancer of this jurisdiction holds the route that the edge obeys, under its epoch.",
        by_jurisdiction(workload),
    )
    def global_traffic(context: dg.AssetCheckExecutionContext, endpoints: Endpoints) -> dg.AssetCheckResult:
        placement = workload.placement(context.partition_key)
        deviating = endpoints.deviating_traffic(workload, placement)
        metadata = {"asked": len(placement.traffic), "deviating": len(deviating)}
        if deviating:
            metadata |= {"problem": "\n".join(problem for _, problem in deviating), "error": deviating[0][0]}
        return dg.AssetCheckResult(passed=not deviating, metadata=metadata)

    return [global_traffic]
