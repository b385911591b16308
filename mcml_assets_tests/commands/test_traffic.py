"""What `mcml traffic` and the check of global load balancing promise: they tell what would be, and what is not."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mcml_assets.asset_checks.global_traffic import build_global_traffic
from mcml_assets.cli import app
from mcml_assets.clouds.azure import front_door
from mcml_assets.configuration.settings import TOPOLOGIES, Settings
from mcml_assets.domain.route import Route
from mcml_assets.domain.topology import Credentials, StoreAccess
from mcml_assets.domain.traffic import GoogleUrlMap, TrafficAccess
from mcml_assets.domain.workload import Workload
from mcml_assets.resources.endpoints import Endpoints
from mcml_assets.serving.routes import publish_route
from mcml_assets_tests.clouds.azure_front_door import FrontDoor
from mcml_assets_tests.clouds.google_compute import UrlMaps
from mcml_assets_tests.clouds.test_traffic import AWS, BACKENDS, GCP, Token, route
from mcml_assets_tests.http_server import json_server
from mcml_assets_tests.serving.served_shop import shop_workload

pytestmark = pytest.mark.live


@pytest.fixture
def maps() -> UrlMaps:
    made = UrlMaps()
    made.add("predictions", {"name": "shop-uk", "defaultService": "old"})
    return made


@pytest.fixture
def address(maps: UrlMaps) -> Iterator[str]:
    with json_server(maps.answer) as running:
        yield running


def published_workload(folder: Path, address: str) -> Workload:
    workload = shop_workload(folder / "shop")
    store = StoreAccess("gcs", address, True, None, Credentials("emulator"))
    access = TrafficAccess("shop", "UK", BACKENDS, GoogleUrlMap("example", "predictions", "shop-uk"), store)
    (placement,) = workload.placements
    return replace(workload, placements=(replace(placement, traffic=(access,)),))


def test_what_deviates_is_found_and_published_away(tmp_path: Path, maps: UrlMaps, address: str) -> None:
    """A load balancer that holds no route, an older one, or does not answer is a deviation; one that holds the edge's is
    not. Publishing sets it right, and an outage there raises nothing.
    """
    settings = Settings(home=tmp_path)
    workload = published_workload(tmp_path, address)
    (placement,) = workload.placements
    endpoints = Endpoints.from_settings(settings)

    def deviating() -> list[str]:
        return [f"{error}: {problem}" for error, problem in endpoints.deviating_traffic(workload, placement)]

    assert deviating() == ["ObjectNotFound: traffic/google/shop.UK: the edge has no route of shop yet"]
    first, second = route(1, AWS, GCP), route(2, GCP, AWS)
    publish_route(first, settings)
    assert deviating() == ["StaleEpoch: traffic/google/shop.UK holds no route, not the one of epoch 1 that the edge obeys"]
    assert [outcome.changed for outcome in endpoints.publish_globally(placement, first)] == [True]
    assert deviating() == []
    publish_route(second, settings)
    assert deviating() == [
        "StaleEpoch: traffic/google/shop.UK holds a route of epoch 1, not the one of epoch 2 that the edge obeys"
    ]
    maps.status = 503
    (outcome,) = endpoints.publish_globally(placement, second)
    assert (outcome.error, outcome.changed) == ("LocationUnavailable", False)
    assert deviating()[0].startswith("TransientError: ")


def test_only_what_is_published_is_checked(tmp_path: Path, address: str) -> None:
    """A workload whose routes are published has the check, and another one has not."""
    assert build_global_traffic(shop_workload(tmp_path / "shop")) == []
    assert len(build_global_traffic(published_workload(tmp_path, address))) == 1


def test_a_dry_run_prints_what_would_be_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a load balancer in the topology the command says where it would be; with one whose provider does not answer
    a dry run tells what failed.
    """
    monkeypatch.setenv("MCML_HOME", str(tmp_path / "home"))
    nothing = CliRunner().invoke(app, ["traffic", "publish", "--dry-run"])
    assert nothing.exit_code == 2
    assert "see its block `traffic`" in " ".join(nothing.output.split())
    file = tmp_path / "lab.yaml"
    targets = "{aws/eu-west-2: a.example.com, gcp/europe-west2: b.example.com, azure/uksouth: c.example.com}"
    service = (
        f"{{kind: route53, zone: Z0000, name: retail.example.com, targets: {targets}, "
        "credentials: {method: keys, access_key_id: {env: TRAFFIC_KEY}, secret_access_key: {env: TRAFFIC_SECRET}}, "
        'address: "http://127.0.0.1:1"}'
    )
    file.write_text((TOPOLOGIES / "local.yaml").read_text() + f"\ntraffic:\n  UK:\n    online_retail:\n      - {service}\n")
    for name, value in {"MCML_TOPOLOGY": str(file), "TRAFFIC_KEY": "AKIATEST", "TRAFFIC_SECRET": "test"}.items():
        monkeypatch.setenv(name, value)
    unrouted = CliRunner().invoke(app, ["traffic", "publish", "--dry-run"])
    assert (unrouted.exit_code, json.loads(unrouted.stdout)) == (0, [])
    retail: Route = replace(route(3, AWS, GCP), workload="online_retail")
    publish_route(retail, Settings())
    told = CliRunner().invoke(app, ["traffic", "publish", "--dry-run"])
    assert told.exit_code == 1
    (one,) = json.loads(told.stdout)
    assert (one["where"], one["epoch"], one["requests"], one["error"]) == (
        "traffic/route53/online_retail.UK",
        3,
        [],
        "LocationUnavailable",
    )


def test_a_dry_run_shows_front_door_each_change_and_makes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Front Door would be asked for is printed in its order: the group, an origin for each location, then the route."""
    monkeypatch.setattr(front_door, "azure_identity", lambda access: Token())
    service = FrontDoor("edges", "door", "retail", "uk")
    with json_server(service.answer) as address:
        file = tmp_path / "lab.yaml"
        entry = (
            "{kind: front_door, subscription: 00000000-0000-0000-0000-000000000000, resource_group: edges, profile: door, "
            "endpoint: retail, route: uk, targets: {aws/eu-west-2: a.example.com, gcp/europe-west2: b.example.com, "
            f'azure/uksouth: c.example.com}}, credentials: {{method: managed_identity}}, address: "{address}"}}'
        )
        file.write_text((TOPOLOGIES / "local.yaml").read_text() + f"\ntraffic:\n  UK:\n    online_retail:\n      - {entry}\n")
        monkeypatch.setenv("MCML_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("MCML_TOPOLOGY", str(file))
        publish_route(replace(route(3, AWS, GCP), workload="online_retail"), Settings())
        told = CliRunner().invoke(app, ["traffic", "publish", "--dry-run"])
    assert told.exit_code == 0, told.output
    (one,) = json.loads(told.stdout)
    assert (one["where"], one["epoch"], one["error"]) == ("traffic/front_door/online_retail.UK", 3, None)
    assert [request["call"] for request in one["requests"]] == [
        "afd_origin_groups.begin_create",
        "afd_origins.begin_create",
        "afd_origins.begin_create",
        "routes.begin_update",
    ]
    assert [request["origin"]["properties"]["hostName"] for request in one["requests"][1:3]] == [
        "a.example.com",
        "b.example.com",
    ]
    assert service.changes == []
