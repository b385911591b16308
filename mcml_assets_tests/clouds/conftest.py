"""The stores that the conformance suite runs over: a cloud joins by one entry of `STORES`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.clouds.local.store import LocalStore
from mcml_assets.clouds.memory.store import MemoryStore


def local_store(folder: Path) -> LocalStore:
    bucket = folder / "bucket"
    bucket.mkdir()
    return LocalStore("aws/eu-west-2", bucket)


STORES: dict[str, Callable[[Path], ObjectStore]] = {
    "memory": lambda folder: MemoryStore("aws/eu-west-2"),
    "local": local_store,
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return STORES[request.param](tmp_path)
