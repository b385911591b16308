"""Promises of published routes: an old writer is fenced, and one damaged file harms no other route."""

from dataclasses import replace
from pathlib import Path

import pytest

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import StaleEpoch
from mcml_assets.domain.route import Route, RouteLocation
from mcml_assets.serving.folder import DataPlaneFolder
from mcml_assets.serving.routes import publish_route, read_route, read_routes

ROUTE = Route("shop", "UK", 3, 1, (RouteLocation("aws/eu-west-2", 100, 0),), "2024-07-01T00:00:00+00:00")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def test_an_older_epoch_is_fenced(settings: Settings) -> None:
    """A writer that missed a failover cannot move the traffic back; the newer route stays as it is."""
    publish_route(ROUTE, settings)
    with pytest.raises(StaleEpoch, match="epoch 2 is refused: the edge obeys epoch 3"):
        publish_route(replace(ROUTE, epoch=2), settings)
    assert read_route(DataPlaneFolder.of(settings), "shop", "UK") == ROUTE


def test_the_same_and_newer_epochs_replace(settings: Settings) -> None:
    """Within an epoch the route may change (a standby became ready), and a newer epoch always wins."""
    two = (*ROUTE.weights, RouteLocation("gcp/europe-west2", 100, 1))
    for route in (ROUTE, replace(ROUTE, weights=two), replace(ROUTE, epoch=4)):
        publish_route(route, settings)
        assert read_routes(DataPlaneFolder.of(settings)) == (route,)


def test_a_damaged_file_harms_no_other_route(settings: Settings) -> None:
    """A broken or misnamed route file is left out; the other workloads keep their routes."""
    publish_route(ROUTE, settings)
    folder = DataPlaneFolder.of(settings)
    (folder.routes / "broken.UK.json").write_text("{")
    (folder.routes / "other.EU.json").write_bytes(ROUTE.to_json())
    assert read_routes(folder) == (ROUTE,)
