"""One set of emulators for the tests of this folder."""

from collections.abc import Iterator

import pytest

from mcml_assets.emulation.servers import Emulators
from mcml_assets_tests.emulation.started import started


@pytest.fixture(scope="session")
def emulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulators]:
    with started(tmp_path_factory.mktemp("emulators")) as running:
        yield running
