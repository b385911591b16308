"""`mcml endpoint delete` as a person meets it: what was left behind ends, and what anybody still needs does not."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mcml_assets import cli
from mcml_assets.commands import endpoint
from mcml_assets.configuration.settings import DEFS, Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.configuration.workload import load_workload
from mcml_assets.domain.route import Route, RouteLocation
from mcml_assets.serving.interfaces import EndpointState
from mcml_assets.serving.local_platform import LocalEndpointPlatform
from mcml_assets.serving.manifest import endpoint_name, inference_service
from mcml_assets.serving.routes import publish_route

WORKLOAD, PLACED, LEFT = "credit_scoring", "gcp/us-east4", "aws/eu-west-2"


@pytest.fixture(autouse=True)
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalEndpointPlatform:
    """A machine of its own, on which the workload is wanted where it is placed, and where it was."""
    monkeypatch.setenv("MCML_HOME", str(tmp_path))
    settings = Settings()
    topology = load_topology(settings.topology_file)
    workload = load_workload(DEFS / WORKLOAD / "defs.yaml", topology)
    platform = LocalEndpointPlatform(settings)
    placed = workload.placed(PLACED)
    for place in (placed, replace(placed, location=topology.location(LEFT))):
        uri = "file:///package"
        platform.apply(inference_service(workload, place, package_uri=uri, features_uri=uri, model_version=3, digest="a" * 64))
    return platform


def mcml(code: int, *arguments: str) -> str:
    result = CliRunner().invoke(cli.app, ["endpoint", "delete", *arguments])
    assert result.exit_code == code, result.output
    return result.stdout if code == 0 else result.output


def wanted(platform: LocalEndpointPlatform, location: str) -> bool:
    return platform.status(endpoint_name(WORKLOAD, location)).state is not EndpointState.STOPPED


def test_what_a_workload_left_behind_is_ended_and_nothing_else(platform: LocalEndpointPlatform) -> None:
    """The endpoint of the location that no placement names is wanted no more; repeated, the command says that nothing runs."""
    told = json.loads(mcml(0, WORKLOAD, LEFT, "--json"))
    assert told == {"workload": WORKLOAD, "location": LEFT, "was": "UNKNOWN", "version": 3}
    assert not wanted(platform, LEFT)
    assert wanted(platform, PLACED)
    assert "it was stopped" in mcml(0, WORKLOAD, LEFT)


def test_where_it_is_placed_it_stays(platform: LocalEndpointPlatform) -> None:
    """While a placement names the location, the command is refused, and says which file to change."""
    assert "take it out of the placements of its defs.yaml first" in " ".join(mcml(2, WORKLOAD, PLACED).split())
    assert wanted(platform, PLACED)


def test_where_requests_are_sent_it_stays(platform: LocalEndpointPlatform) -> None:
    """While a published route names the location, the command is refused, and says what to materialize."""
    publish_route(Route(WORKLOAD, "US", 3, 1, (RouteLocation(LEFT, 100, 0),), "2024-07-01T00:00:00+00:00"), Settings())
    assert f"materialize {WORKLOAD}/traffic_route of US first" in " ".join(mcml(2, WORKLOAD, LEFT).split())
    assert wanted(platform, LEFT)


def test_it_stays_while_a_declaration_cannot_be_read(
    platform: LocalEndpointPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A declaration with a mistake may place it anywhere: the command is refused and passes the mistake on."""
    shutil.copytree(DEFS / WORKLOAD, tmp_path / "defs" / WORKLOAD, ignore=shutil.ignore_patterns("__pycache__"))
    declaration = tmp_path / "defs" / WORKLOAD / "defs.yaml"
    declaration.write_text(declaration.read_text().replace("rto_seconds", "rto_second"))
    monkeypatch.setattr(endpoint, "DEFS", tmp_path / "defs")
    told = " ".join(mcml(2, WORKLOAD, LEFT).split())
    assert "cannot be told" in told
    assert "rto_second" in told
    assert wanted(platform, LEFT)


def test_a_location_that_the_topology_lacks_is_told() -> None:
    """A slip of the pen names the nearest location, and ends nothing."""
    assert "aws/eu-west-2" in mcml(2, WORKLOAD, "aws/eu-west-22")
