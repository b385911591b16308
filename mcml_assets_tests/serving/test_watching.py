"""Promises of what can be watched of serving, with real servers behind a real edge."""

from collections.abc import Iterator

import httpx
import pytest

from mcml_assets.serving.data_plane import edge_url
from mcml_assets.serving.edge.traffic_counts import LocationTraffic, traffic_between, traffic_counts
from mcml_assets_tests.serving.served_shop import PRIMARY, WARM, Shop
from mcml_assets_tests.serving.waiting import until
from mcml_assets_tests.serving.watched_shop import answered_by, ask, frozen, watched_shop

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with watched_shop(tmp_path_factory.mktemp("home")) as built:
        yield built


def counted(shop: Shop) -> dict[str, LocationTraffic]:
    return {counts.location: counts for counts in traffic_counts(shop.settings)}


def settled(shop: Shop) -> tuple[LocationTraffic, ...]:
    """The counts, once Envoy has merged those of its threads: it does each second."""
    seen: list[tuple[LocationTraffic, ...]] = []

    def same() -> bool:
        seen.append(traffic_counts(shop.settings))
        return len(seen) > 25 and seen[-1] == seen[-25]

    until(same, "counts that change no more")
    return seen[-1]


def test_each_location_counts_what_it_was_asked(shop: Shop) -> None:
    """Predictions count for the location that was asked, a frozen one is given up, and synthetic transactions count nowhere."""
    before = settled(shop)
    assert {answer.status_code for answer in ask(shop, 20)} == {200}
    assert httpx.get(f"{edge_url(shop.settings)}/UK/v2/models/shop/synthetic", trust_env=False).status_code == 200
    calm = settled(shop)
    asked = {counts.location: counts for counts in traffic_between(before, calm)}
    assert (asked[PRIMARY].requests, asked[PRIMARY].failed, asked[PRIMARY].given_up) == (20, 0, 0)
    assert asked[PRIMARY].quantile(0.5) is not None
    with frozen(shop, PRIMARY):
        assert {answer.status_code for answer in ask(shop, 5)} == {200}
    until(lambda: answered_by(shop) == PRIMARY, "the primary is back")
    ill = {counts.location: counts for counts in traffic_between(calm, settled(shop))}
    assert ill[PRIMARY].given_up > 0
    assert ill[WARM].requests >= 5
    assert ill[WARM].failed == 0
