"""What `snapshots/` promises in memory it keeps over the protocols of the clouds: retention, interleavings, and the vote."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.clouds.registry import open_store
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.topology import Location, StoreKind
from mcml_assets.emulation.servers import Emulators
from mcml_assets.snapshots.scrub import ScrubReport, scrub
from mcml_assets_tests.clouds.conftest import REMOTE
from mcml_assets_tests.clouds.emulated_buckets import make_bucket
from mcml_assets_tests.clouds.faults import flipped
from mcml_assets_tests.snapshots.committing import WORKLOAD, commit, snapshots
from mcml_assets_tests.snapshots.test_lives import Lives
from mcml_assets_tests.snapshots.test_retention import test_orphans_go_after_the_grace_period
from mcml_assets_tests.snapshots.test_scrub import NOW

# Collected here once more, with the stores below. Not those that count what stays: they commit without a pause, and S3 and
# Azure tell times to the second, so of snapshots of one second any may count as the newer one.
__all__ = ["test_orphans_go_after_the_grace_period"]

pytestmark = pytest.mark.live

FILES = {f"{number:03d}": f"content {number}".encode() for number in range(12)}
# Few and short, and the same each time: the protocol is searched in memory, by `test_lives.py`.
SEARCH = settings(
    max_examples=3, stateful_step_count=8, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip


@pytest.fixture
def store(remote_location: Location) -> ObjectStore:
    """An empty store in one of the clouds."""
    return open_store(remote_location, Settings())


@pytest.mark.parametrize("kind", REMOTE)
def test_whatever_happens_together_loses_nothing(kind: StoreKind, emulators: Emulators, monkeypatch: pytest.MonkeyPatch):
    """Commits, copies, crashes, holds and collections in any order, in every cloud: no stored snapshot lacks a file."""

    class InACloud(Lives):
        def empty_store(self) -> ObjectStore:
            return open_store(make_bucket(kind, emulators, monkeypatch.setenv), Settings())

    run_state_machine_as_test(InACloud, settings=SEARCH)


@pytest.fixture
def three_clouds(emulators: Emulators, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Mapping[str, ObjectStore]:
    """The same snapshot in three locations, one in each cloud, as the emulated platform has them."""
    for name, value in emulators.environment.items():
        monkeypatch.setenv(name, value)
    locations = [one for one in emulators.topology.locations.values() if one.jurisdiction == "UK"]
    stores = {location.key: open_store(location, Settings()) for location in locations}
    assert {location.store.kind for location in locations} == set(REMOTE)
    for each in stores.values():
        commit(snapshots(each, "raw_data"), FILES, tmp_path)
    return stores


def scrubbed(stores: Mapping[str, ObjectStore], here: str) -> ScrubReport:
    own = stores[here]
    own.delete(f"{WORKLOAD}/scrub.json")  # what was read is not read again the same day
    current = snapshots(own, "raw_data").current()
    assert current is not None
    others = [other for key, other in stores.items() if key != here]
    return scrub(own, WORKLOAD, [current], others, days=1, now=NOW)


def test_three_clouds_vote_on_the_corrupt_one(three_clouds: Mapping[str, ObjectStore]):
    """Whichever of three providers holds a decayed or lost file, the vote of all three names it, and no other."""
    blobs = snapshots(next(iter(three_clouds.values())), "raw_data").blobs
    manifest = snapshots(next(iter(three_clouds.values())), "raw_data").current()
    assert manifest is not None
    key = blobs.key(manifest.file("007"))
    for here in three_clouds:
        assert scrubbed(three_clouds, here).findings == ()
        others = {other for other in three_clouds if other != here}
        three_clouds[here].put(key, flipped(FILES["007"]))
        (finding,) = scrubbed(three_clouds, here).findings
        assert (finding.verdict.corrupt, set(finding.verdict.sound)) == ((here,), others)
        three_clouds[here].delete(key)
        (finding,) = scrubbed(three_clouds, here).findings
        assert (finding.found, finding.verdict.corrupt, set(finding.verdict.sound)) == (None, (), others)
        three_clouds[here].put(key, FILES["007"])
