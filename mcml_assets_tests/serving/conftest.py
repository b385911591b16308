"""One closed edge for all tests that ask it."""

from collections.abc import Iterator

import pytest

from mcml_assets_tests.serving.closed_edge import ClosedEdge, closed_edge


@pytest.fixture(scope="package")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClosedEdge]:
    with closed_edge(tmp_path_factory.mktemp("closed")) as edge:
        yield edge
