"""The two partitionings of a workload and how they join.

Assets are partitioned by location (`aws/eu-west-2`) or by jurisdiction (`UK`); `StaticPartitionMapping` makes the step
between them an ordinary lineage edge. Every mapping is total by construction: an unmapped key would silently
give nothing. A replication edge between jurisdictions cannot be expressed here.
"""

import dagster as dg

from mcml_assets.domain.workload import Workload


def by_location(workload: Workload) -> dg.StaticPartitionsDefinition:
    """One partition per location of the workload, in the order of its placements."""
    return dg.StaticPartitionsDefinition([placed.key for placed in workload.locations])


def by_jurisdiction(workload: Workload) -> dg.StaticPartitionsDefinition:
    """One partition per jurisdiction of the workload."""
    return dg.StaticPartitionsDefinition(list(workload.jurisdictions))


def jurisdiction_to_locations(workload: Workload) -> dg.StaticPartitionMapping:
    """From an asset by jurisdiction to one by location: every location of that jurisdiction, and no other."""
    return dg.StaticPartitionMapping(
        {placement.jurisdiction: [placed.key for placed in placement.locations] for placement in workload.placements}
    )


def locations_to_jurisdiction(workload: Workload) -> dg.StaticPartitionMapping:
    """From an asset by location to one by jurisdiction: the jurisdiction in which the location lies."""
    return dg.StaticPartitionMapping(
        {placed.key: placement.jurisdiction for placement in workload.placements for placed in placement.locations}
    )
