"""How jurisdictions and locations join: totally, both ways, and never across jurisdictions."""

import dagster as dg
import pytest

from mcml_assets.build import DEFS
from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.configuration.workload import load_workloads
from mcml_assets.domain.workload import Workload
from mcml_assets.partitions import by_jurisdiction, by_location, jurisdiction_to_locations, locations_to_jurisdiction

WORKLOADS, _ = load_workloads(DEFS, load_topology(Settings().topology_file))


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_a_jurisdiction_reaches_all_its_locations_and_no_other(workload: Workload) -> None:
    """An edge between jurisdictions cannot be expressed, and no location is forgotten in silence."""
    reached: list[str] = []
    for placement in workload.placements:
        locations = _downstream(
            jurisdiction_to_locations(workload), by_jurisdiction(workload), by_location(workload), placement.jurisdiction
        )
        assert locations == {placed.key for placed in placement.locations}
        reached += locations
    assert sorted(reached) == sorted(by_location(workload).get_partition_keys())


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_a_location_reaches_its_own_jurisdiction_only(workload: Workload) -> None:
    """What a location publishes is seen by the jurisdiction it lies in."""
    for placed in workload.locations:
        reached = _downstream(locations_to_jurisdiction(workload), by_location(workload), by_jurisdiction(workload), placed.key)
        assert reached == {placed.location.jurisdiction}


def _downstream(
    mapping: dg.PartitionMapping, upstream: dg.PartitionsDefinition, downstream: dg.PartitionsDefinition, key: str
) -> set[str]:
    subset = upstream.subset_with_partition_keys([key])
    return set(mapping.get_downstream_partitions_for_partitions(subset, upstream, downstream).get_partition_keys())
