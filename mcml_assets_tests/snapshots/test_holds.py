"""A snapshot on legal hold stays, whatever else would remove it, until it is released."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mcml_assets.clouds.memory.store import MemoryStore
from mcml_assets.domain.errors import ConfigurationError, CorruptSnapshot, ObjectNotFound
from mcml_assets.domain.retention import Retention
from mcml_assets.snapshots.holds import holds, place_hold, release_hold
from mcml_assets.snapshots.retention import collect
from mcml_assets_tests.clouds.faults import RivalStore
from mcml_assets_tests.snapshots.committing import WORKLOAD, blob, commit, digest_of, snapshots

LATER = datetime.now(UTC) + timedelta(days=400)


def sweep(store: MemoryStore) -> None:
    collect(store, WORKLOAD, Retention(keep_last=1, keep_days=0), grace=timedelta(0), now=LATER)


@pytest.fixture
def store(tmp_path: Path) -> MemoryStore:
    """A bucket with five snapshots, of which retention keeps two."""
    store = MemoryStore("aws/eu-west-2")
    for content in (b"1", b"2", b"3", b"4", b"5"):
        commit(snapshots(store), {"a": content}, tmp_path)
    return store


def oldest(store: MemoryStore) -> str:
    landing = snapshots(store)
    digest = digest_of(b"1")
    return next(each for each in landing.stored_snapshots() if landing.manifest(each).files[0].digest == digest)


def test_a_held_snapshot_stays_until_it_is_released(store: MemoryStore):
    """A collection leaves a held snapshot and its files, and removes them once the hold is gone; holds are listed."""
    landing, held = snapshots(store), oldest(store)
    hold = place_hold(landing, held, "case 17", "legal")
    assert holds(landing) == (hold,)
    assert (hold.snapshot_id, hold.reason, hold.who) == (held, "case 17", "legal")
    sweep(store)
    assert landing.verify(landing.manifest(held)) == ()
    assert release_hold(landing, held) == hold
    assert holds(landing) == ()
    sweep(store)
    with pytest.raises(ObjectNotFound):
        landing.manifest(held)


def test_a_hold_needs_a_whole_snapshot_and_a_reason(store: MemoryStore):
    """What is not stored, or not whole, cannot be held, nor anything without a reason or a name; then nothing is held."""
    landing, held = snapshots(store), oldest(store)
    with pytest.raises(ObjectNotFound):
        place_hold(landing, "0" * 64, "case 17", "legal")
    for reason, who in (("", "legal"), ("case 17", " ")):
        with pytest.raises(ConfigurationError, match="needs a reason"):
            place_hold(landing, held, reason, who)
    store.delete(blob(b"1"))
    with pytest.raises(CorruptSnapshot, match="cannot be held"):
        place_hold(landing, held, "case 17", "legal")
    with pytest.raises(ObjectNotFound, match="no hold"):
        release_hold(landing, held)
    assert holds(landing) == ()


def test_a_collection_in_the_middle_of_placing_a_hold(store: MemoryStore):
    """A collection that runs while a hold is being placed leaves the snapshot whole."""
    held = oldest(store)
    raced = RivalStore(store, f"{held}.json", lambda: sweep(store))
    place_hold(snapshots(raced), held, "case 17", "legal")
    assert raced.rival is None
    assert snapshots(store).verify(snapshots(store).manifest(held)) == ()


def test_an_unreadable_hold_still_holds(store: MemoryStore):
    """A hold whose record is damaged is told as such, and its snapshot stays."""
    landing, held = snapshots(store), oldest(store)
    store.put(f"retail/landing/holds/{held}.json", b"{")
    with pytest.raises(CorruptSnapshot, match=held):
        holds(landing)
    sweep(store)
    assert landing.verify(landing.manifest(held)) == ()
