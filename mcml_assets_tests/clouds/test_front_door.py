"""What Azure Front Door promises beyond the suite of all traffic adapters: a route is seen whole, others' things stay."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from mcml_assets.clouds.azure import front_door as front_door_module
from mcml_assets.clouds.traffic_registry import traffic_adapter
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.route import Route, RouteLocation
from mcml_assets.domain.traffic import FrontDoorRoute
from mcml_assets_tests.clouds.azure_front_door import FrontDoor
from mcml_assets_tests.clouds.test_traffic import AWS, AZURE, GCP, Bench, Token, front_door_bench, route
from mcml_assets_tests.http_server import json_server

pytestmark = pytest.mark.live


@pytest.fixture
def front_door(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Bench, FrontDoor]]:
    """A Front Door whose route names somebody else's group."""
    monkeypatch.setattr(front_door_module, "azure_identity", lambda access: Token())
    service = FrontDoor("edges", "door", "shop", "uk")
    with json_server(service.answer) as address:
        yield front_door_bench(address, service), service


def test_front_door_shows_callers_all_of_a_route_or_nothing(front_door: tuple[Bench, FrontDoor]) -> None:
    """The new locations stand complete in a group of their own before one change of the route lets callers come to them; the
    group before is kept, older ones go, and others' are left alone.
    """
    bench, service = front_door
    service.slow = True
    bench.adapter.publish(route(1, AWS, GCP))
    (first,) = service.groups.keys() - {"old"}
    service.slow = False
    bench.adapter.publish(route(2, GCP, AWS))
    second = service.named()
    assert service.groups.keys() == {"old", first, second}
    service.changes.clear()
    bench.adapter.publish(route(3, AZURE, GCP))
    third = service.named()
    group = f"/originGroups/{third}"
    assert service.changes == [
        ("PUT", group),
        ("PUT", f"{group}/origins/azure-uksouth"),
        ("PUT", f"{group}/origins/gcp-europe-west2"),
        ("PATCH", "/afdEndpoints/shop/routes/uk"),
        ("DELETE", f"/originGroups/{first}"),
    ]
    assert service.groups.keys() == {"old", second, third}
    assert service.route["properties"]["patternsToMatch"] == ["/*"]
    assert service.groups[third]["properties"]["healthProbeSettings"]["probePath"] == "/UK/v2/models/shop/ready"


def test_front_door_can_share_and_have_an_order(front_door: tuple[Bench, FrontDoor]) -> None:
    """Shares within a priority and an order of priorities are published together; more priorities than Front Door knows, or
    a route that is not there, are mistakes with a name.
    """
    bench, service = front_door
    entries = (RouteLocation(AWS, 90, 0), RouteLocation(GCP, 10, 0), RouteLocation(AZURE, 100, 1))
    bench.adapter.publish(Route("shop", "UK", 3, 1, entries, "2024-07-01T00:00:00+00:00"))
    assert bench.shares() == {AWS: 0.9, GCP: 0.1}
    assert service.origins[service.named()]["azure-uksouth"]["properties"]["priority"] == 2
    six = [f"aws/eu-west-{number}" for number in range(6)]
    many = replace(bench.access, targets=dict.fromkeys(six, "edge.example.com"))
    with pytest.raises(ConfigurationError, match="the route of epoch 4 has 6 priorities; Front Door knows 5"):
        traffic_adapter(many).publish(route(4, *six))
    assert bench.shares() == {AWS: 0.9, GCP: 0.1}
    lost = FrontDoorRoute("00000000-0000-0000-0000-000000000000", "edges", "door", "shop", "eu")
    with pytest.raises(ConfigurationError, match="read the route 'eu' of the endpoint 'shop': HTTP 404: NotFound"):
        traffic_adapter(replace(bench.access, where=lost)).published()
