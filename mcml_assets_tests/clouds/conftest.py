"""The stores that the conformance suite runs over: a cloud joins by one entry of `STORES`."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.clouds.local.store import LocalStore
from mcml_assets.clouds.memory.store import MemoryStore
from mcml_assets.clouds.registry import open_store
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.topology import Location, StoreKind
from mcml_assets.emulation.servers import Emulators
from mcml_assets_tests.clouds.emulated_buckets import make_bucket
from mcml_assets_tests.clouds.limitations import limitation
from mcml_assets_tests.emulation.started import started

REMOTE: tuple[StoreKind, ...] = ("s3", "gcs", "azure")
STORES = ("memory", "local", *REMOTE)


def local_store(folder: Path) -> LocalStore:
    bucket = folder / "bucket"
    bucket.mkdir()
    return LocalStore("aws/eu-west-2", bucket)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A deviation that is on record is expected to fail, and nothing else is."""
    for item in items:
        kind = getattr(getattr(item, "callspec", None), "params", {}).get("store_name")
        known = limitation(kind, getattr(item, "originalname", item.name)) if kind else None
        if known is not None:
            item.add_marker(pytest.mark.xfail(strict=True, reason=known.reason))


@pytest.fixture(scope="session")
def emulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulators]:
    """The emulators of the three clouds, ended after the last test; each test makes its own bucket."""
    with started(tmp_path_factory.mktemp("emulated")) as running:
        yield running


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.live] if name in REMOTE else []) for name in STORES])
def store_name(request: pytest.FixtureRequest) -> str:
    """The store that is asked, by its name in the suite."""
    return request.param


@pytest.fixture(params=[pytest.param(kind, marks=pytest.mark.live) for kind in REMOTE])
def remote_location(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Location:
    """A location with an empty bucket on the emulator of its cloud."""
    return make_bucket(request.param, request.getfixturevalue("emulators"), monkeypatch.setenv)


@pytest.fixture
def store(store_name: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """An empty store."""
    openers: dict[str, Callable[[], ObjectStore]] = {
        "memory": lambda: MemoryStore("aws/eu-west-2"),
        "local": lambda: local_store(tmp_path),
    }
    if store_name in openers:
        return openers[store_name]()
    kind: StoreKind = next(kind for kind in REMOTE if kind == store_name)
    location = make_bucket(kind, request.getfixturevalue("emulators"), monkeypatch.setenv)
    return open_store(location, Settings(home=tmp_path))
