"""Published features of the small shop."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.workload import Workload
from mcml_assets.features.compute import compute_features
from mcml_assets.features.feast_store import publish
from mcml_assets.features.repositories import FeastRepository
from mcml_assets_tests.features.small_shop import LOCATION, days, make_tables, make_workload

VISITS = [(1, 0.0, 5.0, "York"), (2, 3.5, 7.0, "Bath"), (1, 12.0, 1.5, "Bath"), (3, 24.0, None, "Rome")]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings whose home is the test's own folder."""
    return Settings(home=tmp_path / "home")


@pytest.fixture
def shop(tmp_path: Path) -> Workload:
    """The workload."""
    return make_workload(tmp_path / "shop")


@pytest.fixture
def publish_days(tmp_path: Path, shop: Workload, settings: Settings) -> Callable[..., FeastRepository]:
    """Publish the features as of so many days, under a snapshot id of one repeated character."""

    def published(number: int, snapshot: str, visits: list | None = None) -> FeastRepository:
        tables = make_tables(VISITS if visits is None else visits)
        files = compute_features(shop, tables, days(number), tmp_path / f"features-{snapshot}")
        return publish(shop, LOCATION, snapshot * 64, files, days(number), settings)

    return published
