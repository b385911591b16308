"""What a takeover promises: work goes on from the newest that is known, once, and older writers are refused from then on."""

from pathlib import Path

import pytest

from mcml_assets.clouds.memory.store import MemoryStore
from mcml_assets.domain.errors import StaleEpoch
from mcml_assets.failover.takeover import standing, take_over
from mcml_assets.snapshots.replication import replicate
from mcml_assets.snapshots.store import SnapshotStore
from mcml_assets_tests.snapshots.committing import commit, current_contents, snapshots

A, B = "aws/eu-west-2", "gcp/europe-west2"


class Cloud:
    """One location's stores."""

    def __init__(self, location: str) -> None:
        self.bucket = MemoryStore(location)
        self.landing = snapshots(self.bucket)
        self.raw = snapshots(self.bucket, "raw_data")


@pytest.fixture
def clouds() -> tuple[Cloud, Cloud]:
    return Cloud(A), Cloud(B)


def land(cloud: Cloud, folder: Path, epoch: int, **files: bytes) -> None:
    commit(cloud.landing, files, folder, epoch=epoch)


def copy(source: SnapshotStore, target: SnapshotStore, epoch: int) -> None:
    manifest = source.current()
    assert manifest is not None
    replicate(source, target, manifest, epoch=epoch)


def test_a_new_acting_location_goes_on_from_its_own_copy(clouds: tuple[Cloud, Cloud], tmp_path: Path):
    """What was replicated becomes its landing, under its epoch; the next batch follows on that; nothing is copied."""
    first, second = clouds
    land(first, tmp_path, 1, a=b"1")
    copy(first.landing, second.raw, 1)
    manifest = take_over(second.landing, second.raw, 2)
    assert manifest is not None
    assert current_contents(second.landing) == {"a": b"1"}
    land(second, tmp_path, 2, a=b"1", b=b"2")
    with pytest.raises(StaleEpoch):
        land(second, tmp_path, 1, a=b"1", c=b"3")


def test_a_takeover_happens_once(clouds: tuple[Cloud, Cloud], tmp_path: Path):
    """Asked for again it does nothing, so what landed since stays."""
    first, second = clouds
    land(first, tmp_path, 1, a=b"1")
    copy(first.landing, second.raw, 1)
    take_over(second.landing, second.raw, 2)
    land(second, tmp_path, 2, a=b"1", b=b"2")
    assert take_over(second.landing, second.raw, 2) is None
    assert current_contents(second.landing) == {"a": b"1", "b": b"2"}


def test_the_last_word_of_who_acted_before_is_heard_where_it_can_be(clouds: tuple[Cloud, Cloud], tmp_path: Path):
    """A batch that had not been replicated yet comes along when the former acting location answers."""
    first, second = clouds
    land(first, tmp_path, 1, a=b"1")
    copy(first.landing, second.raw, 1)
    land(first, tmp_path, 1, a=b"1", b=b"2")
    take_over(second.landing, second.raw, 2, [first.landing])
    assert current_contents(second.landing) == {"a": b"1", "b": b"2"}


def test_what_an_older_epoch_left_behind_is_no_last_word(clouds: tuple[Cloud, Cloud], tmp_path: Path):
    """A batch that was lost with a failover does not come back with a later one: its place was taken since."""
    first, second = clouds
    land(first, tmp_path, 1, a=b"1")
    copy(first.landing, second.raw, 1)
    land(first, tmp_path, 1, a=b"1", lost=b"x")
    take_over(second.landing, second.raw, 2)
    land(second, tmp_path, 2, a=b"1", b=b"2")
    copy(second.landing, first.raw, 2)
    take_over(first.landing, first.raw, 3, [second.landing])
    assert current_contents(first.landing) == {"a": b"1", "b": b"2"}


def test_readers_see_the_copy_until_it_was_taken_over(clouds: tuple[Cloud, Cloud], tmp_path: Path):
    """Between the change of epoch and the takeover, what the location holds is what the jurisdiction has."""
    first, second = clouds
    land(second, tmp_path, 1, old=b"0")
    land(first, tmp_path, 2, a=b"1")
    copy(first.landing, second.raw, 2)
    assert standing(second.landing, second.raw) is second.raw
    take_over(second.landing, second.raw, 3)
    assert standing(second.landing, second.raw) is second.landing


def test_nothing_is_taken_over_where_nothing_is(clouds: tuple[Cloud, Cloud]):
    """The first acting location of all begins with an empty landing."""
    first, _ = clouds
    assert take_over(first.landing, first.raw, 1) is None
    assert first.landing.current() is None


def test_a_last_word_that_is_damaged_is_not_waited_for(clouds: tuple[Cloud, Cloud], tmp_path: Path):
    """Where the former location's newest batch cannot be read whole, the work goes on from what is held here."""
    first, second = clouds
    land(first, tmp_path, 1, a=b"1")
    copy(first.landing, second.raw, 1)
    land(first, tmp_path, 1, a=b"1", b=b"2")
    manifest = first.landing.current()
    assert manifest is not None
    first.bucket.put(first.landing.blobs.key(manifest.file("b")), b"x")
    take_over(second.landing, second.raw, 2, [first.landing])
    assert current_contents(second.landing) == {"a": b"1"}
