"""All that is stored is read again within a number of days, and what decayed is found and laid at the right door."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcml_assets.clouds.local.store import LocalStore
from mcml_assets.clouds.memory.store import MemoryStore
from mcml_assets.domain.errors import LocationUnavailable
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.snapshots.scrub import SHELVES, ScrubReport, due_shelves, scrub
from mcml_assets_tests.clouds.faults import flipped
from mcml_assets_tests.snapshots.committing import WORKLOAD, blob, commit, digest_of, snapshots

NOW = datetime(2026, 1, 1, 2, 17, tzinfo=UTC)
DAY = timedelta(days=1)
FILES = {f"{number:03d}": f"content {number}".encode() for number in range(120)}
HERE, SECOND, THIRD = "aws/eu-west-2", "gcp/europe-west2", "azure/uksouth"


@given(st.integers(1, 30), st.lists(st.integers(0, 3), min_size=60, max_size=60))
def test_every_shelf_is_read_in_time(days: int, pauses: list[int]):
    """With a scrub a day every shelf is read within the days, and missed days are made up for by the next scrub."""
    now, last_read = NOW, dict[str, datetime]()
    for pause in pauses:
        due = due_shelves(last_read, NOW, now, days)
        assert len(due) == len(set(due)) >= min(256, 256 // days)
        last_read |= dict.fromkeys(due, now)
        assert all(now - last_read.get(shelf, NOW) <= days * DAY for shelf in SHELVES)
        now += DAY * (1 if pause else 1 + pause)


@pytest.fixture
def buckets(tmp_path: Path) -> list[MemoryStore]:
    """Three locations with the same snapshot."""
    stores = [MemoryStore(key) for key in (HERE, SECOND, THIRD)]
    for store in stores:
        commit(snapshots(store, "raw_data"), FILES, tmp_path)
    return stores


def current(store: MemoryStore) -> Manifest:
    manifest = snapshots(store, "raw_data").current()
    assert manifest is not None
    return manifest


def scrubbed(buckets: list[MemoryStore], now: datetime = NOW, days: int = 1) -> ScrubReport:
    first, *others = buckets
    return scrub(first, WORKLOAD, [current(first)], others, days=days, now=now)


def test_all_is_read_within_the_days(buckets: list[MemoryStore]):
    """Seven daily scrubs read every blob, hardly any twice, and a decayed one is found on one of the days."""
    buckets[0].put(blob(FILES["007"]), flipped(FILES["007"]))
    reports = [scrubbed(buckets, NOW + day * DAY, days=7) for day in range(7)]
    assert len(FILES) <= sum(report.blobs for report in reports) <= 1.1 * len(FILES)
    assert all(report.blobs < len(FILES) / 3 for report in reports)
    assert sum(len(report.findings) for report in reports) == 1


def test_the_corrupt_location_is_named(buckets: list[MemoryStore]):
    """With one damaged copy the vote names its location, and the sound ones; a second damaged one is named as well."""
    buckets[0].put(blob(FILES["007"]), flipped(FILES["007"]))
    (finding,) = scrubbed(buckets).findings
    assert finding.digest == digest_of(FILES["007"])
    assert finding.found == digest_of(flipped(FILES["007"]))
    assert (finding.verdict.corrupt, finding.verdict.sound) == ((HERE,), (THIRD, SECOND))
    assert "sound in azure/uksouth, gcp/europe-west2; corrupt in aws/eu-west-2" in str(finding)
    for store in buckets[1:]:
        store.put(blob(FILES["007"]), flipped(FILES["007"]))
    (finding,) = scrubbed(buckets).findings
    assert (len(finding.verdict.corrupt), finding.verdict.sound, finding.verdict.confirmed) == (3, (), False)


def test_what_is_missing_is_found(buckets: list[MemoryStore]):
    """A file of the current snapshot that is gone is reported; an old one that a collection removed is not missed."""
    buckets[0].delete(blob(FILES["003"]))
    (finding,) = scrubbed(buckets).findings
    assert (finding.found, finding.verdict.corrupt, len(finding.verdict.sound)) == (None, (), 2)
    assert "is missing; sound in" in str(finding)


def test_a_location_that_is_down_has_no_voice(buckets: list[MemoryStore], tmp_path: Path):
    """The vote goes on without a location that does not answer; one that is down itself is not scrubbed at all."""
    buckets[0].put(blob(FILES["007"]), flipped(FILES["007"]))
    down = LocalStore(THIRD, tmp_path / "missing")
    (finding,) = scrub(buckets[0], WORKLOAD, [], [buckets[1], down], days=1, now=NOW).findings
    assert (finding.verdict.corrupt, finding.verdict.sound) == ((HERE,), (SECOND,))
    with pytest.raises(LocationUnavailable):
        scrub(down, WORKLOAD, [], buckets, days=1, now=NOW)


def test_a_damaged_record_starts_anew(buckets: list[MemoryStore]):
    """When the record of what was read is unreadable, reading starts from the first shelf, and goes on."""
    scrubbed(buckets, days=7)
    buckets[0].put("retail/scrub.json", b"{")
    assert scrubbed(buckets, NOW + DAY, days=7).oldest == NOW + DAY
