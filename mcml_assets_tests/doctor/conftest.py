"""Emulators that a whole file of doctor's tests shares."""

from collections.abc import Iterator

import pytest

from mcml_assets.emulation.servers import Emulators
from mcml_assets_tests.emulation.started import started


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulators]:
    with started(tmp_path_factory.mktemp("doctor")) as emulators:
        yield emulators


@pytest.fixture
def emulators(running: Emulators, monkeypatch: pytest.MonkeyPatch) -> Emulators:
    """Running emulators, with their credentials in the environment."""
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    return running
