"""Registers over stores in memory, for one workload."""

from pathlib import Path

import pytest

from mcml_assets.domain.workload import Workload
from mcml_assets_tests.register.stores import Clouds, make_workload


@pytest.fixture
def workload(tmp_path: Path) -> Workload:
    return make_workload(tmp_path)


@pytest.fixture
def clouds() -> Clouds:
    return Clouds()
