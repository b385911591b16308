"""What a chosen location promises: it takes the place of a role in every scenario that fits it, and the others say why not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcml_assets.configuration.scenario_files import load_scenario, scenario_files
from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.domain.drill_location import at_location, fitting, usual
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.scenario import Scenario, resolved
from mcml_assets.domain.workload import Placement
from mcml_assets_tests.failover.stage import example_workloads

TOPOLOGY = load_topology(Settings().topology_file)
SCENARIOS = {name: load_scenario(path) for name, path in scenario_files().items()}
SHOP, LENDER = example_workloads()
UK, US = SHOP.placement("UK"), LENDER.placement("US")
A, B, C = "aws/eu-west-2", "gcp/europe-west2", "azure/uksouth"
PLACEMENTS = st.sampled_from([placement for workload in (SHOP, LENDER) for placement in workload.placements])


@pytest.mark.parametrize(
    ("name", "location", "why"),
    [
        ("region_outage", B, "makes the acting location fail, and aws/eu-west-2 acts: gcp/europe-west2 does not fit"),
        ("provider_outage", C, "strikes the acting location's whole cloud"),
        ("bad_batch", B, "asks for a run of the acting location"),
        ("standby_outage", A, "strikes a standby, and aws/eu-west-2 acts"),
        ("orchestrator_lost", A, "strikes the platform itself"),
        ("region_outage", "aws/us-east-1", "is not in the placement in UK"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_reason(name: str, location: str, why: str) -> None:
    """Nobody rehearses something else than what was asked for."""
    with pytest.raises(ConfigurationError, match=why):
        at_location(SCENARIOS[name], location, UK)


def test_a_cold_standby_has_no_server_to_lose() -> None:
    """A model server that does not run cannot be killed."""
    with pytest.raises(ConfigurationError, match="azure/eastus is cold"):
        at_location(SCENARIOS["server_killed"], "azure/eastus", US)
    assert at_location(SCENARIOS["server_killed"], "gcp/us-east4", US).injections[0].target == "gcp/us-east4"


def test_a_standby_takes_the_place_of_another_in_faults_and_runs() -> None:
    """The second standby instead of the first: on both sides of a partition, and in the runs that are asked for."""
    chosen = at_location(SCENARIOS["network_partition"], C, UK)
    (injection,) = chosen.injections
    assert resolved(injection, A, UK, TOPOLOGY)[0].parameters["other"] == C
    assert {run.of for run in (*chosen.runs, *chosen.cleanup)} == {C}


@given(PLACEMENTS, st.sampled_from(sorted(SCENARIOS)))
def test_a_scenario_at_its_usual_location_is_itself(placement: Placement, name: str) -> None:
    """Choosing what would be struck anyway changes nothing about what is struck, and it always fits."""
    scenario, where = SCENARIOS[name], usual(SCENARIOS[name], placement)
    places = fitting(scenario, placement)
    assert where in places
    acting = placement.primary.key

    def hit_by(chosen: Scenario) -> set[str]:
        found = [resolved(one, acting, placement, TOPOLOGY) for one in chosen.injections]
        return {target for _, target in found} | {str(one.parameters.get("other", "")) for one, _ in found} - {""}

    for place in places if name != "orchestrator_lost" else ():
        chosen = at_location(scenario, place, placement)
        hit = hit_by(chosen)
        assert hit & {place, place.partition("/")[0]}
        if place == where:
            assert hit == hit_by(scenario)
