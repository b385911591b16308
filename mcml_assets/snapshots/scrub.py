"""Reading what is stored again and again, so that decay is found before the copy is needed.

A location's blobs are divided by the first two digits of their digests, of whichever algorithm, into 256 shelves. A scrub
reads those shelves that were not read for longest: a day's share of all, and every one that would be overdue before the next
day's scrub, so that a few missed days are made up for. When a shelf was read is kept in the bucket itself. A blob that is not
what its name says is compared with the copies of the other locations, which vote; repairing is a verified copy, and not done
here.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.domain.digest import DIGEST_ALGORITHMS
from mcml_assets.domain.errors import McmlError, ObjectNotFound
from mcml_assets.domain.snapshot import Manifest, SnapshotFile, canonical_json
from mcml_assets.domain.voting import Verdict, vote
from mcml_assets.snapshots.blobs import Blobs
from mcml_assets.snapshots.workers import DEFAULT_LIMITS, run_all

SHELVES = tuple(f"{number:02x}" for number in range(256))
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Finding:
    """A blob that is not what a location should hold; `found` is the digest of its bytes, None when it is missing."""

    digest: str
    found: str | None
    verdict: Verdict

    def __str__(self) -> str:
        what = "missing" if self.found is None else f"corrupt (found {self.found[:12]})"
        others = f"sound in {', '.join(self.verdict.sound)}" if self.verdict.confirmed else "sound nowhere that answers"
        also = f"; corrupt in {', '.join(self.verdict.corrupt)}" if self.verdict.corrupt else ""
        return f"{self.digest[:12]} is {what}; {others}{also}"


@dataclass(frozen=True, slots=True)
class ScrubReport:
    """What a scrub of one workload in one location read: shelves of 256, blobs, bytes; and what it found wrong.

    `oldest` is when the shelf was last read, or first due, that was read longest ago, before this scrub.
    """

    shelves: int
    blobs: int
    bytes: int
    findings: tuple[Finding, ...]
    oldest: datetime
    seconds: float


def due_shelves(last_read: Mapping[str, datetime], since: datetime, now: datetime, days: int) -> tuple[str, ...]:
    """The shelves to be read now, so that with a scrub a day each is read within `days`.

    `last_read` has a time for each shelf that was ever read; the others count from `since`, the very first scrub.
    """
    # What the very first scrub read was read at `since`, to which the others' age is counted: they come before it.
    ages = sorted(SHELVES, key=lambda shelf: (last_read.get(shelf, since), shelf in last_read, shelf))
    share = -(-len(SHELVES) // days)
    overdue = sum(now - last_read.get(shelf, since) > DAY * (days - 1) for shelf in SHELVES)
    return tuple(ages[: max(share, overdue)])


def scrub(
    store: ObjectStore,
    workload: str,
    current: Sequence[Manifest],
    others: Sequence[ObjectStore],
    *,
    days: int,
    now: datetime | None = None,
) -> ScrubReport:
    """Read a share of the workload's blobs in one bucket, and have `others`, the other buckets, vote on what is wrong.

    `current` are the manifests whose files must be there. Raises `LocationUnavailable` when the bucket does not answer;
    then nothing counts as read.
    """
    began = datetime.now(UTC)
    now = now or began
    blobs = Blobs(store, workload)
    record = _Record(store, workload, now)
    shelves = due_shelves(record.last_read, record.since, now, days)
    oldest = min(record.last_read.get(shelf, record.since) for shelf in shelves)
    expected = _stored(store, blobs, shelves)
    due = set(shelves)
    for manifest in current:
        expected |= {file.blob: file for file in manifest.files if file.digest[:2] in due}
    found: dict[str, str | None] = {}

    def read(file: SnapshotFile) -> None:
        found[file.blob] = blobs.stored_digest(file)

    run_all(read, expected.values(), concurrency=DEFAULT_LIMITS.concurrency)
    # One that is gone by now and that no current snapshot names was collected meanwhile.
    named = {file.blob for manifest in current for file in manifest.files}
    wrong = [
        (file, found[blob])
        for blob, file in sorted(expected.items())
        if found[blob] != file.digest and (found[blob] or blob in named)
    ]
    findings = tuple(
        Finding(file.digest, actual, _vote(workload, file, store.location, actual, others)) for file, actual in wrong
    )
    record.write({**record.last_read, **dict.fromkeys(shelves, now)})
    return ScrubReport(
        shelves=len(shelves),
        blobs=len(found),
        bytes=sum(file.size for file in expected.values()),
        findings=findings,
        oldest=oldest,
        seconds=(datetime.now(UTC) - began).total_seconds(),
    )


def _stored(store: ObjectStore, blobs: Blobs, shelves: Sequence[str]) -> dict[str, SnapshotFile]:
    """What is stored on these shelves, by blob."""
    stored = [
        SnapshotFile(digest, meta.size, digest, algorithm)
        for algorithm in DIGEST_ALGORITHMS
        for shelf in shelves
        for meta in store.list(f"{blobs.folder}/{algorithm}/{shelf}")
        for digest in (meta.key.rpartition("/")[2],)
    ]
    return {file.blob: file for file in stored}


def _vote(workload: str, file: SnapshotFile, location: str, own: str | None, others: Sequence[ObjectStore]) -> Verdict:
    held: dict[str, str | None] = {location: own}
    for store in others:
        try:
            held[store.location] = Blobs(store, workload).stored_digest(file)
        except McmlError:
            held[store.location] = None  # one that does not answer has no voice
    return vote(file.digest, held)


class _Record:
    """When each shelf was read last, kept in the bucket that is scrubbed."""

    def __init__(self, store: ObjectStore, workload: str, now: datetime) -> None:
        self._store, self._key = store, f"{workload}/scrub.json"
        self.since, self.last_read = now, dict[str, datetime]()
        try:
            document = json.loads(store.get(self._key))
            self.since = datetime.fromisoformat(document["since"])
            self.last_read = {shelf: datetime.fromisoformat(at) for shelf, at in document["last_read"].items()}
        except (ObjectNotFound, ValueError, TypeError, KeyError, AttributeError):
            return  # the first one, or damaged itself: all is read anew within the same time

    def write(self, last_read: Mapping[str, datetime]) -> None:
        """Remember these times."""
        times = {shelf: at.isoformat() for shelf, at in last_read.items()}
        self._store.put(self._key, canonical_json({"since": self.since.isoformat(), "last_read": times}))
