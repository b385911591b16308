"""Promises of an upgrade: what an earlier version wrote is read as it is, answers the same, and is gone on from.

The archive was written by the code of 24 November 2026, before snapshots were digested with BLAKE3 and before the register
kept evacuations. It is never written again: its digest is below.
"""

import tarfile
from hashlib import sha256
from pathlib import Path

import pytest

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.acting import Acting
from mcml_assets.domain.register import Evacuation
from mcml_assets.domain.snapshot import SNAPSHOT_NOUNS
from mcml_assets.domain.workload import Workload
from mcml_assets.resources.stores import CloudStores
from mcml_assets.serving.folder import DataPlaneFolder
from mcml_assets.serving.local_platform import LocalEndpointPlatform
from mcml_assets.serving.manifest import endpoint_name
from mcml_assets.serving.routes import read_route
from mcml_assets.snapshots.replication import replicate
from mcml_assets_tests.failover.stage import example_workloads
from mcml_assets_tests.snapshots.committing import commit, contents

ARCHIVE = Path(__file__).parents[1] / "data" / "stores_of_an_earlier_version.tar.gz"
DIGEST = "c592599010ed59f895195ba47dd77f6917070e0ff395f9f09a86e2042434fe4f"
LOCATIONS = ("aws/us-east-1", "gcp/us-east4", "azure/eastus")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The earlier version's folder, as it left it."""
    assert sha256(ARCHIVE.read_bytes()).hexdigest() == DIGEST
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


@pytest.fixture
def stores(home: Path) -> CloudStores:
    return CloudStores.from_settings(Settings(home=home))


@pytest.fixture
def workload() -> Workload:
    (found,) = example_workloads(["credit_scoring"])
    return found


def test_every_snapshot_is_what_it_was(stores: CloudStores, workload: Workload) -> None:
    """Each pointer names its snapshot, whose id is computed to what it was called, by SHA-256; every byte is what its manifest
    says; and read again, the manifest is written as it stands.
    """
    found = 0
    for location in LOCATIONS:
        for noun in SNAPSHOT_NOUNS:
            store = stores.snapshots(workload, location, noun)
            pointer = store.current_pointer()
            if pointer is None:
                continue
            manifest = store.manifest(pointer.snapshot_id)
            assert (manifest.snapshot_id, manifest.digest_algorithm) == (pointer.snapshot_id, "sha256")
            assert contents(store, manifest)
            found += 1
    assert found == 11


def test_the_next_version_goes_on_from_it(stores: CloudStores, workload: Workload, tmp_path: Path) -> None:
    """A copy of an earlier snapshot keeps its id; a new one is digested anew and stands beside it, and both can be read."""
    origin = stores.snapshots(workload, "aws/us-east-1", "landing")
    former = origin.current()
    assert former is not None
    target = stores.snapshots(workload, "gcp/us-east4", "landing")
    replicate(origin, target, former, epoch=2)
    copied = target.current()
    assert copied is not None
    assert copied.snapshot_id == former.snapshot_id
    made = commit(target, {"t/new.parquet": b"new"}, tmp_path, epoch=2).manifest
    assert made.digest_algorithm == "blake3"
    assert contents(target, made) == {"t/new.parquet": b"new"}
    assert contents(target, target.manifest(former.snapshot_id)) == contents(origin, former)


def test_the_register_goes_on_from_it(stores: CloudStores, workload: Workload) -> None:
    """Who was acting is acting, in the same epoch and for the same reason; nothing is evacuated, as entries did not say so
    then; the next change grows that epoch, and an evacuation is kept.
    """
    entry = stores.register.entry(workload, "US")
    assert entry.acting == Acting("gcp/us-east4", 2)
    assert (entry.who, entry.why, entry.evacuated) == ("operator@example", "by hand", frozenset())
    wished = Evacuation("azure/eastus", False, "operator@example", "maintenance", "2026-11-25T00:00:00+00:00")
    assert stores.register.evacuate(workload, "US", wished).evacuated == {"azure/eastus"}
    changed = stores.register.change(
        workload, "US", entry.acting, Acting("aws/us-east-1", 3), who="test", why="upgraded", request_id="r-2"
    )
    assert changed == stores.register.read(workload, "US")


def test_the_data_plane_goes_on_from_it(home: Path, workload: Workload) -> None:
    """Routes and the manifests of what should run are read: an upgrade does not interrupt what answers."""
    settings = Settings(home=home)
    folder = DataPlaneFolder.of(settings)
    route = read_route(folder, "credit_scoring", "US")
    assert route is not None
    assert route.epoch == 1
    platform = LocalEndpointPlatform(settings)
    for location in LOCATIONS:
        assert platform.status(endpoint_name("credit_scoring", location)).name == endpoint_name("credit_scoring", location)
        assert platform.kept_packages(endpoint_name("credit_scoring", location))
