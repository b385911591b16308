"""Emulators for the tests of resources that reach a cloud."""

from collections.abc import Iterator

import pytest

from mcml_assets.emulation.servers import Emulators
from mcml_assets_tests.emulation.started import started


@pytest.fixture(scope="session")
def emulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulators]:
    """The emulators of the three clouds, ended after the last test."""
    with started(tmp_path_factory.mktemp("emulated")) as running:
        yield running
