"""A writer of an epoch that is over commits nothing: neither where the new epoch was heard of, nor where it was not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.workload import load_workload
from mcml_assets.domain.acting import Acting
from mcml_assets.domain.errors import RegisterUnavailable, StaleEpoch
from mcml_assets.domain.snapshot import SNAPSHOT_NOUNS
from mcml_assets.domain.workload import Workload
from mcml_assets.resources.stores import CloudStores
from mcml_assets.snapshots.replication import replicate
from mcml_assets.snapshots.store import SnapshotStore
from mcml_assets_tests.configuration.workload_files import write_workload
from mcml_assets_tests.snapshots.committing import commit

OLD, NEW = Acting("aws/eu-west-2", 1), Acting("gcp/europe-west2", 2)


class Platform:
    """Local clouds, one workload, and resources as separate processes would open them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = Settings(home=folder / "home")
        self.workload: Workload = load_workload(write_workload(folder / "churn"), self.open().topology)

    def open(self) -> CloudStores:
        return CloudStores.from_settings(self.settings)

    def fail_over(self) -> None:
        self.open().register.change(
            self.workload, "UK", OLD, NEW, who="a test", why="aws is dark", request_id="fail over"
        )  # fmt: skip

    def bucket(self, location: str) -> Path:
        cloud = location.partition("/")[0]
        return self.settings.clouds_folder / cloud / self.open().topology.location(location).bucket

    def unguarded(self, location: str, noun: str) -> SnapshotStore:
        """The snapshots as a writer has them that asked the register before the change, and was held up since."""
        return SnapshotStore(self.open().bucket(location), self.workload.name, noun)


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    return Platform(tmp_path)


def dark(bucket: Path) -> Callable[[], Path]:
    """Make a location's bucket unreachable; the result makes it answer again, as it was."""
    hidden = bucket.rename(bucket.with_name(f"{bucket.name}-hidden"))
    return lambda: hidden.rename(bucket)


def test_an_old_writer_is_refused_in_its_own_bucket_that_never_heard_of_the_new_epoch(platform: Platform) -> None:
    old = platform.open()
    assert old.acting(platform.workload, "UK") == OLD
    landing = old.snapshots(platform.workload, OLD.location, "landing")
    first = commit(landing, {"a": b"1"}, platform.folder, epoch=1)
    end_outage = dark(platform.bucket(OLD.location))
    platform.fail_over()
    end_outage()
    # No pointer here carries the new epoch, and the writer still believes in its own.
    assert old.acting(platform.workload, "UK") == OLD
    with pytest.raises(StaleEpoch, match=r"epoch 1 is over.*gcp/europe-west2 acts in epoch 2, since .*: aws is dark"):
        commit(landing, {"a": b"2"}, platform.folder, epoch=old.acting(platform.workload, "UK").epoch)
    assert landing.current() == first.manifest
    # From now on it knows, because it asked again.
    assert old.renew(platform.workload, "UK") == (OLD, NEW)
    assert old.acting(platform.workload, "UK") == NEW


def test_a_change_fences_every_pointer_against_a_writer_that_asked_in_time_and_was_held_up(platform: Platform) -> None:
    where = {(location, noun): platform.unguarded(location, noun) for location in (OLD.location, NEW.location)
             for noun in SNAPSHOT_NOUNS}  # fmt: skip
    before = {key: commit(store, {"a": b"1"}, platform.folder, epoch=1).manifest for key, store in where.items()}
    platform.fail_over()
    for key, store in where.items():
        with pytest.raises(StaleEpoch, match=r"current\.json is at epoch 2; a writer of epoch 1 may not move it"):
            commit(store, {"a": b"2"}, platform.folder, epoch=1)
        pointer = store.current_pointer()
        # What is there keeps the epoch that wrote it: who takes over tells by it what is left from before.
        assert pointer is not None
        assert (pointer.snapshot_id, pointer.epoch) == (before[key].snapshot_id, 1)


def test_a_copy_of_an_old_epoch_is_refused_too(platform: Platform) -> None:
    stores = platform.open()
    landing = stores.snapshots(platform.workload, OLD.location, "landing")
    manifest = commit(landing, {"a": b"1"}, platform.folder, epoch=1).manifest
    raw_data = stores.snapshots(platform.workload, NEW.location, "raw_data")
    platform.fail_over()
    with pytest.raises(StaleEpoch, match=r"epoch 1 is over"):
        replicate(landing, raw_data, manifest, epoch=1)
    assert raw_data.current_pointer() is None
    replicate(landing, raw_data, manifest, epoch=2)
    assert raw_data.current() == manifest


def test_a_location_that_could_not_be_fenced_is_told_of_and_fenced_when_it_is_back(
    platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    landing = platform.unguarded(OLD.location, "landing")
    commit(landing, {"a": b"1"}, platform.folder, epoch=1)
    end_outage = dark(platform.bucket(OLD.location))
    platform.fail_over()
    assert "aws/eu-west-2 has no fence of epoch 2" in caplog.text
    end_outage()
    # The one hole: this writer asked the register before the change, and its bucket could not be told.
    commit(landing, {"a": b"2"}, platform.folder, epoch=1)
    assert platform.open().fence(platform.workload, "UK", NEW) == {}
    with pytest.raises(StaleEpoch):
        commit(landing, {"a": b"3"}, platform.folder, epoch=1)


def test_while_nobody_can_tell_who_is_acting_nothing_is_committed(platform: Platform) -> None:
    stores = platform.open()
    landing = stores.snapshots(platform.workload, OLD.location, "landing")
    first = commit(landing, {"a": b"1"}, platform.folder, epoch=stores.acting(platform.workload, "UK").epoch)
    dark(platform.bucket("gcp/europe-west2"))
    assert commit(landing, {"a": b"2"}, platform.folder, epoch=1).moved_pointer
    dark(platform.bucket("azure/uksouth"))
    with pytest.raises(RegisterUnavailable, match="1 of its 3 stores answered"):
        commit(landing, {"a": b"3"}, platform.folder, epoch=1)
    current = landing.current()
    assert current is not None
    assert current != first.manifest
