"""When a drill does not begin: never on a platform that is not in order, and never two at once."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from mcml_assets.configuration.scenario_files import scenario_named
from mcml_assets.domain.drill import Verdict
from mcml_assets.domain.drill_result import DrillResult
from mcml_assets.domain.workload import Workload
from mcml_assets.drills.footprint import reserved
from mcml_assets.drills.run import rehearse
from mcml_assets_tests.failover.stage import Stage, example_workloads
from mcml_assets_tests.ports import free_ports


@pytest.fixture(autouse=True)
def no_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens there, whatever platform runs on this machine: no drill gets as far as breaking something."""
    monkeypatch.setenv("MCML_EDGE_PORT", str(free_ports(1)[0]))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path / "home", example_workloads(["online_retail"]))
    stage.fill()
    yield stage
    stage.mend()


def drill(stage: Stage) -> DrillResult:
    workload: Workload = next(iter(stage.workloads.values()))
    with dg.DagsterInstance.ephemeral() as instance:
        return rehearse(scenario_named("region_outage"), workload, "UK", stage.settings, instance, lambda _: None)


def test_a_dark_cloud_is_a_reason_not_to_begin(stage: Stage) -> None:
    """With a real outage under way nothing more is broken: the reasons name the fault and the location, and nothing moved."""
    stage.darken("gcp/europe-west2")
    result = drill(stage)
    assert result.verdict is Verdict.REFUSED
    assert any("a fault is set already" in reason for reason in result.reasons)
    assert any(reason.startswith("gcp/europe-west2: it is down") for reason in result.reasons)
    assert result.measured is None


def test_a_platform_that_nobody_watches_is_not_steady(tmp_path: Path) -> None:
    """Endpoints without a controller are unknown, and what is unknown is not steady."""
    stage = Stage(tmp_path / "home", example_workloads(["online_retail"]))
    stage.fill()
    stage.platform.folder.heartbeat.unlink()
    result = drill(stage)
    assert result.verdict is Verdict.REFUSED
    assert any("no server answers there" in reason for reason in result.reasons)


def test_two_drills_at_once_are_refused(stage: Stage) -> None:
    """Each would measure the other's fault as its own; what lies apart, in another jurisdiction, is no hindrance."""
    with reserved(["azure/uksouth", "azure/westeurope"], stage.settings) as taken:
        assert taken is None
        result = drill(stage)
    assert result.verdict is Verdict.REFUSED
    assert result.reasons == ("another drill runs in azure/uksouth: each would measure the other too",)
    with reserved(["azure/westeurope"], stage.settings):
        assert not any("another drill" in reason for reason in drill(stage).reasons)
