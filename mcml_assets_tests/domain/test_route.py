"""Promises of routes: requests stay in the placement, and a damaged route is refused, not obeyed."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcml_assets.domain.errors import ConfigurationError, LocationUnavailable, ResidencyViolation
from mcml_assets.domain.route import Route, RouteLocation, plan_route
from mcml_assets.domain.topology import Location
from mcml_assets.domain.workload import PlacedLocation, Placement, Role

KEYS = ("aws/eu-west-2", "gcp/europe-west2", "azure/uksouth", "aws/eu-central-1")
TIME = "2024-07-01T00:00:00+00:00"


def placement(keys: tuple[str, ...] = KEYS[:3]) -> Placement:
    placed = []
    for position, key in enumerate(keys):
        cloud, _, region = key.partition("/")
        location = Location(cloud, region, "UK", "bucket", Decimal(0), "USD", {})
        placed.append(PlacedLocation(location, Role.WARM if position else Role.PRIMARY))
    return Placement("UK", tuple(placed))


def plan(acting: str, ready: set[str], where: Placement | None = None) -> Route:
    return plan_route("shop", where or placement(), acting, ready, epoch=3, version=7, updated_at=TIME)


def test_nothing_ready_gives_no_route() -> None:
    """With no ready location there is no route to publish, so the former one stays; the error allows a failover."""
    with pytest.raises(LocationUnavailable, match="no location of shop in UK is ready"):
        plan(KEYS[0], {KEYS[3]})


def test_an_acting_location_outside_the_placement_is_refused() -> None:
    """Requests never leave the placement, even when someone names an acting location outside it."""
    with pytest.raises(ResidencyViolation, match="aws/eu-central-1"):
        plan(KEYS[3], set(KEYS))


def test_standbys_follow_in_placement_order() -> None:
    """After a failover to the second location it comes first, then the ready others in the order of the placement."""
    route = plan(KEYS[1], {KEYS[2], KEYS[0], KEYS[1]})
    assert route.weights == (
        RouteLocation(KEYS[1], 100, 0),
        RouteLocation(KEYS[0], 100, 1),
        RouteLocation(KEYS[2], 100, 2),
    )
    assert (route.epoch, route.version, route.jurisdiction) == (3, 7, "UK")


def test_an_acting_location_that_is_not_ready_stays_first() -> None:
    """While the acting location restarts its standbys answer, and the edge returns to it without a new route."""
    assert plan(KEYS[0], {KEYS[2]}).locations == (KEYS[0], KEYS[2])


@given(st.permutations(KEYS), st.integers(1, 4), st.sets(st.sampled_from(KEYS)), st.sampled_from(KEYS))
def test_a_route_stays_in_its_placement_and_survives_storage(order: list[str], size: int, ready: set[str], acting: str) -> None:
    """Whatever is ready, a planned route names only placed locations, each once, and reads back as it was written."""
    placed = tuple(order[:size])
    try:
        route = plan(acting, ready, placement(placed))
    except (LocationUnavailable, ResidencyViolation):
        assert acting not in placed or not ready & set(placed)
        return
    assert set(route.locations) <= set(placed)
    assert set(route.locations) == (ready & set(placed)) | {acting}
    assert len(set(route.locations)) == len(route.weights)
    assert Route.from_json(route.to_json()) == route


WRONG: dict[str, Any] = {
    "workload": "../etc",
    "jurisdiction": "",
    "epoch": -1,
    "version": True,
    "updated_at": "2024-07-01T00:00:00",
    "weights": [],
    "format": 2,
    "surprise": 1,
}


@pytest.mark.parametrize("field", WRONG)
def test_a_stored_route_with_a_wrong_field_is_refused(field: str) -> None:
    """A route file with a value the edge cannot obey is refused with the field's name, not half obeyed."""
    document = json.loads(plan(KEYS[0], set(KEYS)).to_json())
    with pytest.raises(ConfigurationError, match="no location" if field == "weights" else field):
        Route.from_json(json.dumps(document | {field: WRONG[field]}).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b'{"format": 1', b'{"format": 1}', b'{"format": 1, "weights": [3]}'])
def test_a_broken_file_is_refused(data: bytes) -> None:
    """A truncated or foreign file never becomes a route."""
    with pytest.raises(ConfigurationError, match="route"):
        Route.from_json(data)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (RouteLocation("nowhere", 100, 1), "cloud/region"),
        (RouteLocation(KEYS[0], 100, 1), "twice"),
        (RouteLocation(KEYS[1], 0, 1), "weight"),
        (RouteLocation(KEYS[1], 100, 2), "priorities"),
    ],
)
def test_impossible_locations_are_refused(entry: RouteLocation, message: str) -> None:
    """Unwritable locations, repeated ones, weights outside 1 to 100 and gaps in the priorities cannot be built."""
    good = plan(KEYS[0], {KEYS[0]})
    with pytest.raises(ConfigurationError, match=message):
        replace(good, weights=(*good.weights, entry))
